"""How stemdl-reconstruction-mini is built: rasters of real structures and homologues."""

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from scidata.datasets import Advance, Survey, given
from scidata.datasets.assembling import Assembled, Parts, divide
from scidata.datasets.damage import Damage
from scidata.datasets.reconstruction.environment import write_environment
from scidata.datasets.reconstruction.layout import (
    ASSET,
    CBED,
    KNOWN,
    POTENTIAL,
    Shape,
    layout,
)
from scidata.datasets.reconstruction.provenance import complete
from scidata.datasets.reconstruction.raster import Scan, simulate
from scidata.datasets.sample_store import Written, write_samples
from scidata.datasets.samples import Sample
from scidata.datasets.stemdl import mini as structures
from scidata.datasets.stemdl.crystals import prototypes, require_extra
from scidata.datasets.stemdl.mini import Material
from scidata.datasets.stemdl.splits import by_key
from scidata.datasets.stemdl.zones import ZONES, zones
from scidata.record import Record

TITLE = "Simulated rasters of diffraction patterns, and the projected potential of each"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is simulated."""

    groups: int
    materials: int
    """Of each space group."""
    views: int
    """Of each zone axis, each turned and shifted at random."""
    scan: Scan = field(default_factory=Scan)


SIZES = {
    "mini": Size(groups=20, materials=8, views=1),
    "small": Size(groups=8, materials=5, views=1),
    "tiny": Size(
        groups=3, materials=3, views=1, scan=Scan(probes=4, pixels=16, field=4.0, box=8.0)
    ),
}


class Mini:
    """The recipe; see `scidata.datasets.Recipe`."""

    spreads = True

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Number of materials, and the seed."""
        return {"size": tuple(SIZES), "seed": tuple(str(n) for n in range(10))}

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """Plan; there is nothing to read."""
        given.none(source, "stemdl-reconstruction-mini", published="stemdl-reconstruction")
        require_extra()
        return _Simulation(options)


@dataclass(frozen=True, kw_only=True)
class View:
    """What the samples of a material are computed from."""

    material: Material
    views: int
    seed: int
    scan: Scan

    @property
    def count(self) -> int:
        """One sample a zone axis and view."""
        return ZONES * self.views

    @property
    def stamp(self) -> str:
        """What the samples are computed from."""
        return f"{self.material.stamp} {self.views} {self.seed} {self.scan}"

    def produce(self) -> list[Sample]:
        """Simulate every zone axis in every view."""
        crystal, name = self.material.crystal, self.material.name
        random = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        facts = {
            "material": name,
            "space_group": crystal.space_group,
            "formula": crystal.formula,
            "prototype": crystal.name,
        }
        samples = []
        for number, zone in enumerate(zones(crystal)):
            for view in range(self.views):
                turn = float(random.uniform(0, 2 * math.pi))
                x, y = (float(v) for v in random.uniform(-0.5, 0.5, 2) * self.scan.box / 2)
                cbed, potential = simulate(crystal, zone, turn, (x, y), self.scan)
                samples.append(
                    Sample(
                        id=f"{name}-{number}{view}",
                        arrays={CBED: cbed, POTENTIAL: potential},
                        facts=facts,
                    )
                )
        return samples


def plan(size: Size, seed: int) -> list[View]:
    """Choose the materials, as stemdl-mini does."""
    wanted = structures.Size(groups=size.groups, materials=size.materials, energies=(100,))
    return [
        View(material=material, views=size.views, seed=seed, scan=size.scan)
        for material in structures.choose(prototypes(), wanted, seed)
    ]


def write_published(folder: Path, *, size: str = "tiny", seed: int = 0) -> list[Path]:
    """Write simulated samples in the published layout: LMDB, two to train and one to evaluate.

    Returns
    -------
    list of Path
        Of the data files; no material is in two of them.
    """
    require_extra()
    names = ("batch_train_0.db", "batch_train_1.db", "batch_eval_0.db")
    batches: dict[str, list[Sample]] = {name: [] for name in names}
    for number, view in enumerate(plan(SIZES[size], seed)):
        batches[names[number % len(names)]] += view.produce()
    for name, samples in batches.items():
        write_environment(folder / name, samples)
    return [folder / name for name in names]


class _Simulation:
    """Materials that will be chosen; see `scidata.datasets.Survey`."""

    files = ()

    def __init__(self, options: Mapping[str, str]) -> None:
        self.options = options
        self.source = "prototypes of AFLOW that ship with pymatgen"

    @property
    def form(self) -> str:
        return f"seed {self.options['seed']}, size {self.options['size']}"

    def prepare(self, *, now: datetime, advance: Advance) -> "_Rasters":
        size = SIZES[self.options["size"]]
        views = plan(size, int(self.options["seed"]))
        advance(1.0)
        return _Rasters(self, size, views)


class _Rasters:
    """Rasters that will be simulated; see `scidata.datasets.Prepared`."""

    resumable = True
    assets = (ASSET,)

    def __init__(self, survey: _Simulation, size: Size, views: list[View]) -> None:
        self.survey, self.views = survey, views
        self.layout = layout(
            TITLE,
            Shape(probes=size.scan.probes**2, side=size.scan.pixels),
            units={CBED: "1", POTENTIAL: "V angstrom"},
            facts=KNOWN,
        )
        self.written = Written()
        self.parts: dict[str, Parts] = {}

    @property
    def counts(self) -> Mapping[str, int | float]:
        return {
            "space_groups": len({v.material.crystal.space_group for v in self.views}),
            "materials": len(self.views),
            "samples": sum(view.count for view in self.views),
        }

    def write(self, data: Path, advance: Advance) -> None:
        """Simulate material after material, or many at once."""
        self.written = write_samples(data, self.layout, self.views, advance)
        found = by_key(self.written.ids, self.written.facts, "material")
        self.parts = {"material": found} if found else {}
        divide(data, self.layout, self.written, self.parts)

    def complete(self, record: Record) -> Record:
        return complete(
            record,
            Assembled(
                origin=f"Simulated with seed {self.survey.options['seed']}: {len(self.views)} "
                f"materials of {self.survey.source}, and homologues",
                layout=self.layout,
                written=self.written,
                parts=self.parts,
                damage=Damage(source=self.survey.source, skip=False),
            ),
        )


RECIPE = Mini()
