"""Masks over images: what they mark in colour, and where two of them differ."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scidata.previews.quantity import short
from scidata.previews.style import KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ORANGE, BLUE, GREEN = "#e69f00", "#0072b2", "#009e73"
_ALPHA = 0.6


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """A mask that was drawn."""

    marked: npt.NDArray[np.bool_]
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Colour of each kind that flags name."""

    @property
    def share(self) -> float:
        """Part of the pixels that are marked."""
        return float(self.marked.mean())


def overlay(
    axes: "Axes",
    values: npt.NDArray[np.float64],
    attributes: Mapping[Hashable, Any],  # Any: of anybody's
    other: npt.NDArray[np.bool_] | None = None,
) -> Overlay:
    """Colour what a mask marks: by kind if flags are named, else whatever is not zero.

    Parameters
    ----------
    axes : Axes
        Of the image below.
    values : array, (height, width), float
        Whole numbers; NaN marks nothing.
    attributes : mapping
        Of the variable; CF's ``flag_values`` and ``flag_meanings`` name kinds.
    other : array, (height, width), bool, optional
        What another mask marks; where they differ is blue and green then.
    """
    marked = np.isfinite(values) & (values != 0)
    named = _named(attributes, values[marked])
    layers: list[tuple[npt.NDArray[np.bool_], str]]
    if other is not None:
        layers = [(marked & other, ORANGE), (marked & ~other, BLUE), (other & ~marked, GREEN)]
    elif named:
        layers = [(marked & (values == value), colour) for value, (_, colour) in named.items()]
    else:
        layers = [(marked, ORANGE)]
    for where, colour in layers:
        _tint(axes, where, colour)
    return Overlay(marked=marked, kinds={} if other is not None else dict(named.values()))


def agreement(over: Sequence[Sequence[Overlay]]) -> float:
    """Return on which part of the pixels the first two masks of each image say the same."""
    return float(np.mean([(each[0].marked == each[1].marked).mean() for each in over]))


def legend(figure: "Figure", phrases: Sequence[str], over: Sequence[Sequence[Overlay]]) -> None:
    """Say below what colours mean."""
    kinds = {word: c for each in over for found in each for word, c in found.kinds.items()}
    if len(phrases) > 1:
        kinds |= {
            f"both (above: {phrases[0]})": ORANGE,
            f"{phrases[1]} alone": BLUE,
            f"{phrases[0]} alone": GREEN,
        }
    if not kinds:
        return
    from matplotlib.patches import Patch

    handles = [Patch(color=c, alpha=_ALPHA, label=short(word, 40)) for word, c in kinds.items()]
    figure.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False, fontsize=8)


def _named(
    attributes: Mapping[Hashable, Any],  # Any: of anybody's
    marked: npt.NDArray[np.float64],
) -> dict[float, tuple[str, str]]:
    """Return name and colour of each value that CF's attributes name and that occurs."""
    values = np.atleast_1d(np.asarray(attributes.get("flag_values", [])))
    words = str(attributes.get("flag_meanings", "")).split()
    if values.dtype.kind not in "iuf" or len(values) != len(words):
        return {}
    held = set(np.unique(marked).tolist())
    there = [(float(v), w) for v, w in zip(values, words, strict=True) if float(v) in held]
    if len(there) > len(KINDS):
        return {}
    # A single kind has the colour of a plain mask.
    colours = KINDS if len(there) > 1 else (ORANGE,)
    return {v: (w.replace("_", " "), c) for (v, w), c in zip(there, colours, strict=False)}


def _tint(axes: "Axes", where: npt.NDArray[np.bool_], colour: str) -> None:
    from matplotlib.colors import ListedColormap

    shown = np.ma.masked_where(~where, np.zeros(where.shape))
    axes.imshow(shown, cmap=ListedColormap([colour]), vmin=0, vmax=1, alpha=_ALPHA)
    axes.set_axis_off()
