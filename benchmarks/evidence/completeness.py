"""How complete the catalogue of earthquakes is, with and without magnitudes of 0.0.

    python benchmarks/evidence/completeness.py --source scedc_socal_1950_2026.csv.gz

Prints the tables of docs/design/tevolop.md, "How complete the catalogue is". A second or two
for each 100,000 events.
"""

from collections.abc import Sequence

import pyarrow.compute as pc

from scidata.benchmarks.evidence.catalogue import from_command_line, table
from scidata.datasets.tevolop.completeness import Completeness, by_decade, completeness
from scidata.datasets.tevolop.events import Catalogue
from scidata.datasets.tevolop.grid import LARGE

LIMIT = round(LARGE, 1)


def report(catalogue: Catalogue) -> str:
    """Return what is known of a catalogue's completeness, in Markdown."""
    years = pc.year(catalogue.earthquakes["time"]).to_numpy()
    magnitudes = catalogue.earthquakes["magnitude"].to_numpy()
    found = catalogue.completeness
    decades = by_decade(found)
    zeros = years[magnitudes == 0] // 10 * 10
    rows = [
        ["magnitude of completeness", *_texts(found, decades)],
        ["with those of 0.0", *_texts(completeness(years, magnitudes), decades)],
        ["earthquakes of magnitude 0.0", *(f"{(zeros == d).sum():,}" for d in decades)],
    ]
    above = [each for each in found if each.magnitude > LIMIT]
    below = [e for e in found if e.b_value is not None and e.b_value < _LOWEST_B]
    return "\n".join(
        [
            f"{len(magnitudes):,} earthquakes, {len(zeros):,} of magnitude 0.0.\n",
            table(["", *(f"{decade}s" for decade in decades)], rows),
            f"\n{len(found) - len(above)} of {len(found)} estimates at {LIMIT} or below; "
            f"the others: {_listed(above)}.",
            f"b below {_LOWEST_B}, so the estimate is too low: {_listed(below)}.",
        ]
    )


_LOWEST_B = 0.5


def _texts(found: Sequence[Completeness], decades: dict[int, float]) -> list[str]:
    estimates = by_decade(found)
    return [f"{estimates[d]:.1f}" if d in estimates else "" for d in decades]


def _listed(found: Sequence[Completeness]) -> str:
    return ", ".join(f"{e.first_year} {e.magnitude} (b {e.b_value})" for e in found) or "none"


if __name__ == "__main__":
    print(report(from_command_line(__doc__)))  # noqa: T201 - a script's result
