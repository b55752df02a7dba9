"""How STEMDL for classification is built: published files, one after another, scaled."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from scidata.datasets import Advance, Survey, given
from scidata.datasets.assembling import Assembled, Parts, divide
from scidata.datasets.damage import Damage
from scidata.datasets.sample_store import Written, write_samples
from scidata.datasets.samples import Unit
from scidata.datasets.stemdl import npz, published
from scidata.datasets.stemdl.folder import Found, list_files
from scidata.datasets.stemdl.layout import ASSET, layout
from scidata.datasets.stemdl.provenance import complete, overlap, parts_of
from scidata.datasets.stemdl.scaling import SIDE
from scidata.datasets.stemdl.splits import as_found
from scidata.errors import InvalidError, Problem
from scidata.record import Record
from scidata.warning import warn

TITLE = "Electron diffraction patterns of crystals, three projections a sample"
_CHUNK, _SHARD = 8, 256


class Stemdl:
    """The recipe; see `scidata.datasets.Recipe`."""

    spreads = True

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """What becomes of damaged files and samples."""
        return {"damaged": ("refuse", "skip")}

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """List the files by their names."""
        place = given.required(
            source,
            "stemdl-classification",
            "a folder of batch_*.h5 or sample-*.npz",
            size="its files are 549 GB",
            simulated="stemdl-mini",
        )
        files, strangers = list_files(place)
        return _Files(place, files, strangers, options)


class _Files:
    """Files that will be read; see `scidata.datasets.Survey`."""

    def __init__(
        self,
        source: Path,
        found: list[Found],
        strangers: list[Problem],
        options: Mapping[str, str],
    ) -> None:
        self.source = str(source)
        self.found = found
        self.damage = Damage(
            source=self.source, skip=options["damaged"] == "skip", problems=strangers
        )
        self.is_npz = found[0].form == "npz"

    @property
    def form(self) -> str:
        return "NPZ" if self.is_npz else "HDF5"

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        return tuple((file.name, file.path) for file in self.found)

    def prepare(self, *, now: datetime, advance: Advance) -> "_Samples":
        """Read the header of every batch."""
        if self.is_npz:
            warn(
                "NPZ files name no material: whether one is in two parts cannot be known, and "
                "the published parts may leak; the archive's HDF5 files name it"
            )
            return _Samples(self, _bundles(self.found), SIDE)
        headers: dict[Found, tuple[tuple[str, ...], int]] = {}
        for done, file in enumerate(self.found, start=1):
            try:
                headers[file] = published.read_header(file.path, file.name)
            except InvalidError as error:
                self.damage.problems += error.problems
            advance(done / len(self.found))
        sides = Counter(pixels for _, pixels in headers.values())
        pixels = sides.most_common(1)[0][0] if sides else SIDE
        units = [
            published.Batch(
                path=file.path,
                name=file.name,
                samples=samples,
                pixels=pixels,
                stamp=f"{file.stamp} {pixels}",
            )
            for file, (samples, _) in headers.items()
        ]
        return _Samples(self, units, min(SIDE, pixels))


def _bundles(files: Sequence[Found]) -> list[npz.Bundle]:
    step = npz.FILES_A_UNIT
    groups = [files[n : n + step] for n in range(0, len(files), step)]
    return [
        npz.Bundle(
            files=tuple((file.name, file.path) for file in group),
            stamp=hashlib.sha256("\n".join(f.stamp for f in group).encode()).hexdigest(),
        )
        for group in groups
    ]


class _Samples:
    """Files whose headers are sound; see `scidata.datasets.Prepared`."""

    resumable = True
    assets = (ASSET,)

    def __init__(self, survey: _Files, units: Sequence[Unit], side: int) -> None:
        self.survey, self.units, self.damage = survey, units, survey.damage
        self.layout = layout(
            TITLE,
            side,
            npz.FACTS if survey.is_npz else published.FACTS,
            chunk=_CHUNK,
            shard=_SHARD,
        )
        self.written = Written()
        self.parts: Mapping[str, Parts] = {}
        self.overlap: Mapping[str, int] | None = None
        self.damage.judge(left=len(units))

    @property
    def counts(self) -> Mapping[str, int | float]:
        facts = self.written.facts
        return {
            "samples": len(facts) or sum(unit.count for unit in self.units),
            "materials": len({held["material"] for held in facts if "material" in held}),
            "space_groups": len({held["space_group"] for held in facts}),
            "skipped": len(self.damage.paths),
        }

    def write(self, data: Path, advance: Advance) -> None:
        """Write sample after sample; what is damaged is named when all were read."""
        self.written = write_samples(data, self.layout, self.units, advance)
        self.damage.problems += self.written.problems
        self.damage.judge(left=len(self.written.ids))
        roles = self._roles()
        if roles and not self.survey.is_npz and (found := as_found(self.written.ids, roles)):
            self.overlap = overlap(self.written, found)
        self.parts = parts_of(self.written, roles)
        divide(data, self.layout, self.written, self.parts)

    def complete(self, record: Record) -> Record:
        return complete(
            record,
            Assembled(
                origin=f"Read from {self.survey.form}, logarithm and area mean as published",
                layout=self.layout,
                written=self.written,
                parts=self.parts,
                damage=self.damage,
            ),
            self.overlap,
        )

    def _roles(self) -> Mapping[str, str] | None:
        """Return the part that the source has each sample in, if it has all in one."""
        by_stem = {file.path.stem: file.role for file in self.survey.found}
        roles = {i: by_stem[i.partition(".")[0]] for i in self.written.ids}
        known = {i: role for i, role in roles.items() if role}
        return known if len(known) == len(roles) else None


RECIPE = Stemdl()
