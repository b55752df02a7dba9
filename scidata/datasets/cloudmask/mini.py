"""How cloudmask-mini is built: simulated scenes, as the real ones, and the truth with them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from scidata.datasets import Advance, Survey, given
from scidata.datasets.assembling import Assembled, divide
from scidata.datasets.cloudmask import bayes, published
from scidata.datasets.cloudmask.folder import Role, SceneFile
from scidata.datasets.cloudmask.layout import ASSET, PIXELS, layout, sample_of
from scidata.datasets.cloudmask.names import parse_name
from scidata.datasets.cloudmask.provenance import complete
from scidata.datasets.cloudmask.scene import Scene
from scidata.datasets.cloudmask.simulate import simulate
from scidata.datasets.cloudmask.splits import Divided, divided
from scidata.datasets.damage import Damage
from scidata.datasets.sample_store import Written, write_samples
from scidata.datasets.samples import Sample
from scidata.record import Record

TITLE = (
    "Simulated scenes of Sentinel-3 SLSTR, with Bayesian cloud flags that err, and the truth"
)
SIZES = {"tiny": (300, 375), "small": (600, 750), "native": (1200, 1500)}
"""Pixels; each has the shape of the real 1200 by 1500."""
FRAMES_AN_ORBIT = 2
_CALIBRATION_SEED, _CALIBRATION_SCENES = 10_000, 20
"""Of the scenes from which the Bayesian classifier learns; none of them is in the dataset."""
_WRONG = "wrong"
"""Tally: pixels in which the label differs from the truth."""
_FIRST = datetime(2019, 10, 1, tzinfo=UTC)
_ORBIT = timedelta(minutes=101)
_FRAME = timedelta(minutes=3)


class Mini:
    """The recipe; see `scidata.datasets.Recipe`."""

    spreads = True

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Size and number of scenes, and the seed."""
        return {
            "size": tuple(SIZES),
            "scenes": ("24", "8", "40"),
            "seed": tuple(str(n) for n in range(10)),
        }

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """Plan which scenes to simulate."""
        given.none(source, "cloudmask-mini", published="cloudmask")
        return _Simulation(options)


