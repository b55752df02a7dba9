"""How tevolop-mini is built: earthquakes of a known process, and the best forecast beside."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import xarray as xr

from scidata.datasets import Advance, Survey
from scidata.datasets.array_store import ArrayStore
from scidata.datasets.tevolop import assemble, etas, grid, provenance
from scidata.datasets.tevolop.assemble import Given, Outcome, Plan, Quirks
from scidata.datasets.tevolop.etas import YEAR, Background, Parameters, Quakes
from scidata.datasets.tevolop.events import (
    EARTHQUAKE,
    SCHEMA,
    Catalogue,
    Counts,
    write_events,
)
from scidata.datasets.tevolop.grid import Days, Float, Int, Pixels
from scidata.datasets.tevolop.oracle import ASSET, EXPECTED, Truth, expectation, pixel_size
from scidata.errors import InvalidError
from scidata.record import Record

_BEFORE = 100 * YEAR
"""Days of the process before the catalogue: so long its memory lasts."""
_FOUND_FROM = 3.3
"""Magnitude of completeness at the beginning, where it falls."""
_DEPTH, _DEPTH_SPREAD, _DEEPEST = 8.0, 4.0, 20.0
_DAY_US = 86_400_000_000


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is simulated."""

    pixels: Pixels
    first_year: int
    last_year: int
    rate: float
    """Earthquakes a year that none has triggered."""
    faults: int
    draws: int
    """Futures of each fortnight that the best forecast is the mean of."""

    @property
    def days(self) -> tuple[int, int]:
        """First day and the day after the last, from 0 at 1970-01-01."""
        first, stop = (
            int(np.datetime64(f"{year}-01-01", "D").astype(int))
            for year in (self.first_year, self.last_year + 1)
        )
        return first, stop


SIZES = {
    "mini": Size(
        pixels=Pixels(rows=12, columns=18),
        first_year=1960,
        last_year=2019,
        rate=60.0,
        faults=3,
        draws=32,
    ),
    "tiny": Size(
        pixels=Pixels(rows=8, columns=12),
        first_year=2000,
        last_year=2013,
        rate=30.0,
        faults=2,
        draws=4,
    ),
}
FULL, FALLING = "full", "falling"


