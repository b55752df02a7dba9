"""The published archive: HDF5 files with a group a sample, its attributes and ``cbed_stack``.

The files are not trusted: links to other files, data in other files and arrays of any size are
refused before they are read.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scidata.datasets.samples import Facts, Sample
from scidata.datasets.stemdl.layout import GROUPS, PROJECTIONS, VARIABLE, problem, refuse
from scidata.datasets.stemdl.scaling import SIDE, Float, log_scale, shrink
from scidata.errors import InvalidError, Problem
from scidata.references.hdf5 import READING

_SAMPLE = re.compile(r"sample_([0-9]{1,9})_([0-9]{1,4})", re.ASCII)
_LARGEST_SIDE = 2048
_MOST_SAMPLES = 100_000
_LONGEST_TEXT = 200

_NUMBERS: Mapping[str, tuple[tuple[int, ...], float, float]] = {
    "energy_keV": ((), 1, 10_000),
    "z_dirs": ((3, 3), -1000, 1000),
    "y_dirs": ((3, 3), -1000, 1000),
    "semi_angles_rad": ((3,), 1e-6, 1),
    "d_hkls_angstrom": ((3,), 1e-2, 1000),
    "abc_angstrom": ((3,), 0.1, 10_000),
    "angles_degree": ((3,), 1, 179),
}
"""Shape, least and largest possible value."""
_TEXTS = ("material", "formula")
FACTS = ("space_group", *_NUMBERS, *_TEXTS)
"""Every attribute of a sample."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One file, whose samples are read together."""

    path: Path
    name: str
    """Below the source; how messages name it."""
    samples: tuple[str, ...]
    """Names of its groups."""
    pixels: int
    """On a side of the patterns of most files."""
    stamp: str
    """Changes when the bytes do."""

    @property
    def count(self) -> int:
        """Samples in it."""
        return len(self.samples)

    def produce(self) -> list[Sample | Problem]:
        """Read and scale every sample."""
        try:
            with _opened(self.path, self.name) as file:
                return [self._one(file, sample) for sample in self.samples]
        except InvalidError as error:
            return list(error.problems)

    def _one(self, file: Any, sample: str) -> Sample | Problem:  # Any: an HDF5 file
        where = f"{self.name}/{sample}"
        try:
            return read_sample(file[sample], where, self.pixels)
        except InvalidError as error:
            return error.problems[0]
        except READING as error:
            return problem(where, "hdf5", f"it cannot be read: {error}")


def read_header(path: Path, name: str) -> tuple[tuple[str, ...], int]:
    """Read which samples a file has, in order of material and energy, and their pixels.

    Raises
    ------
    InvalidError
        If it is not a sound HDF5 file, or holds no such sample.
    """
    with _opened(path, name) as file:
        found = [match for key in file if (match := _SAMPLE.fullmatch(str(key)))]
        if not 0 < len(found) <= _MOST_SAMPLES:
            raise refuse(name, "samples", f"it holds {len(found)} groups called sample_i_j")
        found.sort(key=lambda match: (int(match[1]), int(match[2])))
        samples = tuple(match[0] for match in found)
        for sample in samples:
            array = _array(file, f"{sample}/{VARIABLE}")
            if array is not None:
                return samples, int(array.shape[-1])
    raise refuse(name, "samples", f"no sample has the array {VARIABLE}")


def read_sample(group: Any, where: str, pixels: int) -> Sample:  # Any: an HDF5 group
    """Read one sample, and scale its patterns as published.

    Parameters
    ----------
    group : h5py.Group
    where : str
        For messages.
    pixels : int
        On a side, before scaling.

    Raises
    ------
    InvalidError
        If something is missing, has another shape, or is no intensity.
    """
    array = _array(group, VARIABLE)
    if array is None:
        raise refuse(where, "variable-missing", f"it has no array {VARIABLE} of its own")
    shape = (PROJECTIONS, pixels, pixels)
    if array.shape != shape:
        raise refuse(where, "shape", f"{VARIABLE} has the shape {array.shape}, not {shape}")
    facts = _facts(group.attrs, where)
    intensity = np.asarray(array[...], np.float32)
    if not (np.isfinite(intensity) & (intensity >= 0)).all():
        raise refuse(where, "values", f"{VARIABLE} has values that are no intensities")
    for n, pattern in enumerate(intensity):
        if not pattern.any():
            raise refuse(where, "values", f"pattern {n} of {VARIABLE} is zero throughout")
    scaled = shrink(log_scale(intensity), min(SIDE, pixels))
    stem, _, sample = where.rpartition("/")
    return Sample(id=f"{Path(stem).stem}.{sample}", arrays={VARIABLE: scaled}, facts=facts)


