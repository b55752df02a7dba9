"""``scidata demo``."""

import shutil
import sys
import textwrap
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scidata.cli.output import (
    exits,
    json_option,
    print_json,
    print_table,
    progress_bar,
    quiet_option,
    say,
)
from scidata.hashing import Progress
from scidata.wording import amount

if TYPE_CHECKING:
    from scidata.demo import Demonstration

TITLES = {
    "build": "Building the dataset from the catalogue",
    "publish": "Publishing it as a version",
    "verify": "Verifying every byte",
    "catalog": "Opening its catalog with plain Intake",
    "stream": "Streaming one epoch",
    "train": "Training and scoring the benchmark",
}
TRY_NEXT = """\
import scidata
tevolop = scidata.open("tevolop@1.0.0", store="{store}")
print(tevolop.to_xarray("grid"))"""
MODELS = ("model", "persistence", "climatology")


@click.command(epilog=exits(2, 4, 5, 6, 7))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("scidata-demo"),
    show_default=True,
    help="Folder for staged/, store/ and run/.",
)
@json_option
@quiet_option
def command(out: Path, *, as_json: bool, quiet: bool) -> None:
    """Run the whole way on real earthquakes, offline: build, publish, verify, open, score.

    The data ship with scidata: events of magnitude 2.5 and above in Southern California since
    1950. Run it again to continue after an interruption; what is done is not done twice.
    """
    from scidata.demo import demonstrate

    def station(title: str, unit: str) -> AbstractContextManager[Progress]:
        shown = not (as_json or quiet)
        if shown:
            say(TITLES[title], err=True)
        return progress_bar(TITLES[title], shown=shown, unit=unit)

    found = demonstrate(out, station=station)
    if as_json:
        print_json("scidata-demo/1", _fields(found))
    else:
        _print(found)


def _scores(found: "Demonstration") -> list[dict[str, Any]]:  # Any: a result's JSON
    """One row per target window of the held-out part: what each model scores."""
    held_out = found.result["scores"]["test"]
    named = set(held_out["model"]) - {found.result["metric"]}
    windows = [name for name in held_out["model"] if {name, f"{name}, summed"} <= named]
    return [
        {"window": window}
        | {f"{m}_averaged": held_out[m][window] for m in MODELS}
        | {f"{m}_summed": held_out[m][f"{window}, summed"] for m in MODELS}
        for window in windows
    ]


def _fields(found: "Demonstration") -> dict[str, object]:
    return {
        **{k: v for k, v in vars(found).items() if k != "result"},
        "scores": _scores(found),
        "try_next": TRY_NEXT.format(store=found.store).splitlines(),
    }


def _print(found: "Demonstration") -> None:
    say()
    done = "published" if found.published else "was published before"
    rows = [
        ("version", f"tevolop@1.0.0, {done}"),
        ("digest", found.digest),
        ("files", f"{found.files:,} ({amount(found.bytes)})"),
        ("verify", f"sound: {found.verified:,} files read and compared, tag files included"),
        ("catalog", f"{found.store / 'index.yaml'}: {len(found.entries)} entries"),
        ("stream", f"{found.samples:,} samples, {found.samples_per_second:,.0f} a second"),
        ("result", str(found.run / "result.json")),
        ("DataCite", f"{found.preview} (preview; no DOI was registered)"),
    ]
    for name, value in rows:
        say(f"{name:<10}{value}")
    _print_scores(found)
    say("", "Try next:", "")
    if shutil.which("scidata") is None:
        say(f"    . {Path(sys.prefix) / 'bin' / 'activate'}", "")
    say(*textwrap.indent(TRY_NEXT.format(store=found.store), "    ").split("\n"))


def _print_scores(found: "Demonstration") -> None:
    say(
        "",
        "NNSE on the held-out years (0.5 is their mean, 1 is perfect): for each location,",
        "averaged; then for the sum of all. Beside the LSTM, persistence and climatology.",
        "",
    )
    headers = ["energy of", *["LSTM", "pers.", "clim."] * 2]
    rows = [
        [str(row.pop("window")), *(f"{v:.3f}" for v in row.values())] for row in _scores(found)
    ]
    print_table(headers, rows)
