"""How CloudMask is built: published files or products, one at a time, into ``scenes.zarr``."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from scidata.datasets import Advance, Survey
from scidata.datasets.cloudmask import product, published
from scidata.datasets.cloudmask.divide import Divided, divide
from scidata.datasets.cloudmask.folder import SceneFile, list_scenes
from scidata.datasets.cloudmask.provenance import Assembled, complete
from scidata.datasets.cloudmask.scene import Scene
from scidata.datasets.cloudmask.store import ASSET, FACTS, Entry, Layout, SceneStore
from scidata.errors import InvalidError, Problem
from scidata.record import Record
from scidata.wording import counted

TITLE = "Sentinel-3 SLSTR scenes with Bayesian cloud flags"
_MOST_LISTED = 100


class CloudMask:
    """The recipe; see `scidata.datasets.Recipe`."""

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """What becomes of damaged files, and which flags of a product are the label."""
        return {"damaged": ("refuse", "skip"), "label": ("bayes", "summary")}

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """List the scenes by their names."""
        if source is None:
            raise InvalidError(
                "cloudmask does not ship with scidata: its files are 163 GB",
                where="cloudmask",
                fix="give --source a folder of S3A_SL_1_RBT*.hdf files; "
                "scidata build cloudmask-mini simulates some",
            )
        scenes, strangers = list_scenes(source)
        return _Files(source, scenes, strangers, options)


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
        self.strangers = strangers
        self.skip = options["damaged"] == "skip"
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


class _Scenes:
    """Scenes whose headers are sound; see `scidata.datasets.Prepared`."""

    resumable = True
    assets = (ASSET,)

    def __init__(self, survey: _Files, now: datetime, advance: Advance) -> None:
        self.survey = survey
        self.problems = [*survey.strangers]
        headers: dict[SceneFile, published.Header] = {}
        for done, scene in enumerate(survey.scenes, start=1):
            try:
                headers[scene] = self._header(scene, now)
            except InvalidError as error:
                self.problems += error.problems
            advance(done / len(survey.scenes))
        self.common = _common(headers)
        for scene, header in headers.items():
            if (header.size, header.truth) != (self.common.size, self.common.truth):
                self.problems.append(_other_layout(scene, header, self.common))
        bad = {problem.path for problem in self.problems}
        self.scenes = [scene for scene in headers if scene.name not in bad]
        self._refuse_unless_skipped()
        self.written: list[Entry] = []
        self.divided = Divided(parts={}, orbits_apart=0)

    @property
    def counts(self) -> Mapping[str, int | float]:
        days = sum(entry.day for entry in self.written)
        return {
            "scenes": len(self.written) or len(self.scenes),
            "day": days,
            "night": len(self.written) - days,
            "skipped": len(self.skipped),
        }

    @property
    def skipped(self) -> list[str]:
        """Names of the files that were left out."""
        return sorted({problem.path for problem in self.problems})

    def write(self, data: Path, advance: Advance) -> None:
        """Write scene after scene; what is damaged inside is named when all were read."""
        layout = Layout(
            title=TITLE,
            height=self.common.height,
            width=self.common.width,
            truth=self.common.truth,
            facts=tuple(FACTS),
        )
        store = SceneStore(data, layout, len(self.scenes))
        self.written = []
        for done, entry in enumerate(self._each(store), start=1):
            if entry:
                self.written.append(entry)
            advance(done / len(self.scenes))
        self._refuse_unless_skipped()
        store.finish(self.written)
        self.divided = divide(data, self.scenes, self.written)

    def complete(self, record: Record) -> Record:
        return complete(
            record,
            Assembled(
                origin=f"Read from {self.survey.form}",
                label=self.survey.label,
                size=self.common.size,
                truth=self.common.truth,
                entries=self.written,
                divided=self.divided,
                problems=self.problems,
            ),
        )

    def _each(self, store: SceneStore) -> Iterator[Entry | None]:
        slot = 0
        for scene in self.scenes:
            stamp = scene.stamp
            entry = store.held(slot, scene.said.stem, stamp)
            if entry is None:
                try:
                    entry = store.put(slot, scene.said.stem, stamp, self._scene(scene))
                except InvalidError as error:
                    self.problems += error.problems
            slot += entry is not None
            yield entry

    def _header(self, scene: SceneFile, now: datetime) -> published.Header:
        if scene.said.start > now:
            message = f"its time {scene.said.start:%Y-%m-%dT%H:%M:%SZ} is yet to come"
            problem = Problem(
                code="future", path=scene.name, message=message, fix="correct its name"
            )
            raise InvalidError.listing([problem], where=scene.name, fix=problem.fix)
        if scene.form == "product":
            return product.read_header(scene.path, scene.name)
        return published.read_header(scene.path, scene.name)

    def _scene(self, scene: SceneFile) -> Scene:
        said = scene.said
        facts = {
            "time": int(said.start.timestamp()),
            "cycle": said.cycle,
            "orbit": said.orbit,
            "frame": said.frame,
        }
        if scene.form == "product":
            return product.read_scene(scene.path, scene.name, facts, label=self.survey.label)
        return published.read_scene(scene.path, scene.name, facts)

    def _refuse_unless_skipped(self) -> None:
        if self.problems and not self.survey.skip:
            files = len(self.skipped)
            fixes = {problem.fix for problem in self.problems}
            raise InvalidError(
                f"{counted(files, 'file')} of {len(self.survey.scenes)} cannot be used, first "
                f"{self.problems[0].path}: {self.problems[0].message}",
                where=self.survey.source,
                fix=fixes.pop()
                if len(fixes) == 1 and all("skip" not in fix for fix in fixes)
                else "mend or remove what is listed, or add --damaged skip, and run the same "
                "command again: what was read is kept",
                problems=self.problems[:_MOST_LISTED],
            )
        if not self.scenes:
            raise InvalidError(
                "no scene is left: every file is damaged or of another sensor",
                where=self.survey.source,
                fix="give --source another folder",
                problems=self.problems[:_MOST_LISTED],
            )


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