def write_batch(path: Path, samples: Mapping[str, tuple[Float, Facts]]) -> None:
    """Write samples as they would have been published.

    Parameters
    ----------
    path : Path
        Of the file, such as ``train/batch_train_0.h5``.
    samples : mapping
        By names such as ``sample_0_3``: intensities (3, N, N) and facts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, (intensity, facts) in samples.items():
            group = file.create_group(name)
            group.create_dataset(VARIABLE, data=intensity)
            group.attrs["space_group"] = np.bytes_(str(facts["space_group"]))
            group.attrs["material"] = np.bytes_(facts["material"])
            group.attrs["formula"] = facts["formula"]
            group.attrs["energy_keV"] = int(facts["energy_keV"])
            for key, (shape, *_) in _NUMBERS.items():
                if shape:
                    values = np.array(facts[key], np.float64)
                    group.attrs[key] = values[None] if values.ndim > 1 else values


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


def _array(group: Any, key: str) -> Any:  # Any: an HDF5 dataset, or None
    for part in (key.split("/")[: n + 1] for n in range(key.count("/") + 1)):
        if not isinstance(group.get("/".join(part), getlink=True), h5py.HardLink):
            return None
    held = group[key]
    if not isinstance(held, h5py.Dataset) or held.dtype.kind not in "iuf":
        return None
    if held.external or held.is_virtual or held.ndim != PROJECTIONS:
        return None
    return held if max(held.shape) <= _LARGEST_SIDE else None


def _facts(attributes: Any, where: str) -> Facts:  # Any: h5py's attributes
    missing = [name for name in FACTS if name not in attributes]
    if missing:
        raise refuse(where, "attribute-missing", f"it lacks {', '.join(missing)}")
    group = _group(attributes["space_group"], where)
    texts = {name: _text(attributes[name]) for name in _TEXTS}
    if not texts["material"]:
        raise refuse(where, "attribute", "its material has no name")
    numbers = {name: _numbers(attributes[name], name, where) for name in _NUMBERS}
    return {"space_group": group, **texts, **numbers}


def _group(value: Any, where: str) -> int:  # Any: bytes, text or a number
    text = _text(value)
    number = int(text) if re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) else 0
    if number not in GROUPS:
        raise refuse(where, "space-group", f"there is no space group {text!r}")
    return number


def _text(value: Any) -> str:  # Any: bytes, text, a number or an array of one of them
    flat = np.asarray(value).ravel()
    held = flat[0] if len(flat) == 1 else b""
    text = held.decode("utf-8", "replace") if isinstance(held, bytes) else str(held)
    return text.strip()[:_LONGEST_TEXT]


def _numbers(value: Any, name: str, where: str) -> Any:  # Any: HDF5's type; a number, lists
    """Return what JSON takes; NaN for what cannot be.

    Some files hold 128-bit floats, which other machines read with garbage in places.
    """
    shape, least, most = _NUMBERS[name]
    held = np.asarray(value)
    if held.dtype.kind not in "iuf" or held.size != int(np.prod(shape)):
        raise refuse(where, "attribute", f"{name} is {held.dtype} of shape {held.shape}")
    with np.errstate(all="ignore"):
        numbers = held.astype(np.float64).reshape(shape)
        possible = (numbers >= least) & (numbers <= most)
    return np.where(possible, numbers, np.nan).tolist()
