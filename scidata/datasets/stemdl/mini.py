"""How stemdl-mini is built: real structures and homologues, and multislice patterns of them."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from scidata.datasets import Advance, Survey
from scidata.datasets.assembling import Assembled, Parts, divide
from scidata.datasets.damage import Damage
from scidata.datasets.sample_store import Written, write_samples
from scidata.datasets.samples import Facts, Sample
from scidata.datasets.stemdl import published
from scidata.datasets.stemdl.crystals import Crystal, prototypes, read_cif, require_extra
from scidata.datasets.stemdl.homologues import homologues
from scidata.datasets.stemdl.layout import ASSET, FACTS, VARIABLE, layout
from scidata.datasets.stemdl.provenance import complete, parts_of
from scidata.datasets.stemdl.scaling import Float, log_scale
from scidata.datasets.stemdl.simulate import Optics, patterns, semi_angle
from scidata.datasets.stemdl.zones import zones
from scidata.errors import InvalidError, NotFoundError, Problem
from scidata.record import Record

TITLE = "Simulated electron diffraction patterns of crystals, three zone axes a sample"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is simulated."""

    groups: int
    materials: int
    """Of each space group."""
    energies: tuple[int, ...]
    """keV."""
    optics: Optics = field(default_factory=Optics)


SIZES = {
    "mini": Size(groups=30, materials=8, energies=tuple(range(100, 200, 10))),
    "small": Size(groups=10, materials=6, energies=(100, 140, 180)),
    "tiny": Size(groups=4, materials=3, energies=(100, 180), optics=Optics(pixels=32)),
}
_STEP = 16
"""Values are multiples of 1/16, that is 0.6 percent of the intensity: what is smaller is noise
of single precision, and would be most of the bytes."""
_UNITS_A_SHARD = 4