def plan(count: int) -> list[SceneFile]:
    """Name the scenes: two frames an orbit; the last quarter of the orbits is for inference."""
    orbits = -(-count // FRAMES_AN_ORBIT)
    return [
        _planned(n, inference=n // FRAMES_AN_ORBIT >= orbits - orbits // 4)
        for n in range(count)
    ]


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """One scene that will be simulated."""

    planned: SceneFile
    number: int
    size: tuple[int, int]
    seed: int
    models: bayes.Models
    """That give it its flags."""

    @property
    def count(self) -> int:
        """One scene."""
        return 1

    @property
    def stamp(self) -> str:
        """What it is computed from."""
        return f"{self.planned.name} {self.number} {self.size} {self.seed}"

    def scene(self) -> Scene:
        """Simulate it, with flags and truth."""
        made, said = simulate(self.seed, self.number, *self.size), self.planned.said
        return Scene(
            refs=made.refs,
            bts=made.bts,
            label=bayes.flags(made, self.models),
            truth=made.truth.astype(np.uint8),
            facts={
                "time": int(said.start.timestamp()),
                "cycle": said.cycle,
                "orbit": said.orbit,
                "frame": said.frame,
            },
        )

    def produce(self) -> Sequence[Sample]:
        """Simulate it, and count the pixels in which the flags err."""
        scene = self.scene()
        wrong = int(np.count_nonzero((scene.label != 0) != (scene.truth != 0)))
        return [sample_of(self.planned.said.stem, scene, **{_WRONG: wrong})]


def simulations(count: int, size: tuple[int, int], seed: int) -> list[Simulation]:
    """Plan scenes, and let the Bayesian classifier learn what gives them flags.

    Parameters
    ----------
    count : int
    size : (int, int)
        Height and width in pixels of 1 km.
    seed : int
        The same seed gives the same scenes.
    """
    tiny = SIZES["tiny"]
    models = bayes.fit(
        simulate(_CALIBRATION_SEED, n, *tiny) for n in range(_CALIBRATION_SCENES)
    )
    return [
        Simulation(planned=planned, number=n, size=size, seed=seed, models=models)
        for n, planned in enumerate(plan(count))
    ]


def scenes(count: int, size: tuple[int, int], seed: int) -> Iterator[tuple[SceneFile, Scene]]:
    """Simulate scenes one by one, as `simulations` plans them."""
    for one in simulations(count, size, seed):
        yield one.planned, one.scene()


def write_published(
    folder: Path, *, count: int = 24, size: tuple[int, int] = SIZES["tiny"], seed: int = 0
) -> list[Path]:
    """Write simulated scenes as files in the published layout, HDF5 in two folders.

    Returns
    -------
    list of Path
        One file a scene, with the variable ``truth``, which real files lack.
    """
    paths = []
    for planned, scene in scenes(count, size, seed):
        path = folder / planned.path
        path.parent.mkdir(parents=True, exist_ok=True)
        published.write_scene(path, scene)
        paths.append(path)
    return paths


class _Simulation:
    """Scenes that will be simulated; see `scidata.datasets.Survey`."""

    source = "a simulation"
    files: tuple[tuple[str, Path], ...] = ()

    def __init__(self, options: Mapping[str, str]) -> None:
        self.size = SIZES[options["size"]]
        self.count = int(options["scenes"])
        self.seed = int(options["seed"])

    @property
    def form(self) -> str:
        height, width = self.size
        return f"seed {self.seed}, {self.count} scenes of {height} by {width} pixels"

    def prepare(self, *, now: datetime, advance: Advance) -> "_Scenes":
        """There is nothing to read."""
        advance(1)
        return _Scenes(self)


class _Scenes:
    """Scenes that will be simulated; see `scidata.datasets.Prepared`."""

    resumable = True
    assets = (ASSET,)

    def __init__(self, survey: _Simulation) -> None:
        self.survey = survey
        self.layout = layout(TITLE, *survey.size, truth=True)
        self.written = Written()
        self.divided = Divided()

    @property
    def counts(self) -> Mapping[str, int | float]:
        days = sum(facts["day"] for facts in self.written.facts)
        night = len(self.written.ids) - days
        return {"scenes": self.survey.count, "day": days, "night": night}

    def write(self, data: Path, advance: Advance) -> None:
        """Simulate scene after scene, or many at once."""
        survey = self.survey
        units = simulations(survey.count, survey.size, survey.seed)
        self.written = write_samples(data, self.layout, units, advance)
        self.divided = divided([unit.planned for unit in units], self.written.ids)
        divide(data, self.layout, self.written, self.divided.parts)

    def complete(self, record: Record) -> Record:
        survey = self.survey
        wrong = self.written.total(_WRONG) / self.written.total(PIXELS)
        return complete(
            record,
            Assembled(
                origin=f"Simulated with seed {survey.seed}; the label differs from the truth "
                f"in {wrong:.1%} of the pixels",
                layout=self.layout,
                written=self.written,
                parts=self.divided.parts,
                damage=Damage(source=survey.source, skip=False),
            ),
            label="bayes",
            orbits_apart=self.divided.orbits_apart,
        )


def _planned(number: int, *, inference: bool) -> SceneFile:
    orbit, frame = divmod(number, FRAMES_AN_ORBIT)
    start = _FIRST + orbit * _ORBIT + frame * _FRAME
    name = (
        f"S3A_SL_1_RBT____{_text(start)}_{_text(start + _FRAME)}_{_text(start + 24 * _ORBIT)}_"
        f"0179_050_{orbit + 1:03d}_{1980 + 180 * frame:04d}_LN2_O_NT_003"
    )
    said = parse_name(name)
    if said is None:
        msg = f"{name!r} is no name of a scene"
        raise RuntimeError(msg)
    role: Role = "inference" if inference else "training"
    path = Path(role) / f"{name}.hdf"
    return SceneFile(path=path, name=path.as_posix(), said=said, form="hdf5", role=role)


def _text(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}"


RECIPE = Mini()
