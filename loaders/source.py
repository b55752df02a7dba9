"""Which samples of which published asset: small, and the same in every process."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from scidata.digest import Digest
from scidata.errors import Damage
from scidata.loaders.cache import Cache
from scidata.loaders.fetch import open_file, read_object
from scidata.loaders.places import AssetObjects, Place, Spread, damaged, view_of
from scidata.manifest import Manifest
from scidata.record import Samples

if TYPE_CHECKING:
    from torch import Tensor

Transform = Callable[[dict[str, "Tensor"]], dict[str, "Tensor"]]
"""Of a sample: its tensors by name, without the batch's dimension."""


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A published asset, as it may travel to another process: without credentials."""

    key: str
    kind: str = "zarr"
    path: str = ""
    """Of a single file: its name below `objects`."""
    objects: AssetObjects
    """Of a folder: what is in it, such as ``zarr.json``."""
    manifest: Manifest
    """Relative to `objects`."""
    consolidated: bool = False
    references: bytes = b""
    """Of kind ``references``: the index of its files, compressed by zlib."""
    where: str
    """For messages."""
    compared: bool = False
    """Read whole files only, and compare them with their digests."""

    def open(self, path: str) -> BinaryIO:
        """Open one of its files, for a library that wants a file.

        Raises
        ------
        IntegrityError
            If it is missing, or was to be compared and differs.
        StorageError
            If the store cannot be read.
        """
        if self.compared:
            return io.BytesIO(self.read(path))
        return open_file(view_of(self.objects, path), path, self.where)

    def read(self, path: str) -> bytes:
        """Read one of its files whole, and compare it with its digest; raises as `open`."""
        data = read_object(view_of(self.objects, path), path, self.where)
        if (found := Digest.of(data)) != self.manifest[path]:
            expected = str(self.manifest[path])
            damage = Damage(path=path, state="bad", expected=expected, found=str(found))
            raise damaged(path, self.where, damage)
        return data

    def __getstate__(self) -> dict[str, Any]:
        """Put the objects' place in their stead, so that no credential travels."""
        objects = self.objects
        place = None if isinstance(objects, Spread) else Place.of(objects)
        return {**self.__dict__, "objects": place or objects}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the objects in this process."""
        objects = state["objects"]
        opened = objects.open() if isinstance(objects, Place) else objects
        self.__dict__.update({**state, "objects": opened})


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which samples of which published asset; small, and the same in every process."""

    name: str
    """``tevolop@1.0.0``."""
    digest: str
    asset: Asset
    joined: Mapping[str, Asset] = field(default_factory=dict)
    """Assets that samples gather rows of, by key."""
    samples: Samples
    split: str
    dimension: str
    """Which dimension the split's ids name."""
    ids: tuple[str, ...]
    normalize: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Mean and deviation of the variables that are scaled to 0 and 1."""
    transform: Transform | None = None
    """Applied to every sample: a dictionary of tensors without the batch's dimension."""
    verify: bool = False
    """Compare every object with its digest before it is decoded."""
    cache: Cache | None = None
    """Objects on the local disk; what comes from it was compared, too."""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Along which samples stand; batches hold the index of each under these names."""
        return (*self.samples.each, *(window.dimension for window in self.samples.windows))

    @property
    def whole_objects(self) -> bool:
        """Whether objects are fetched whole, as they must be to compare them."""
        return self.verify or self.cache is not None

    @property
    def where(self) -> str:
        """For messages."""
        return self.asset.where