class Mini:
    """The recipe; see `scidata.datasets.Recipe`."""

    spreads = True

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Number of groups, materials and energies; the seed; what becomes of damaged CIFs."""
        return {
            "size": tuple(SIZES),
            "seed": tuple(str(n) for n in range(10)),
            "damaged": ("refuse", "skip"),
        }

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """List the structures; without a source, those that ship with pymatgen."""
        require_extra()
        return _Structures(source, options)


@dataclass(frozen=True, kw_only=True)
class Material:
    """A crystal whose patterns are one unit of the work."""

    crystal: Crystal
    name: str
    energies: tuple[int, ...]
    optics: Optics

    @property
    def count(self) -> int:
        """One sample an energy."""
        return len(self.energies)

    @property
    def stamp(self) -> str:
        """What the patterns are computed from."""
        held = self.crystal
        digest = hashlib.sha256(repr((self.name, self.energies, self.optics)).encode())
        for values in (held.lattice, held.places, held.numbers):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def produce(self) -> list[Sample | Problem]:
        """Simulate every zone at every energy."""
        return [
            Sample(
                id=f"{self.name}-{energy}",
                arrays={VARIABLE: _rounded(intensity)},
                facts={**facts, "prototype": self.crystal.name},
            )
            for energy, (intensity, facts) in zip(self.energies, self.simulate(), strict=True)
        ]

    def simulate(self) -> list[tuple[Float, Facts]]:
        """Compute intensities, (3, side, side), and facts of every energy."""
        axes = zones(self.crystal)
        seen = [list(patterns(self.crystal, z, self.energies, self.optics)) for z in axes]
        common = {
            "space_group": self.crystal.space_group,
            "material": self.name,
            "formula": self.crystal.formula,
            "z_dirs": [list(zone.along) for zone in axes],
            "y_dirs": [list(zone.across) for zone in axes],
            "semi_angles_rad": [semi_angle(zone) for zone in axes],
            "d_hkls_angstrom": [zone.spacing for zone in axes],
            "abc_angstrom": self.crystal.lengths.tolist(),
            "angles_degree": self.crystal.angles.tolist(),
        }
        return [
            (np.stack([zone[n] for zone in seen]), {**common, "energy_keV": float(energy)})
            for n, energy in enumerate(self.energies)
        ]


def choose(crystals: Sequence[Crystal], size: Size, seed: int) -> list[Material]:
    """Choose the space groups with most structures, and as many materials of each.

    Structures come first, those with fewest atoms before others; homologues of each in turn
    fill up. A group that cannot be filled is left out.
    """
    families: dict[int, list[Crystal]] = defaultdict(list)
    for crystal in crystals:
        families[crystal.space_group].append(crystal)
    materials: list[Material] = []
    groups = 0
    for group in sorted(families, key=lambda g: (-len(families[g]), g)):
        family = sorted(families[group], key=lambda c: (len(c.numbers), c.name))
        chosen = _fill(family[: size.materials], size.materials, seed)
        if len(chosen) < size.materials or groups == size.groups:
            continue
        groups += 1
        materials += [
            Material(
                crystal=crystal,
                name=f"syn-{group:03d}-{n:02d}",
                energies=size.energies,
                optics=size.optics,
            )
            for n, crystal in enumerate(chosen)
        ]
    return sorted(materials, key=lambda material: material.name)


def write_published(folder: Path, *, size: str = "tiny", seed: int = 0) -> list[Path]:
    """Write simulated samples as files in the published layout, HDF5 in three folders.

    Returns
    -------
    list of Path
        One file a part, with one material in three validating and one testing.
    """
    require_extra()
    batches: dict[str, dict[str, tuple[Float, Facts]]] = {"train": {}, "dev": {}, "test": {}}
    for number, material in enumerate(choose(prototypes(), SIZES[size], seed)):
        batch = batches[("train", "dev", "test")[number % 3]]
        for energy, sample in enumerate(material.simulate()):
            batch[f"sample_{number}_{energy}"] = sample
    paths = []
    for name, samples in batches.items():
        paths.append(folder / name / f"batch_{name}_0.h5")
        published.write_batch(paths[-1], samples)
    return paths


def _fill(family: Sequence[Crystal], count: int, seed: int) -> list[Crystal]:
    series = [homologues(crystal, seed) for crystal in family]
    chosen: list[Crystal] = []
    while series and len(chosen) < count:
        for one in list(series):
            found = next(one, None)
            if found is None:
                series.remove(one)
            elif len(chosen) < count:
                chosen.append(found)
    return chosen


def _rounded(intensity: Float) -> Float:
    scaled = log_scale(intensity)
    return np.asarray(np.rint(scaled * _STEP) / _STEP, np.float32)


class _Structures:
    """Structures whose patterns will be simulated; see `scidata.datasets.Survey`."""

    def __init__(self, source: Path | None, options: Mapping[str, str]) -> None:
        self.folder = source
        self.options = options
        self.source = str(source) if source else "prototypes of AFLOW that ship with pymatgen"
        self.files = _list(source) if source else ()

    @property
    def form(self) -> str:
        return f"seed {self.options['seed']}, size {self.options['size']}"

    def prepare(self, *, now: datetime, advance: Advance) -> "_Materials":
        """Read every structure, and have spglib confirm its space group."""
        crystals: list[Crystal] = []
        damage = Damage(source=self.source, skip=self.options["damaged"] == "skip")
        for done, (name, path) in enumerate(self.files, start=1):
            try:
                crystals.append(read_cif(path, name))
            except InvalidError as error:
                damage.problems += error.problems
            advance(done / len(self.files))
        damage.judge(left=len(crystals) if self.folder else 1)
        size = SIZES[self.options["size"]]
        found = crystals if self.folder else prototypes()
        materials = choose(found, size, int(self.options["seed"]))
        groups = {material.crystal.space_group for material in materials}
        if len(groups) < size.groups:
            raise InvalidError(
                f"its structures give {len(groups)} space groups of {size.materials} "
                f"materials, {self.options['size']} wants {size.groups}",
                where=self.source,
                fix="add structures, or take a smaller one: --size tiny",
            )
        return _Materials(self, materials, damage, size)


def _list(source: Path) -> tuple[tuple[str, Path], ...]:
    found = sorted(source.rglob("*.cif")) if source.is_dir() else []
    if not found:
        raise NotFoundError(
            f"there is no folder {str(source)!r} with CIF files",
            where=str(source),
            fix="give --source a folder of *.cif, or leave it out",
        )
    return tuple((path.relative_to(source).as_posix(), path) for path in found)


class _Materials:
    """Materials that will be simulated; see `scidata.datasets.Prepared`."""

    resumable = True
    assets = (ASSET,)

    def __init__(
        self,
        survey: _Structures,
        materials: list[Material],
        damage: Damage,
        size: Size,
    ) -> None:
        self.survey, self.materials, self.damage = survey, materials, damage
        self.layout = layout(
            TITLE,
            size.optics.pixels,
            FACTS,
            chunk=len(size.energies),
            shard=_UNITS_A_SHARD * len(size.energies),
        )
        self.written = Written()
        self.parts: Mapping[str, Parts] = {}

    @property
    def counts(self) -> Mapping[str, int | float]:
        samples = sum(material.count for material in self.materials)
        return {
            "space_groups": len({m.crystal.space_group for m in self.materials}),
            "structures": len({m.crystal.name for m in self.materials}),
            "materials": len(self.materials),
            "samples": samples,
            "skipped": len(self.damage.paths),
        }

    def write(self, data: Path, advance: Advance) -> None:
        """Simulate material after material, or many at once."""
        self.written = write_samples(data, self.layout, self.materials, advance)
        self.parts = parts_of(self.written)
        divide(data, self.layout, self.written, self.parts)

    def complete(self, record: Record) -> Record:
        homologous = len(self.materials) - len({m.crystal.name for m in self.materials})
        return complete(
            record,
            Assembled(
                origin=f"Simulated with seed {self.survey.options['seed']} of "
                f"{self.survey.source}: {len(self.materials) - homologous} structures and "
                f"{homologous} homologues, their space groups confirmed by spglib",
                layout=self.layout,
                written=self.written,
                parts=self.parts,
                damage=self.damage,
            ),
        )


RECIPE = Mini()