class Mini:
    """The recipe; see `scidata.datasets.Recipe`."""

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Size and seed; whether all are found, or ever smaller ones as time goes on."""
        return {
            "size": tuple(SIZES),
            "seed": tuple(str(n) for n in range(10)),
            "completeness": (FULL, FALLING),
        }

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """Plan the simulation."""
        if source is not None:
            raise InvalidError(
                "tevolop-mini is simulated and reads no source",
                where=str(source),
                fix=f"leave out --source, or run scidata build tevolop --source {source}",
            )
        return _Simulation(SIZES[options["size"]], options)


class _Simulation:
    """What will be drawn; see `scidata.datasets.Survey`."""

    source = "a simulation"
    files: tuple[tuple[str, Path], ...] = ()

    def __init__(self, size: Size, options: Mapping[str, str]) -> None:
        self._size = size
        self._seed = int(options["seed"])
        self._falling = options["completeness"] == FALLING

    @property
    def form(self) -> str:
        """The seed."""
        return f"seed {self._seed}"

    def prepare(self, *, now: datetime, advance: Advance) -> "Simulated":
        """Draw the earthquakes."""
        drawn = Simulated(
            self._size, draw(self._size, self._seed, falling=self._falling), self._seed
        )
        advance(1)
        return drawn


def draw(size: Size, seed: int, *, falling: bool, law: Parameters | None = None) -> Truth:
    """Draw faults and earthquakes; the same seed gives the same ones of the same law."""
    law = law or Parameters()
    random = np.random.default_rng(seed)
    wide, high = pixel_size(size.pixels)
    region = wide * size.pixels.columns, high * size.pixels.rows
    background = Background(
        rate=size.rate / YEAR,
        faults=random.random((size.faults, 4)) * np.array([*region, *region]),
        size=region,
    )
    first, stop = size.days
    span = first - _BEFORE, float(stop)

    def complete(time: Float) -> Float:
        done = np.clip((time - first) / (stop - first), 0.0, 1.0) if falling else 1.0
        found: Float = _FOUND_FROM + (law.smallest - _FOUND_FROM) * np.asarray(done)
        return found

    return Truth(
        law=law,
        background=background,
        quakes=etas.simulate(law, background, span, random),
        pixels=size.pixels,
        complete=complete,
    )


class Simulated:
    """What was drawn; see `scidata.datasets.Prepared` and `.assemble.Daily`."""

    resumable = False
    assets = ("events", "grid", "fortnights", ASSET)

    def __init__(self, size: Size, truth: Truth, seed: int) -> None:
        self.truth, self.pixels, self.days = truth, size.pixels, size.days
        self._size, self._seed = size, seed
        self.plan: Plan = assemble.plan(self.days, Quirks.NONE)
        self.assembled: Outcome | None = None

    @cached_property
    def catalogue(self) -> Catalogue:
        """Those that were found, from the first day on."""
        quakes = self.truth.quakes
        since = quakes.at(quakes.time >= self.days[0])
        found = since.at(self.truth.found(since))
        table = _table(self.truth, found, np.random.default_rng((self._seed, 1)))
        return Catalogue(table=table, counts=Counts(rows=len(since), kept=len(found)))

    @property
    def counts(self) -> Mapping[str, int | float]:
        """Earthquakes that struck and that were found, and active pixels."""
        counts = self.catalogue.counts
        found = {"struck": counts.rows, "found": counts.kept}
        if self.assembled:
            found["active_pixels"] = sum(self.assembled.active.values())
        return found

    def blocks(self, length: int) -> Iterator[Days]:
        """Yield all days, `length` at a time."""
        shocks = grid.shocks(self.catalogue.earthquakes, self.pixels)
        return grid.by_block(shocks, self.pixels, self.days, length)

    def write(self, data: Path, advance: Advance) -> None:
        """Write the events, what is made of them, and the best forecast."""
        write_events(self.catalogue, data / "events.parquet")
        given = Given(
            labels=fault_of(self.truth.background, self.pixels),
            completeness=self.catalogue.completeness,
        )
        self.assembled = assemble.assemble(
            self, self.plan, given, data, lambda share: advance(0.1 * share)
        )
        self._write_oracle(data, lambda share: advance(0.1 + 0.9 * share))

    def complete(self, record: Record) -> Record:
        """Add what was drawn."""
        if self.assembled is None:
            msg = "complete() was called before write()"
            raise RuntimeError(msg)
        law, counts = self.truth.law, self.catalogue.counts
        built = provenance.Built(
            form="",
            extract=False,
            plan=self.plan,
            assembled=self.assembled,
            days=self.days,
            catalogue=self.catalogue,
            told=(
                f"Simulated with seed {self._seed}: k {law.k:.3g}, p {law.p:g}, c {law.c:.2g} "
                f"days, q {law.q:g}, d {law.d:g} km, alpha {law.alpha:g}, b {law.b:g}, "
                f"branching ratio {law.branching_ratio:.3f}, {self._size.rate:g} earthquakes "
                f"a year that none has triggered. {counts.rows} struck, {counts.kept} of them "
                "were found in the grid, which are complete from magnitude "
                f"{self.truth.complete(np.array(self.days)).round(2).tolist()} on in the first "
                "and the last year.",
                f"{EXPECTED!r} is the mean over {self._size.draws} futures of each fortnight, "
                "drawn from the same process.",
            ),
        )
        return provenance.complete(record, built)

    def _write_oracle(self, data: Path, advance: Advance) -> None:
        with xr.open_zarr(data / "fortnights.zarr", decode_times=False) as series:
            locations, days = (series[name].values for name in ("location", "time"))
            attributes = {name: dict(series[name].attrs) for name in ("location", "time")}
        epoch = int(np.datetime64("1950-01-01", "D").astype(int))
        expected = expectation(
            self.truth,
            locations.astype(np.int64),
            days.astype(np.int64) + epoch,
            draws=self._size.draws,
            seed=self._seed,
            advance=advance,
        )
        title = "The best forecast of simulated earthquakes"
        store = ArrayStore(data / f"{ASSET}.zarr", title)
        store.put(
            EXPECTED,
            ("location", "time", "ahead"),
            expected,
            {
                "units": "1",
                "long_name": "expected magnitude of the energy of a window after the fortnight",
            },
        )
        for name, values in (("location", locations), ("time", days)):
            store.put(name, [name], values, attributes[name])
        store.close()


def fault_of(background: Background, pixels: Pixels) -> Int:
    """Return the nearest fault of each pixel's centre, (pixels,)."""
    wide, high = pixel_size(pixels)
    y, x = np.divmod(np.arange(pixels.count), pixels.columns)
    east, north = (x + 0.5) * wide, (pixels.rows - y - 0.5) * high
    begin, end = background.faults[:, :2], background.faults[:, 2:]
    along = end - begin
    point = np.stack([east, north], axis=-1)[:, None] - begin
    share = np.clip((point * along).sum(-1) / (along**2).sum(-1), 0, 1)
    away = np.hypot(*np.moveaxis(point - share[..., None] * along, -1, 0))
    nearest: Int = away.argmin(axis=1).astype(np.int64)
    return nearest


def _table(truth: Truth, found: Quakes, random: np.random.Generator) -> pa.Table:
    """Write them as a catalogue does: magnitudes to 0.01, places to 0.00001 degrees."""
    latitude, longitude = truth.places(found)
    depth = random.normal(_DEPTH, _DEPTH_SPREAD, len(found))
    while (beyond := (depth < 0) | (depth > _DEEPEST)).any():
        depth[beyond] = random.normal(_DEPTH, _DEPTH_SPREAD, int(beyond.sum()))
    texts = {"magnitude_type": "", "event_type": EARTHQUAKE, "quality": ""}
    columns = {
        "id": [f"sim{n:06d}" for n in range(len(found))],
        "time": pa.array((found.time * _DAY_US).astype(np.int64)).cast(
            SCHEMA.field("time").type
        ),
        "latitude": latitude.round(5),
        "longitude": longitude.round(5),
        "depth": depth.round(2),
        "magnitude": found.magnitude.round(2),
        **{name: [text] * len(found) for name, text in texts.items()},
    }
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


RECIPE = Mini()
