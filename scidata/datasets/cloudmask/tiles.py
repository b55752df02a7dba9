"""One image cut into tiles, with a split by blocks: how single scenes become small datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scidata.datasets import statistics
from scidata.datasets.array_store import ZSTD, ArrayStore, Attributes
from scidata.datasets.cloudmask.divide import write_splits
from scidata.datasets.cloudmask.provenance import split_rules
from scidata.datasets.cloudmask.scene import Channel, Scene
from scidata.datasets.cloudmask.store import LZ4, pack, put_channels, unpack
from scidata.record import Record, Samples, Step

ASSET = "tiles"
_CHUNK = 16
"""Tiles in an inner chunk."""
_LEAST_KNOWN = 0.5
"""Of a tile's pixels, for it to be kept."""
_GAP = 1
"""Columns of tiles that are left out between parts."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A scene and which of its pixels were seen."""

    name: str
    """Begins the ids of its tiles, such as ``nadir``."""
    scene: Scene
    known: npt.NDArray[np.bool_]
    """(H, W)"""


@dataclass(frozen=True, kw_only=True)
class Tiled:
    """What was written."""

    count: int
    cloudy: float
    """Share of the pixels whose label is cloud."""
    left_out: int
    """Tiles of which less than half was seen."""
    parts: Mapping[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Look:
    """How tiles are described."""

    title: str
    size: int
    """Pixels on a side."""
    reflectance: tuple[Channel, ...]
    thermal: tuple[Channel, ...]
    label: str
    """What the label is, in words."""


def write_tiles(data: Path, images: Sequence[Image], look: Look) -> Tiled:
    """Write the tiles of images, their split by columns, and the statistics of training ones.

    Tiles of all images in one column of tiles are in one part: the western 60 percent of the
    columns train, then come validation and test, with a column left out between two parts.
    """
    ids: list[str] = []
    columns: list[int] = []
    arrays: dict[str, list[npt.NDArray[np.generic]]] = {
        "refs": [], "bts": [], "cloud": [], "day": [],
    }  # fmt: skip
    left_out = 0
    for image in images:
        height, width = image.known.shape
        for row in range(height // look.size):
            for column in range(width // look.size):
                area = tuple(slice(n * look.size, (n + 1) * look.size) for n in (row, column))
                if image.known[area].mean() < _LEAST_KNOWN:
                    left_out += 1
                    continue
                ids.append(f"{image.name}-{row:02d}-{column:02d}")
                columns.append(column)
                arrays["refs"].append(image.scene.refs[:, *area])
                arrays["bts"].append(image.scene.bts[:, *area])
                arrays["cloud"].append((image.scene.label[area] != 0).astype(np.uint8))
                arrays["day"].append(np.array(image.scene.is_day, np.uint8))
    parts = _by_column(ids, columns)
    _write(data, ids, {name: np.stack(held) for name, held in arrays.items()}, look)
    write_splits(data, {"blocks": parts})
    train = [n for n, i in enumerate(ids) if i in set(parts["train"])]
    seen = {
        name: unpack(pack(np.stack([arrays[name][n] for n in train]))).report()
        for name in ("refs", "bts")
    }
    document = {ASSET: {"over": "blocks/train", "variables": seen}}
    statistics.write(data / "statistics.json", document)
    labels = np.stack(arrays["cloud"])
    cloudy = np.count_nonzero(labels) / labels.size
    return Tiled(count=len(ids), cloudy=cloudy, left_out=left_out, parts=parts)


def complete(record: Record, tiled: Tiled, look: Look) -> Record:
    """Return the record with what was counted, its split and its samples."""
    step = Step(
        activity=f"Cut into {tiled.count} tiles of {look.size} by {look.size} pixels, cloud in "
        f"{tiled.cloudy:.1%} of them; {tiled.left_out} tiles were left out, since less than "
        "half of each was seen."
    )
    provenance = record.provenance
    rules = split_rules(record, {"blocks": tiled.parts}, "tiles")
    located = {"asset": ASSET, "dimension": "tile"}
    return record.model_copy(
        update={
            "provenance": provenance.model_copy(update={"steps": (*provenance.steps, step)}),
            "splits": tuple(rule.model_copy(update=located) for rule in rules),
            "samples": Samples(
                asset=ASSET, each=("tile",), inputs=("refs", "bts"), targets=("cloud", "day")
            ),
        }
    )


def _by_column(ids: Sequence[str], columns: Sequence[int]) -> dict[str, list[str]]:
    count = max(columns) + 1
    held_out = max(1, (count - 2 * _GAP) // 5)
    test = count - held_out
    validation = test - _GAP - held_out
    bounds = {
        "train": range(validation - _GAP),
        "validation": range(validation, test - _GAP),
        "test": range(test, count),
    }
    return {
        part: sorted(i for i, column in zip(ids, columns, strict=True) if column in bound)
        for part, bound in bounds.items()
    }


def _write(
    data: Path,
    ids: Sequence[str],
    arrays: Mapping[str, npt.NDArray[np.generic]],
    look: Look,
) -> None:
    store = ArrayStore(data / f"{ASSET}.zarr", look.title)
    notes: dict[str, Attributes] = {
        "refs": {
            "units": "1",
            "long_name": "top-of-atmosphere reflectance",
            "coordinates": "refs_wavelength",
        },
        "bts": {
            "units": "K",
            "long_name": "top-of-atmosphere brightness temperature",
            "standard_name": "toa_brightness_temperature",
            "coordinates": "bts_wavelength",
        },
        "cloud": {"units": "1", "long_name": look.label},
        "day": {"units": "1", "long_name": "1 if any reflectance was measured"},
    }
    for name, values in arrays.items():
        inner = {4: (f"{name}_channel", "y", "x"), 3: ("y", "x"), 1: ()}[values.ndim]
        chunk = (min(_CHUNK, len(ids)), *values.shape[1:])
        shard = (-(-len(ids) // chunk[0]) * chunk[0], *values.shape[1:])
        codec = LZ4 if values.dtype.kind == "f" else ZSTD
        store.put(
            name, ["tile", *inner], values, notes[name], layout=(chunk, shard), codec=codec
        )
    named: Attributes = {"long_name": "image, row and column of the tile"}
    store.put("tile", ["tile"], np.array(ids, object), named)
    put_channels(store, "refs", look.reflectance)
    put_channels(store, "bts", look.thermal)
    store.close()
