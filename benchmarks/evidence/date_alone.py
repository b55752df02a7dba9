"""How much of the published earthquake scores the date alone gives.

    python benchmarks/evidence/date_alone.py --source scedc_socal_1950_2026.csv.gz

Prints the tables of docs/design/tevolop.md, "The date alone": NNSE of forecasts that know the
mean of each five years and no earthquake, by the published rules (1950 to 2019, active pixels),
beside persistence; of all magnitudes, of large ones, of the years after detection rose, and of
events thinned at random.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scidata.benchmarks.evidence.catalogue import from_command_line, table
from scidata.benchmarks.metrics import FloatArray, Nnse, nnse
from scidata.benchmarks.tevolop_features import WINDOWS, persistence
from scidata.datasets.tevolop import grid
from scidata.datasets.tevolop.events import Catalogue
from scidata.datasets.tevolop.fortnights import (
    DROPPED,
    Rule,
    Span,
    Sums,
    active,
    ahead,
    back,
    span,
)
from scidata.datasets.tevolop.grid import Float, Int, Pixels, Shocks

FIVE_YEARS = 130
"""Fortnights whose mean is taken."""
COMPLETE = 3.3
"""From this magnitude on the catalogue is complete in nearly all years."""
RISEN = np.datetime64("1990-01-01")
"""Detection had risen by then; the control begins here."""
TWO_WEEKS = 0
"""Column of the shortest window."""
_BLOCK_DAYS = 2048

Chosen = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Quakes:
    """Earthquakes, and where and when they are looked at."""

    shocks: Shocks
    days: tuple[int, int]
    """First day and the day after the last, from 0 at 1970-01-01."""
    pixels: Pixels
    places: Int
    """Active pixels of the whole catalogue, whichever earthquakes are left."""

    @classmethod
    def of(cls, events: pa.Table) -> "Quakes":
        """Choose the active pixels by the published rule."""
        pixels = Pixels()
        shocks = grid.shocks(events, pixels)
        everywhere = np.arange(pixels.count)
        found = cls(
            shocks=shocks, days=grid.day_range(shocks), pixels=pixels, places=everywhere
        )
        large = found.sums.multiplicity_3p29[DROPPED:].sum(axis=0, dtype=np.int64)
        return replace(found, places=active(large, pixels))

    @property
    def span(self) -> Span:
        """The published fortnights."""
        return span(self.days, Rule.PUBLISHED)

    @cached_property
    def sums(self) -> Sums:
        """Sums of all fortnights in the places."""
        sums = Sums(self.span, self.pixels, Rule.PUBLISHED)
        for days in grid.by_block(self.shocks, self.pixels, self.days, _BLOCK_DAYS):
            sums.add(days)
        return sums.at(self.places)

    @property
    def starts(self) -> npt.NDArray[np.datetime64]:
        """First day of each fortnight, (T,)."""
        return np.array([self.span.start(n) for n in range(DROPPED, self.span.count)])

    @cached_property
    def targets(self) -> Float:
        """Magnitude of each window ahead, (S, T, 10); NaN where it ends too late."""
        return np.stack([window[DROPPED:].T for window in ahead(self.sums.energy)], axis=-1)

    @cached_property
    def persisting(self) -> Float:
        """What the last windows forecast, (S, T, 10)."""
        windows = [window[DROPPED:].T for window in back(self.sums.energy)]
        return persistence(self.sums.magnitude[DROPPED:].T, np.stack(windows, axis=-1))

    @cached_property
    def in_reach(self) -> Chosen:
        """Which lie in the places, and before the published data end, (N,)."""
        end = int(self.span.start(self.span.count).astype(int))
        return np.isin(self.shocks.pixel, self.places) & (self.shocks.day < end)

    def keep(self, chosen: Chosen | Int) -> "Quakes":
        """Leave some of the earthquakes; the places stay."""
        names = ("day", "pixel", "magnitude", "depth")
        left = Shocks(**{name: getattr(self.shocks, name)[chosen] for name in names})
        return replace(self, shocks=left)

    def from_magnitude(self, magnitude: float) -> "Quakes":
        """Leave those of a magnitude and above."""
        return self.keep(self.shocks.magnitude >= magnitude)


def five_year_means(series: FloatArray) -> Float:
    """Return at every step the mean of its five years, counted from the first step.

    Parameters
    ----------
    series : (S, T) floating
        NaN where nothing was observed.

    Returns
    -------
    (S, T) float64
        0 where nothing was observed in all of the five years.
    """
    means = np.zeros(series.shape)
    for begin in range(0, series.shape[1], FIVE_YEARS):
        part = series[:, begin : begin + FIVE_YEARS]
        count = np.maximum((~np.isnan(part)).sum(axis=1), 1)
        means[:, begin : begin + FIVE_YEARS] = (np.nansum(part, axis=1) / count)[:, None]
    return means


def report(catalogue: Catalogue) -> str:
    """Return everything, in Markdown."""
    quakes = Quakes.of(catalogue.earthquakes)
    floor, any_type = catalogue.magnitude_floor, Quakes.of(catalogue.table)
    return "\n\n".join(
        [
            f"{len(quakes.places)} active places, {len(any_type.places)} if events of any type "
            f"counted; earthquakes of magnitude {floor} and above.\nNNSE, averaged over places "
            "| of the sum over places.",
            _windows(quakes),
            _two_weeks(quakes),
            _rest(quakes),
            _controls(quakes),
        ]
    )


def _windows(quakes: Quakes) -> str:
    """Score the five-year means of each window."""
    columns = [quakes, quakes.from_magnitude(COMPLETE)]
    rows = [
        [name, *(_text(_by_date(each.targets[..., k])) for each in columns)]
        for k, name in enumerate(list(WINDOWS)[:8])
    ]
    head = ["window", "five-year mean, all", f"five-year mean, {COMPLETE} and above"]
    return table(head, rows)


def _two_weeks(quakes: Quakes) -> str:
    """Score persistence two weeks ahead, by magnitude."""
    floors = ("all", 2.5, 3.0, COMPLETE)
    parts = [quakes if f == "all" else quakes.from_magnitude(float(f)) for f in floors]
    scores = [nnse(p.targets[..., TWO_WEEKS], p.persisting[..., TWO_WEEKS]) for p in parts]
    head = ["two weeks ahead", *map(str, floors)]
    return table(head, [["persistence", *map(_text, scores)]])


def _rest(quakes: Quakes) -> str:
    """Score persistence of what is left once the five-year means are taken off."""
    target = quakes.targets[..., TWO_WEEKS]
    rest = target - five_year_means(target)
    score = _text(nnse(rest[:, 1:], rest[:, :-1]))
    return f"Persistence two weeks ahead of what the five-year means leave: {score}."


def _controls(quakes: Quakes) -> str:
    """Score the years after detection rose, and as few events as there are large ones."""
    shocks, later = quakes.shocks, quakes.starts >= RISEN
    recent = quakes.in_reach & (shocks.day >= RISEN.astype(int))
    rows = []
    for magnitude in (-np.inf, 2.0):
        count = int((recent & (shocks.magnitude >= magnitude)).sum())
        name = "all" if magnitude < 0 else f"{magnitude} and above"
        label = f"since {RISEN.astype('datetime64[Y]')}, {name}"
        rows.append([label, f"{count:,}", *_both(quakes.from_magnitude(magnitude), later)])
    large = int((quakes.in_reach & (shocks.magnitude >= COMPLETE)).sum())
    for seed in range(3):
        random = np.random.default_rng(seed)
        drawn = random.choice(np.flatnonzero(quakes.in_reach), large, replace=False)
        thinned = quakes.keep(np.sort(drawn))
        rows.append([f"thinned at random, seed {seed}", f"{large:,}", *_both(thinned)])
    return table(
        ["control, two weeks ahead", "earthquakes", "five-year mean", "persistence"], rows
    )


def _both(quakes: Quakes, steps: Chosen | slice = slice(None)) -> list[str]:
    """Score the five-year means and persistence two weeks ahead, at some steps."""
    target = quakes.targets[:, steps, TWO_WEEKS]
    last = quakes.persisting[:, steps, TWO_WEEKS]
    return [_text(_by_date(target)), _text(nnse(target, last))]


def _by_date(target: FloatArray) -> Nnse:
    return nnse(target, five_year_means(target))


def _text(score: Nnse) -> str:
    return f"{score.averaged:.3f} &#124; {score.summed:.3f}"


if __name__ == "__main__":
    print(report(from_command_line(__doc__)))  # noqa: T201 - a script's result
