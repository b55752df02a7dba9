"""The files of a submission as anybody may have made them: each is looked at before it is read.

Nothing is followed, nothing is large, and every byte is compared with the folder's manifest.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from scidata.benchmarks import predictions
from scidata.benchmarks.mllog import DIVISION
from scidata.benchmarks.submission import DESCRIPTION, MANIFEST, SCHEMA, Named
from scidata.errors import Damage, IntegrityError, InvalidError, NotFoundError
from scidata.paths import path_fault

MOST_FILES = 100
MOST_DEPTH = 3
MOST_BYTES = 64 * 2**20
"""Of all files but predictions together."""
SUFFIXES = (".md", ".pdf", ".txt", ".json", ".yaml", ".sh", ".py", ".png")
"""Of files beside predictions: what is run and what is read, and nothing to be unpacked."""
MOST_JSON = 8 * 2**20

_LINE = re.compile(r"([0-9a-f]{64})  (\S[^\n]*)")
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _printable(text: str) -> str:
    """Refuse what a terminal would obey."""
    if not text.isprintable():
        raise ValueError("it holds what cannot be printed")
    return text


_Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
_Sentence = Annotated[str, Field(max_length=2000), AfterValidator(_printable)]
_Sentences = Annotated[tuple[_Sentence, ...], Field(max_length=100)]
_Parts = Field(max_length=100)


class _Frozen(BaseModel):
    # Not a number has no place in a ranking.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(_Frozen):
    """The version that was scored on."""

    name: _Text
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    asset: _Text | None
    doi: Annotated[str, Field(pattern=r"^10\.[0-9]{4,9}/[!-;=?-~]{1,200}$")] | None


class Kept(_Frozen):
    """Predictions of a part; without a path they lie elsewhere."""

    path: Annotated[str, Field(pattern=r"^predictions/[a-z0-9-]{1,64}\.safetensors$")] | None
    sha256: _Sha256
    bytes: int
    samples: int


class Submission(_Frozen):
    """``submission.json``."""

    schema_: Annotated[str, Field(alias="schema", pattern=f"^{SCHEMA}$")]
    org: _Text
    system: _Text
    descriptor: _Text
    task: _Text
    profile: _Text
    division: Annotated[str, Field(pattern=f"^{DIVISION}$")]
    created: _Text
    dataset: Data
    metric: _Text
    higher_is_better: bool
    scores: Annotated[
        dict[
            _Text, Annotated[dict[_Text, Annotated[dict[_Text, float | None], _Parts]], _Parts]
        ],
        _Parts,
    ]
    splits: Annotated[dict[_Text, Annotated[dict[_Text, _Text | int], _Parts]], _Parts]
    quirks: _Sentences
    leaks: _Sentences
    predictions: Annotated[dict[_Text, Kept], _Parts]

    @property
    def named(self) -> Named:
        """Who submits what."""
        return Named(org=self.org, system=self.system, descriptor=self.descriptor)


def read_files(folder: Path) -> dict[str, Path]:
    """Return the files of a submission by path, all compared with its manifest.

    Raises
    ------
    NotFoundError
        If there is no such folder, or no manifest in it.
    InvalidError
        If it holds links, devices, paths that may not be, or too much.
    IntegrityError
        If files differ from the manifest; all are named.
    """
    if folder.is_symlink():
        raise _refused(folder.name, "a link or no plain file")
    if not folder.is_dir() or not (folder / MANIFEST).is_file():
        raise NotFoundError(
            f"no submission: there is no {MANIFEST}",
            where=str(folder),
            fix="name a folder that scidata bench submit made",
        )
    files = _held(folder)
    listed = _manifest(files.pop(MANIFEST))
    damage = [Damage(path=path, state="extra") for path in sorted(files.keys() - listed)]
    for path, expected in listed.items():
        if path not in files:
            damage.append(Damage(path=path, state="missing", expected=expected))
        elif (found := _sha256(files[path])) != expected:
            damage.append(Damage(path=path, state="bad", expected=expected, found=found))
    if damage:
        raise IntegrityError(
            f"{len(damage)} files differ from {MANIFEST}, first: {damage[0]}",
            where=str(folder),
            fix="bring the folder as scidata bench submit made it",
            damage=damage,
        )
    return files


def read_submission(files: dict[str, Path]) -> Submission:
    """Read ``submission.json``; `InvalidError` if it is none."""
    document = read_json(files, DESCRIPTION)
    try:
        return Submission.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidError(
            f"{DESCRIPTION}: {place}: {first['msg']}",
            where=DESCRIPTION,
            fix="make it anew: scidata bench submit",
        ) from error


def read_json(files: dict[str, Path], path: str) -> dict[str, Any]:  # Any: JSON
    """Read a JSON object of the folder.

    Raises
    ------
    InvalidError
        If it is missing, too large or no JSON object.
    """
    try:
        data = files[path].read_bytes()[: MOST_JSON + 1]
        found = _once(data) if len(data) <= MOST_JSON else None
    except (OSError, KeyError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidError(
            f"{path} is not there, or no JSON object of up to {MOST_JSON:,} bytes",
            where=path,
            fix="make the folder anew: scidata bench submit",
        )
    return found


def _once(data: bytes) -> Any:  # Any: JSON
    """Read JSON in which no name is there twice: readers would disagree on which one holds."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(found)) < len(found):
            raise ValueError("a name is there twice")
        return dict(found)

    return json.loads(data, object_pairs_hook=pairs)


def _held(folder: Path) -> dict[str, Path]:
    """Return all files by path; refuse too many, too large ones, and other kinds."""
    files: dict[str, Path] = {}
    beside = 0
    for path, place in _walk(folder, "", 1):
        files[path] = place
        if len(files) > MOST_FILES:
            raise _refused(path, f"one of more than {MOST_FILES} files")
        if not path.startswith(f"{predictions.FOLDER}/"):
            beside += place.stat().st_size
            if not path.endswith(SUFFIXES):
                raise _refused(path, f"which is none of {', '.join(SUFFIXES)}")
        if beside > MOST_BYTES:
            raise _refused(path, f"with which all files take more than {MOST_BYTES:,} bytes")
    return files


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = prefix + entry.name
            if (fault := path_fault(path)) is not None:
                raise _refused(path, f"which {fault}")
            if entry.is_dir(follow_symlinks=False):
                if depth == MOST_DEPTH:
                    raise _refused(path, "a folder that deep")
                yield from _walk(Path(entry.path), f"{path}/", depth + 1)
                continue
            if not entry.is_file(follow_symlinks=False):
                raise _refused(path, "a link or no plain file")
            is_large = path.startswith(f"{predictions.FOLDER}/")
            most = 2 * predictions.MOST_BYTES if is_large else MOST_BYTES
            if (size := entry.stat(follow_symlinks=False).st_size) > most:
                raise _refused(path, f"{size:,} bytes")
            yield path, Path(entry.path)


def _manifest(path: Path) -> dict[str, str]:
    text = path.read_bytes()[: MOST_FILES * 1200].decode("utf-8", "replace")
    listed: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or path_fault(match[2]) is not None or match[2] in listed:
            raise _refused(MANIFEST, f"the line {line[:100]!r}")
        listed[match[2]] = match[1]
    return listed


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refused(path: str, what: str) -> InvalidError:
    return InvalidError(
        f"a submission may not hold {path!r}: {what}",
        where=path,
        fix="hold what scidata bench submit writes, and a write-up",
    )
