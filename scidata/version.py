"""Version numbers, references such as ``tevolop@1.0.0``, and the commit record of a version.

Pure. Reading and writing commit records in a store belongs to `scidata.resolve` and
`scidata.publish`.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from scidata.digest import Digest
from scidata.errors import IntegrityError, InvalidError

DATASET_ID = r"[a-z0-9][a-z0-9-]{1,62}"
FORMAT = "scidata-version/1"
MAX_COMMIT_BYTES = 64 * 1024
MAX_FAULTS = 3

_NUMBER = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")
_HEX = r"^[0-9a-f]{64}$"


@dataclass(frozen=True, order=True)
class VersionNumber:
    """MAJOR.MINOR.PATCH, ordered as numbers. ``VersionNumber.parse(str(v)) == v``.

    Examples
    --------
    >>> VersionNumber.parse("1.10.0") > VersionNumber.parse("1.9.0")
    True
    """

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read three dotted numbers without leading zeros.

        Raises
        ------
        InvalidError
            If the text is anything else.
        """
        match = _NUMBER.fullmatch(text)
        if match is None:
            raise InvalidError(
                f"{text!r} is not a version number",
                where="version",
                fix="write MAJOR.MINOR.PATCH, such as 1.0.0",
            )
        return cls(*(int(group) for group in match.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A dataset, and possibly which version of it: by number or by digest."""

    dataset: str
    number: VersionNumber | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``dataset``, ``dataset@1.0.0`` or ``dataset@sha256:…``.

        Raises
        ------
        InvalidError
            If the name, the number or the digest is malformed.
        """
        dataset, at, rest = text.partition("@")
        if not re.fullmatch(DATASET_ID, dataset) or (at and not rest):
            raise InvalidError(
                f"{text!r} does not name a dataset",
                where="reference",
                fix="write name, name@1.0.0 or name@sha256:…; names are lower-case letters, "
                "digits and hyphens",
            )
        if ":" in rest:
            return cls(dataset=dataset, digest=Digest.parse(rest))
        return cls(dataset=dataset, number=VersionNumber.parse(rest) if rest else None)

    def __str__(self) -> str:
        rest = self.number or self.digest
        return f"{self.dataset}@{rest}" if rest else self.dataset


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TagFile(_Frozen):
    """A file that describes the version but is not covered by its manifest."""

    sha256: Annotated[str, Field(pattern=_HEX)]
    size: Annotated[int, Field(ge=0)]


class CommitAsset(_Frozen):
    """One asset as the commit record lists it; variables are in ``meta/facts.json``."""

    key: str
    kind: str
    path: str
    """Below the version's prefix, such as ``data/grid.zarr``."""
    href: str
    """Below the dataset's prefix, such as ``v1.0.0/data/grid.zarr``: in the prefix that holds
    all of it. Of a folder that lies in several, what stands for it: see `prefixes`."""
    files: int
    bytes: int
    sha256: Annotated[str, Field(pattern=_HEX)]
    """Of the file; for a directory of its manifest lines with the asset's path stripped."""


class OutsidePlace(_Frozen):
    """Where files lie that a version adopted: outside its store, and only listed by it."""

    path: str
    """The folder of the version that stands for it, such as ``data/scenes``."""
    url: Annotated[str, Field(max_length=1024)]
    """``s3://bucket/prefix``, ``https://host/path`` or ``file:///folder``: a file's address is
    this and its path below the folder."""
    endpoint: str | None = None
    """S3 server, if it is not AWS."""
    anonymous: bool = False
    """It can be read without credentials."""
    files: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0)]


class ParentVersion(_Frozen):
    """The version that this one continues."""

    version: str
    digest: str


