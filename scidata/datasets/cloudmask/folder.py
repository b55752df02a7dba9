"""The files of a source: which are scenes, and which are not. Looks at names alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias

from scidata.datasets.cloudmask.names import SceneName, parse_name
from scidata.errors import InvalidError, NotFoundError, Problem, StorageError

Form: TypeAlias = Literal["hdf5", "product"]
Role: TypeAlias = Literal["training", "inference"]

MOST_FILES = 100_000
_DEEPEST = 8
_PUBLISHED = (".hdf", ".h5", ".hdf5")
_PRODUCTS = (".SEN3", ".SEN3.nc", ".nc")
_ARRAYS = (*_PUBLISHED, ".nc", ".nc4", ".tif", ".tiff", ".npz", ".zarr", ".SEN3", ".grib")
_INFERENCE = {"inference", "ssts"}
"""Folders of the published test files, by their present name and the one before April 2026."""


@dataclass(frozen=True, kw_only=True)
class SceneFile:
    """One file, or one folder of a product."""

    path: Path
    name: str
    """Below the source; how messages and provenance name it."""
    said: SceneName
    form: Form
    role: Role

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """Every file of it, by its name below the source."""
        if not self.path.is_dir():
            return ((self.name, self.path),)
        inner = sorted(p for p in self.path.rglob("*") if p.is_file())
        return tuple((f"{self.name}/{p.relative_to(self.path).as_posix()}", p) for p in inner)

    @property
    def stamp(self) -> list[int]:
        """What changes when the bytes do: size and times of each file."""
        found: list[int] = []
        for _, path in self.files:
            stat = path.stat()
            found += [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        return found


def list_scenes(source: Path) -> tuple[list[SceneFile], list[Problem]]:
    """List the scenes of a file or folder, sorted by id; and the files of other sensors.

    Hidden files are passed over, and so are those that hold no arrays, such as README.md.

    Raises
    ------
    NotFoundError
        If there is no such file or folder.
    InvalidError
        If there is no scene at all, or a scene twice.
    StorageError
        If a folder cannot be listed.
    """
    if not source.exists():
        raise NotFoundError(
            f"there is no {str(source)!r}",
            where=str(source),
            fix="give --source a folder of S3A_SL_1_RBT*.hdf files, or one of them",
        )
    scenes: list[SceneFile] = []
    strangers: list[Problem] = []
    for path in _listed(source):
        name = path.name if path == source else path.relative_to(source).as_posix()
        said, form = parse_name(path.name), _form(path)
        if said is None or form is None:
            strangers.append(_stranger(name))
        else:
            inner = path.relative_to(source).parts[:-1]
            role: Role = "inference" if _INFERENCE.intersection(inner) else "training"
            scenes.append(SceneFile(path=path, name=name, said=said, form=form, role=role))
    scenes.sort(key=lambda scene: scene.said.stem)
    _check(source, scenes, strangers)
    return scenes, strangers


def _listed(source: Path) -> list[Path]:
    try:
        return list(_candidates(source))
    except OSError as error:
        raise StorageError(
            f"{error.filename or source} cannot be listed: {error.strerror}",
            where=str(source),
            fix="make it readable for this user",
        ) from error


def _candidates(source: Path, depth: int = 0) -> Iterator[Path]:
    if source.is_file() or parse_name(source.name):
        yield source
        return
    for path in sorted(source.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.name.endswith(".SEN3"):
            if depth < _DEEPEST:  # links may go round in circles
                yield from _candidates(path, depth + 1)
        elif path.name.endswith(_ARRAYS):
            yield path


def _form(path: Path) -> Form | None:
    if path.is_dir() or path.name.endswith(_PRODUCTS):
        return "product"
    return "hdf5" if path.name.endswith(_PUBLISHED) else None


def _stranger(name: str) -> Problem:
    return Problem(
        code="other-sensor",
        path=name,
        message="its name is not that of an SLSTR Level-1 file, S3A_SL_1_RBT____…",
        fix="move it away, or skip such files: --damaged skip",
    )


def _check(source: Path, scenes: list[SceneFile], strangers: list[Problem]) -> None:
    if not scenes or len(scenes) > MOST_FILES:
        also = f"; it holds {len(strangers)} files of other sensors" if strangers else ""
        raise InvalidError(
            f"{len(scenes)} files are called S3A_SL_1_RBT____….hdf{also}",
            where=str(source),
            fix="give --source the folder of the published files, or one of them",
            problems=strangers[:100],
        )
    twice = [
        Problem(
            code="scene-twice",
            path=second.name,
            message=f"it has the name of {first.name}",
            fix="keep one of them",
        )
        for first, second in pairwise(scenes)
        if first.said.stem == second.said.stem
    ]
    if twice:
        raise InvalidError.listing(twice, where=str(source), fix="keep one file of each scene")
