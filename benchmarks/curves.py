"""The learning curve of a result, as a picture."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from scidata.benchmarks.runs import replace
from scidata.benchmarks.scoring import MODEL

NAME = "curve.png"


def draw(path: Path, result: Mapping[str, Any]) -> None:  # Any: a result's JSON
    """Draw training loss, and the score on the part that training was watched on.

    The scores of the baselines on that part, and the target, are lines beside it. Raises
    `StorageError` if it cannot be written.
    """
    from matplotlib.figure import Figure  # without pyplot: no window, nothing global

    metric, curve = result["metric"], result["curve"]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [entry["epoch"] for entry in curve]
    left.plot(epochs, [_number(entry["loss"]) for entry in curve], marker=".", color="black")
    left.set(ylabel="training loss", title=f"{result['task']} {result['profile']}")
    for part in result["scores"]:
        _draw_scores(right, result, part)
    if result["target"]:
        right.axhline(result["target"]["value"], color="grey", linestyle=":", label="target")
    unit = "" if result["unit"] == "1" else f" ({result['unit']})"
    right.set(ylabel=metric + unit)
    for axes in (left, right):
        axes.set(xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
    if right.lines:
        right.legend(fontsize="small")
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=100, metadata={"Software": None})
    replace(path, drawn.getvalue())


def _draw_scores(axes: Any, result: Mapping[str, Any], part: str) -> None:  # Any: matplotlib's
    """Draw a part's scores if training was watched on it."""
    metric = result["metric"]
    points = [(e["epoch"], _number(e[part][metric])) for e in result["curve"] if part in e]
    if not points:
        return
    axes.plot(*zip(*points, strict=True), marker=".", color="black", label=MODEL)
    for number, (name, found) in enumerate(result["scores"][part].items()):
        if name != MODEL and found[metric] is not None:
            axes.axhline(found[metric], color=f"C{number}", linestyle="--", label=name)
    axes.set(title=f"on {part}")


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