class CommitRecord(_Frozen):
    """``versions/1.0.0.json``: the version is published if and only if this object exists."""

    format: Literal["scidata-version/1"] = "scidata-version/1"
    dataset: Annotated[str, Field(pattern=f"^{DATASET_ID}$")]
    version: Annotated[str, Field(pattern=f"^{_NUMBER.pattern}$")]
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    algorithm: Literal["sha256"] = "sha256"
    files: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(ge=0)]
    new_files: Annotated[int, Field(ge=0)] | None = None
    """Files with bytes that neither the parent has anywhere, nor the older versions on which it
    relies; None in records that do not say."""
    new_bytes: Annotated[int, Field(ge=0)] | None = None
    """Of these files: what the version added to the store."""
    parent: ParentVersion | None = None
    prefixes: tuple[str, ...]
    """Folders below the dataset's in which the payload lies, such as ``v1.0.0``: oldest first,
    the version's own last. Laid over each other in this order they give the version."""
    tags: dict[str, TagFile]
    """By key below the dataset's prefix: the bag's tag files and the pinned catalog."""
    assets: tuple[CommitAsset, ...]
    outside: tuple[OutsidePlace, ...] = ()
    """Where adopted files lie; no other host or bucket is ever asked for them."""
    created: str
    """UTC, ISO 8601 with ``Z``: when publishing began (a resumed run keeps it)."""
    tool: str
    commit_id: str
    """Random; tells a lost response from a lost race."""
    unsafe_store: bool = False
    """The store ignores conditional writes; a single writer was promised instead."""

    def has(self, pin: Digest | None) -> bool:
        """Tell whether it has the digest that somebody expects; None expects none."""
        return pin is None or str(pin) == self.digest

    @property
    def number(self) -> VersionNumber:
        """The version number, parsed."""
        return VersionNumber.parse(self.version)

    @property
    def name(self) -> str:
        """``dataset@version``."""
        return f"{self.dataset}@{self.version}"

    @property
    def repeated(self) -> str | None:
        """``dataset@version`` of the parent, if this version has the same data."""
        if self.parent is None or self.parent.digest != self.digest:
            return None
        return f"{self.dataset}@{self.parent.version}"


def parse_commit(data: bytes, *, where: str) -> CommitRecord:
    """Read a commit record that is not trusted.

    Raises
    ------
    IntegrityError
        If it is cut short, not JSON, or has not the fields of a commit record.
    InvalidError
        If a newer scidata wrote it, in a format that this one does not know.
    """
    if len(data) > MAX_COMMIT_BYTES:
        raise damaged_commit(f"it has {len(data)} bytes, which are too many", where=where)
    try:
        # What stands twice would be read here as its last value, elsewhere as its first.
        if twice := _repeated(data):
            raise damaged_commit(f"it says {twice!r} twice", where=where)
        return CommitRecord.model_validate_json(data)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        if (newer := _newer_format(faults)) is not None:
            raise InvalidError(
                f"its format is {newer!r}, and this scidata reads {FORMAT!r}",
                where=where,
                fix="upgrade scidata: pip install --upgrade fair-scidata",
            ) from error
        raise damaged_commit(_fault_of(data, faults), where=where) from error


def commit_bytes(record: CommitRecord) -> bytes:
    """Write a commit record: UTF-8 JSON with sorted keys and a final line feed.

    The law: ``parse_commit(commit_bytes(r), where="") == r``.
    """
    fields: dict[str, Any] = record.model_dump(mode="json")  # Any: JSON at the edge
    return (json.dumps(fields, sort_keys=True, ensure_ascii=False, indent=1) + "\n").encode()


def damaged_commit(fault: str, *, where: str) -> IntegrityError:
    """Say that what lies in a commit record's place is none."""
    return IntegrityError(
        f"the commit record is damaged: {fault}",
        where=where,
        fix="bring this one file back from another copy of the store, or report it to whoever "
        "runs the store; the other versions can still be read",
    )


def _repeated(data: bytes) -> str | None:
    """Return a name that stands twice in the same JSON object; None also if it is not JSON."""
    twice: list[str] = []

    def note(pairs: list[tuple[str, object]]) -> None:
        counts = Counter(name for name, _ in pairs)
        twice.extend(name for name, count in counts.items() if count > 1)

    with suppress(ValueError, RecursionError):
        json.loads(data, object_pairs_hook=note)
    return twice[0] if twice else None


def _newer_format(faults: Sequence[ErrorDetails]) -> str | None:
    found = next((f["input"] for f in faults if f["loc"] == ("format",)), None)
    written = isinstance(found, str) and re.fullmatch(r"scidata-version/\d{1,9}", found)
    return found if written else None


def _fault_of(data: bytes, faults: Sequence[ErrorDetails]) -> str:
    """Say what is wrong as somebody would who looks at the file, not as a parser does."""
    if not data.strip():
        return "it is empty"
    if faults[0]["type"] == "json_invalid":
        return "it is not JSON, or cut short"
    if not faults[0]["loc"]:
        return "it holds something else than named fields"
    said = {"missing": "lacks", "extra_forbidden": "has the unknown field"}
    names = [
        f"{said.get(f['type'], 'has a wrong value in')} {'.'.join(map(str, f['loc']))!r}"
        for f in faults
    ]
    more = f" and {len(names) - MAX_FAULTS} more faults" if names[MAX_FAULTS:] else ""
    return f"it {', '.join(names[:MAX_FAULTS])}{more}"
