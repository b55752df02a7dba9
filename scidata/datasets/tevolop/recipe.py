"""How TEvolOp is built: from which sources, with which options, into what."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from scidata.datasets import Advance, Survey
from scidata.datasets.tevolop import assemble, grid, original, provenance
from scidata.datasets.tevolop.assemble import Given, Outcome, Plan, Quirks
from scidata.datasets.tevolop.events import Catalogue, read_events, write_events
from scidata.datasets.tevolop.grid import Days, Pixels
from scidata.datasets.tevolop.sources import SourceFile, identify, list_files
from scidata.record import Record

# It lies in catalogs/, so that plain Intake opens it beside the catalog that names it.
SHIPPED = Path(str(files("scidata") / "catalogs/tevolop/scedc_socal_1950_2026_m2.5.csv.gz"))
"""The real earthquakes of magnitude 2.5 and above; see SOURCE.md beside it."""


class TEvolOp:
    """The recipe; see `scidata.datasets.Recipe`."""

    spreads = False

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Which fortnights to make: by both rules, the physical or the published alone."""
        return {"quirks": tuple(Quirks)}

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """Tell a folder of the benchmark's own files from catalogues, by content."""
        place = source or SHIPPED
        quirks = Quirks(options["quirks"])
        layout = original.find(place) if place.is_dir() else None
        if layout:
            return _BenchmarkFiles(layout, quirks)
        return _Catalogues(place, identify(list_files(place), place), quirks)


class _Catalogues:
    """Catalogues of events that will be read; see `scidata.datasets.Survey`."""

    def __init__(self, place: Path, found: list[SourceFile], quirks: Quirks) -> None:
        self.place = place
        self.found = found
        self.quirks = quirks

    @property
    def source(self) -> str:
        return self.place.name if self.place == SHIPPED else str(self.place)

    @property
    def form(self) -> str:
        return " and ".join(sorted({file.form.value for file in self.found}))

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        return tuple((file.name, file.path) for file in self.found)

    def prepare(self, *, now: datetime, advance: Advance) -> "_Events":
        """Read every row."""
        size = sum(file.path.stat().st_size for file in self.found)

        def seen(done: int) -> None:
            advance(done / size)

        catalogue = read_events(self.found, now=now, where=self.source, seen=seen)
        return _Events(self, catalogue)


class _Daily:
    """Daily values of an event table; see `scidata.datasets.tevolop.assemble.Daily`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.pixels = Pixels()
        self.shocks = grid.shocks(catalogue.earthquakes, self.pixels)
        self.days = grid.day_range(self.shocks)

    def blocks(self, length: int) -> Iterator[Days]:
        return grid.by_block(self.shocks, self.pixels, self.days, length)


class _Events:
    """Events that were read; see `scidata.datasets.Prepared`."""

    resumable = False

    def __init__(self, survey: _Catalogues, catalogue: Catalogue) -> None:
        self.survey = survey
        self.catalogue = catalogue
        self.daily = _Daily(catalogue)
        self.plan: Plan = assemble.plan(self.daily.days, survey.quirks)
        self.assembled: Outcome | None = None

    @property
    def counts(self) -> Mapping[str, int | float]:
        floor = {"magnitude_floor": self.catalogue.magnitude_floor}
        return {**asdict(self.catalogue.counts), **floor, **_active(self.assembled)}

    @property
    def assets(self) -> tuple[str, ...]:
        return ("events", *self.plan.assets)

    def write(self, data: Path, advance: Advance) -> None:
        write_events(self.catalogue, data / "events.parquet")
        given = Given(completeness=self.catalogue.completeness)
        self.assembled = assemble.assemble(self.daily, self.plan, given, data, advance)

    def complete(self, record: Record) -> Record:
        forms = {file.form.value for file in self.survey.found}
        files = self.survey.files
        built = provenance.Built(
            form=forms.pop() if len(forms) == 1 else "SCEDC",
            extract=len(files) == 1 and provenance.is_extract(_sha256(files[0][1])),
            plan=self.plan,
            assembled=_done(self.assembled),
            days=self.daily.days,
            catalogue=self.catalogue,
        )
        return provenance.complete(record, built)


class _BenchmarkFiles:
    """The benchmark's own files; see `scidata.datasets.Survey`."""

    form = original.FORM

    def __init__(self, layout: original.Layout, quirks: Quirks) -> None:
        self.layout = layout
        self.source = str(layout.folder)
        self.files = layout.files
        self.quirks = quirks

    def prepare(self, *, now: datetime, advance: Advance) -> "_BenchmarkDays":
        """Read the small files; the days are checked while they are written."""
        given = original.read_given(self.layout)
        advance(1)
        return _BenchmarkDays(self, given)


class _BenchmarkDays:
    """Daily values that will be read; see `scidata.datasets.Prepared`."""

    resumable = False

    def __init__(self, survey: _BenchmarkFiles, given: Given) -> None:
        self.survey = survey
        self.given = given
        self.daily = original.DailyFiles(survey.layout)
        self.plan = assemble.plan(self.daily.days, survey.quirks)
        self.assembled: Outcome | None = None

    @property
    def counts(self) -> Mapping[str, int | float]:
        layout = self.survey.layout
        return {
            "days": layout.day_count,
            "pixels": layout.pixels.count,
            **self.daily.totals,
            **_active(self.assembled),
        }

    @property
    def assets(self) -> tuple[str, ...]:
        largest = ("largest",) if self.survey.layout.largest else ()
        return (*largest, *self.plan.assets)

    def write(self, data: Path, advance: Advance) -> None:
        if self.survey.layout.largest:
            original.write_largest(self.survey.layout.largest, data / "largest.parquet")
        self.assembled = assemble.assemble(self.daily, self.plan, self.given, data, advance)

    def complete(self, record: Record) -> Record:
        built = provenance.Built(
            form=original.FORM,
            extract=False,
            plan=self.plan,
            assembled=_done(self.assembled),
            days=self.daily.days,
            catalogue=None,
            benchmark=self.counts,
            has_largest="largest" in self.assets,
        )
        return provenance.complete(record, built)


def _active(assembled: Outcome | None) -> dict[str, int]:
    counts = assembled.active if assembled else {}
    return {f"active_pixels_{rule}": count for rule, count in counts.items()}


def _done(assembled: Outcome | None) -> Outcome:
    if assembled is None:
        msg = "complete() was called before write()"
        raise RuntimeError(msg)
    return assembled


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


RECIPE = TEvolOp()
