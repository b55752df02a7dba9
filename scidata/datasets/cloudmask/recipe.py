"""How CloudMask is built: published files or products, one at a time, into ``scenes.zarr``."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scidata.datasets import Advance, Survey, given
from scidata.datasets.assembling import Assembled, divide
from scidata.datasets.cloudmask import product, published
from scidata.datasets.cloudmask.folder import SceneFile, list_scenes
from scidata.datasets.cloudmask.layout import ASSET, layout, sample_of
from scidata.datasets.cloudmask.provenance import complete
from scidata.datasets.cloudmask.scene import Scene
from scidata.datasets.cloudmask.splits import Divided, divided
from scidata.datasets.damage import Damage
from scidata.datasets.sample_store import Written, write_samples
from scidata.datasets.samples import Sample
from scidata.errors import InvalidError, Problem
from scidata.record import Record

TITLE = "Sentinel-3 SLSTR scenes with Bayesian cloud flags"


class CloudMask:
    """The recipe; see `scidata.datasets.Recipe`."""

    spreads = True

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """What becomes of damaged files, and which flags of a product are the label."""
        return {"damaged": ("refuse", "skip"), "label": ("bayes", "summary")}

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """List the scenes by their names."""
        place = given.required(
            source,
            "cloudmask",
            "a folder of S3A_SL_1_RBT*.hdf files",
            size="its files are 163 GB",
            simulated="cloudmask-mini",
        )
        scenes, strangers = list_scenes(place)
        return _Files(place, scenes, strangers, options)


class _Files:
    """Scenes that will be read; see `scidata.datasets.Survey`."""

    def __init__(
        self,
        source: Path,
        scenes: list[SceneFile],
        strangers: list[Problem],
        options: Mapping[str, str],
    ) -> None:
        self.source = str(source)
        self.scenes = scenes
        self.damage = Damage(
            source=self.source, skip=options["damaged"] == "skip", problems=strangers
        )
        self.label = options["label"]

    @property
    def form(self) -> str:
        return " and ".join(sorted({_FORMS[scene.form] for scene in self.scenes}))

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        return tuple(file for scene in self.scenes for file in scene.files)

    def prepare(self, *, now: datetime, advance: Advance) -> "_Scenes":
        """Read the header of every file."""
        return _Scenes(self, now, advance)


_FORMS = {"hdf5": "HDF5", "product": "SL_1_RBT product"}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One scene that will be read."""

    scene: SceneFile
    label: str
    stamp: str

    @property
    def count(self) -> int:
        """One scene a file."""
        return 1

    def produce(self) -> Sequence[Sample | Problem]:
        """Read it."""
        try:
            return [sample_of(self.scene.said.stem, self._read())]
        except InvalidError as error:
            return error.problems

    def _read(self) -> Scene:
        scene, said = self.scene, self.scene.said
        facts = {
            "time": int(said.start.timestamp()),
            "cycle": said.cycle,
            "orbit": said.orbit,
            "frame": said.frame,
        }
        if scene.form == "product":
            return product.read_scene(scene.path, scene.name, facts, label=self.label)
        return published.read_scene(scene.path, scene.name, facts)


class _Scenes:
    """Scenes whose headers are sound; see `scidata.datasets.Prepared`."""

    resumable = True
    assets = (ASSET,)

    def __init__(self, survey: _Files, now: datetime, advance: Advance) -> None:
        self.survey, self.damage = survey, survey.damage
        headers: dict[SceneFile, published.Header] = {}
        for done, scene in enumerate(survey.scenes, start=1):
            try:
                headers[scene] = _header(scene, now)
            except InvalidError as error:
                self.damage.problems += error.problems
            advance(done / len(survey.scenes))
        common = _common(headers)
        self.damage.problems += [
            _other_layout(scene, header, common)
            for scene, header in headers.items()
            if (header.size, header.truth) != (common.size, common.truth)
        ]
        bad = set(self.damage.paths)
        self.scenes = [scene for scene in headers if scene.name not in bad]
        self.damage.judge(left=len(self.scenes))
        self.layout = layout(TITLE, *common.size, truth=common.truth)
        self.written = Written()
        self.divided = Divided()

    @property
    def counts(self) -> Mapping[str, int | float]:
        days = sum(facts["day"] for facts in self.written.facts)
        count = len(self.written.ids)
        return {
            "scenes": count or len(self.scenes),
            "day": days,
            "night": count - days,
            "skipped": len(self.damage.paths),
        }

    def write(self, data: Path, advance: Advance) -> None:
        """Write scene after scene; what is damaged inside is named when all were read."""
        label = self.survey.label
        units = [
            Reading(scene=scene, label=label, stamp=f"{scene.stamp} {label}")
            for scene in self.scenes
        ]
        self.written = write_samples(data, self.layout, units, advance)
        self.damage.problems += self.written.problems
        self.damage.judge(left=len(self.written.ids))
        self.divided = divided(self.scenes, self.written.ids)
        divide(data, self.layout, self.written, self.divided.parts)

    def complete(self, record: Record) -> Record:
        return complete(
            record,
            Assembled(
                origin=f"Read from {self.survey.form}",
                layout=self.layout,
                written=self.written,
                parts=self.divided.parts,
                damage=self.damage,
            ),
            label=self.survey.label,
            orbits_apart=self.divided.orbits_apart,
        )


def _header(scene: SceneFile, now: datetime) -> published.Header:
    if scene.said.start > now:
        message = f"its time {scene.said.start:%Y-%m-%dT%H:%M:%SZ} is yet to come"
        problem = Problem(
            code="future", path=scene.name, message=message, fix="correct its name"
        )
        raise InvalidError.listing([problem], where=scene.name, fix=problem.fix)
    if scene.form == "product":
        return product.read_header(scene.path, scene.name)
    return published.read_header(scene.path, scene.name)


def _common(headers: Mapping[SceneFile, published.Header]) -> published.Header:
    """Return the layout that most files have; of equals, the first one's."""
    if not headers:
        return published.Header(height=0, width=0, fine=False, truth=False)
    counted_ = Counter((header.size, header.truth) for header in headers.values())
    (size, truth), _ = counted_.most_common(1)[0]
    return published.Header(height=size[0], width=size[1], fine=False, truth=truth)


def _other_layout(
    scene: SceneFile, header: published.Header, common: published.Header
) -> Problem:
    what = (
        f"its scenes are {header.height} by {header.width} pixels, those of most files "
        f"{common.height} by {common.width}"
        if header.size != common.size
        else "it has a true mask, which the others lack"
        if header.truth
        else "it lacks the true mask that the others have"
    )
    return Problem(
        code="shape",
        path=scene.name,
        message=what,
        fix="move it into a folder of its own, or skip it: --damaged skip",
    )


RECIPE = CloudMask()
