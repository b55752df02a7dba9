"""What recipes of single real scenes share: a source that must be given, tiles as output."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from scidata.datasets import Advance
from scidata.datasets.cloudmask import tiles
from scidata.datasets.cloudmask.tiles import Image, Look, Tiled
from scidata.record import Record

Reader = Callable[[Sequence[tuple[str, Path]]], list[Image]]
"""Makes images of the files of a source."""


class Single:
    """One scene that will be read; see `scidata.datasets.Survey`."""

    def __init__(
        self,
        source: Path,
        files: Sequence[tuple[str, Path]],
        *,
        form: str,
        read: Reader,
        look: Look,
    ) -> None:
        self.source = str(source)
        self.files = tuple(files)
        self.form = form
        self.look = look
        self._read = read

    def prepare(self, *, now: datetime, advance: Advance) -> "_Tiles":
        """Read everything: it is small."""
        images = self._read(self.files)
        advance(1)
        return _Tiles(images, self.look)


class _Tiles:
    """Images that were read; see `scidata.datasets.Prepared`."""

    resumable = False
    assets = (tiles.ASSET,)

    def __init__(self, images: list[Image], look: Look) -> None:
        self._images, self._look = images, look
        self._tiled: Tiled | None = None

    @property
    def counts(self) -> Mapping[str, int | float]:
        found: dict[str, int | float] = {"images": len(self._images)}
        if self._tiled:
            found |= {"tiles": self._tiled.count, "left_out": self._tiled.left_out}
        return found

    def write(self, data: Path, advance: Advance) -> None:
        self._tiled = tiles.write_tiles(data, self._images, self._look)
        advance(1)

    def complete(self, record: Record) -> Record:
        if self._tiled is None:
            msg = "complete() was called before write()"
            raise RuntimeError(msg)
        return tiles.complete(record, self._tiled, self._look)
