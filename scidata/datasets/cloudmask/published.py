"""The published files: HDF5 with ``refs``, ``bts`` and ``bayes``, one file a scene.

The files are not trusted: links to other files, data in other files and objects of any size are
refused before they are read.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from scidata.datasets.cloudmask.scene import (
    LARGEST_FLAG,
    SLSTR_REFLECTANCE,
    SLSTR_THERMAL,
    Bits,
    Flags,
    Float,
    Scene,
    check_scene,
    refuse,
)
from scidata.errors import InvalidError
from scidata.references.hdf5 import READING

CHANNELS = {"refs": len(SLSTR_REFLECTANCE), "bts": len(SLSTR_THERMAL), "bayes": 1, "truth": 1}
_REQUIRED = ("refs", "bts", "bayes")
_DIMENSIONS = 3
_MOST_PIXELS = 64 * 2**20
"""Of one channel; the published files have 1.8 million."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file holds, without its numbers."""

    height: int
    width: int
    """Pixels of the 1 km grid."""
    fine: bool
    """Reflectances are on a grid of twice as many rows and columns."""
    truth: bool
    """A simulated file holds the true mask, too."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width


def read_header(path: Path, name: str) -> Header:
    """Read which arrays a file has, and their shapes.

    Raises
    ------
    InvalidError
        With everything that keeps it from being a scene.
    """
    with _opened(path, name) as file:
        return _header(file, name)


def read_scene(path: Path, name: str, facts: Mapping[str, int]) -> Scene:
    """Read a file whole.

    Parameters
    ----------
    path : Path
    name : str
        For messages.
    facts : mapping
        Of the scene, from its name.

    Raises
    ------
    InvalidError
        If its numbers cannot be read, or are not in the published units.

    Notes
    -----
    Reflectances of the 0.5 km grid are averaged over 2 by 2 pixels, whose NaN are passed over.
    """
    with _opened(path, name) as file:
        header = _header(file, name)
        refs = _channels_first(file["refs"])
        scene = Scene(
            refs=coarsen(refs) if header.fine else refs,
            bts=_channels_first(file["bts"]),
            label=_flags(file["bayes"], name),
            truth=_truth(file["truth"]) if header.truth else None,
            facts=facts,
        )
    check_scene(scene, name, SLSTR_REFLECTANCE, SLSTR_THERMAL)
    return scene


def write_scene(path: Path, scene: Scene) -> None:
    """Write a scene as it would have been published: channels last, gzip."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "refs": scene.refs,
        "bts": scene.bts,
        "bayes": scene.label[None],
    }
    if scene.truth is not None:
        arrays["truth"] = scene.truth[None]
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            last = np.moveaxis(values, 0, -1)
            file.create_dataset(name, data=last, compression="gzip", shuffle=True)


def coarsen(fine: Float) -> Float:
    """Average 2 by 2 pixels: (C, 2H, 2W) to (C, H, W); NaN where all four are."""
    channels, height, width = fine.shape
    blocks = fine.reshape(channels, height // 2, 2, width // 2, 2)
    known = np.isfinite(blocks)
    count = known.sum(axis=(2, 4))
    total = np.where(known, blocks, 0).sum(axis=(2, 4), dtype=np.float64)
    mean = np.where(count, total / np.maximum(count, 1), np.nan)
    return mean.astype(np.float32)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[Any]:  # Any: h5py has no types
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InvalidError:
        raise
    except READING as error:
        message = f"it is not a sound HDF5 file: {error}"
        raise refuse(name, "hdf5", message) from error


def _header(file: Any, name: str) -> Header:  # Any: an HDF5 file
    held = {key: _array(file, key, name) for key in (*_REQUIRED, "truth")}
    missing = [key for key in _REQUIRED if held[key] is None]
    if missing:
        there = ", ".join(sorted(map(str, file))[:8]) or "nothing"
        message = f"it lacks {', '.join(missing)}; it holds {there}"
        raise refuse(name, "variable-missing", message)
    shapes = {key: array.shape for key, array in held.items() if array is not None}
    height, width = shapes["bts"][:2] if len(shapes["bts"]) == _DIMENSIONS else (0, 0)
    fine = shapes["refs"][:2] == (2 * height, 2 * width)
    grids = dict.fromkeys(shapes, (height, width)) | (
        {"refs": (2 * height, 2 * width)} if fine else {}
    )
    wrong = [
        f"{key} has the shape {shape}, not {(*grids[key], CHANNELS[key])}"
        for key, shape in shapes.items()
        if shape != (*grids[key], CHANNELS[key])
    ]
    if wrong or not 0 < prod(grids["refs"]) <= _MOST_PIXELS:
        message = "; ".join(wrong) or f"{height} by {width} pixels are too many"
        raise refuse(name, "shape", message)
    return Header(height=height, width=width, fine=fine, truth=shapes.get("truth") is not None)


def _array(file: Any, key: str, name: str) -> Any:  # Any: an HDF5 dataset, or None
    link = file.get(key, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise refuse(name, "outside", f"{key} is a link, which may lead to another file")
    held = file[key]
    if not isinstance(held, h5py.Dataset) or held.dtype.kind not in "iufb":
        raise refuse(name, "variable-kind", f"{key} is no array of numbers")
    if held.external or held.is_virtual:
        raise refuse(name, "outside", f"the numbers of {key} lie in other files")
    return held


def _channels_first(held: Any) -> Float:  # Any: an HDF5 dataset
    values = np.asarray(held[...], np.float32)
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))


def _flags(held: Any, name: str) -> Flags:  # Any: an HDF5 dataset
    values = held[..., 0]
    if values.dtype.kind == "f":
        whole = np.isfinite(values) & (values == np.floor(values))
        if not whole.all():
            raise refuse(name, "label", f"{int((~whole).sum())} values of bayes are no flags")
    if values.dtype.kind != "b" and (values.min() < 0 or values.max() > LARGEST_FLAG):
        message = f"bayes reaches from {values.min()} to {values.max()}, beyond 16 bits"
        raise refuse(name, "label", message)
    return np.asarray(values, np.uint16)


def _truth(held: Any) -> Bits:  # Any: an HDF5 dataset
    return np.asarray(held[..., 0] != 0, np.uint8)
