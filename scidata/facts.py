"""Facts about a version that are computed from its bytes, never typed by hand.

Pure. `scidata.measure` computes them from a staged dataset; `scidata.formats` turns them,
with the record, into every outward form. Stored in each version as ``meta/facts.json``.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scidata.digest import Digest
from scidata.errors import InvalidError, Problem
from scidata.version import DATASET_ID

STATISTICS = "data/statistics.json"
"""Count, mean, deviation and range of each variable, in a staged dataset and in a version."""

AssetKind = Literal["zarr", "parquet", "splits", "file"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Variable(_Frozen):
    """An array of a store, or a column of a table."""

    name: str
    dtype: str
    """NumPy's or Arrow's name, such as ``float32`` or ``timestamp[us, tz=UTC]``."""
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    units: str | None = None
    description: str | None = None
    standard_name: str | None = None
    """CF standard name."""
    coordinate: bool = False
    """Labels a dimension rather than measures something."""


class Asset(_Frozen):
    """One array store, table, folder of splits or other file inside a version."""

    key: str
    """Last path component without its suffix: ``grid`` for ``data/grid.zarr``."""
    kind: AssetKind
    path: str
    """Below the version's prefix, such as ``data/grid.zarr``."""
    media_type: str
    files: int
    bytes: int
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the file; for a directory of its manifest lines with the asset's path stripped."""
    variables: tuple[Variable, ...] = ()
    consolidated: bool = False
    """Zarr only: the root ``zarr.json`` holds the metadata of every array."""
    references: str | None = None
    """Path in the version of an index that makes one Zarr store of these files, if there is
    one; then `variables` are the store's."""


class Facts(_Frozen):
    """What is known of a version before it is committed; all outward forms come from it."""

    dataset: Annotated[str, Field(pattern=f"^{DATASET_ID}$")]
    version: str
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    """Of the canonical manifest."""
    files: int
    bytes: int
    created: str
    """UTC, ISO 8601 with ``Z``: when publishing began."""
    assets: tuple[Asset, ...]
    parent: str | None = None
    """Version number that this one continues."""

    @property
    def name(self) -> str:
        """``dataset@version``."""
        return f"{self.dataset}@{self.version}"

    @property
    def manifest_digest(self) -> Digest:
        """The digest, parsed."""
        return Digest.parse(self.digest)


def parse_facts(data: bytes, *, where: str) -> Facts:
    """Read ``meta/facts.json``.

    Raises
    ------
    InvalidError
        Naming every field that this scidata does not understand.
    """
    try:
        return Facts.model_validate_json(data)
    except ValidationError as error:
        problems = [
            Problem(
                code="facts",
                path=".".join(map(str, found["loc"])) or "facts",
                message=found["msg"],
                fix="upgrade scidata",
            )
            for found in error.errors(include_url=False, include_input=False)
        ]
        raise InvalidError.listing(problems, where=where, fix="upgrade scidata") from error
