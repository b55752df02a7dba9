"""Sources that tests stream from: a folder with a Zarr store, as if it were published."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import obstore.store
import pytest

from scidata.loaders.engine import Batch
from scidata.loaders.source import Asset, Source
from scidata.record import Samples
from tests.windows import manifest_of


def asset_of(folder: Path, **changes: Any) -> Asset:  # Any: the fields of Asset
    """Take a Zarr store in a folder for a published asset."""
    fields = {
        "key": folder.stem,
        "objects": obstore.store.LocalStore(folder),
        "manifest": manifest_of(folder),
        "consolidated": True,
        "where": f"test@1.0.0, asset {folder.stem!r}",
    }
    return Asset(**{**fields, **changes})


def source_of(asset: Asset, samples: Samples, **changes: Any) -> Source:  # Any: of Source
    """Stream samples of an asset."""
    fields = {
        "name": "test@1.0.0",
        "digest": "sha256:" + "0" * 64,
        "asset": asset,
        "samples": samples,
        "split": "some/train",
    }
    return Source(**{**fields, **changes})


def keys(batches: Iterable[Batch], *dimensions: str) -> list[tuple[int, ...]]:
    """Return where every sample stands, in the order in which they came."""
    return [
        place
        for batch in batches
        for place in zip(*(batch[name].tolist() for name in dimensions), strict=True)
    ]


@contextmanager
def small_tiles() -> Iterator[None]:
    """Cut even the smallest data into tiles, and keep nothing in memory as a whole."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("scidata.loaders.program.MIN_TILE", 1)
        patched.setattr("scidata.loaders.program.RESIDENT_SHARE", 2**40)
        yield
