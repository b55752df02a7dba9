"""What a run predicted, kept sample by sample, so that others can compute its score again.

A file a part, in the safetensors format: eight bytes of length, a JSON header, and numbers. It
can hold no code, and is read within limits: files of others are read here, too.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed

from scidata.benchmarks.runs import replace
from scidata.benchmarks.task import Batch
from scidata.errors import IntegrityError, InvalidError, NotFoundError

FOLDER = "predictions"
MOST_BYTES = 2**30
"""Of one part's predictions; more are not kept, and the result says so."""

_PREDICTION = "prediction"
_INDEX = "index."
_MOST_HEADER = 2**16
_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}
_LENGTH = 8

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The predictions of one part.

    Parameters
    ----------
    dimensions : tuple of str
        Those that samples stand along; their indexes are a sample's id.
    ids : (N, D) int64
    values : (N, …) float32
        What the model gave, as the measure took it.
    """

    dimensions: tuple[str, ...]
    ids: Integers
    values: Floats

    def rows(self) -> dict[tuple[int, ...], int]:
        """Return where each sample's prediction stands.

        Raises
        ------
        InvalidError
            If a sample was predicted twice.
        """
        rows = {tuple(each): row for row, each in enumerate(self.ids.tolist())}
        if len(rows) != len(self.ids):
            raise InvalidError(
                f"{len(self.ids) - len(rows):,} predictions are of samples that have one",
                where=FOLDER,
                fix="keep one prediction a sample",
            )
        return rows


class Keeper:
    """Takes in what one process predicts of a part, and writes what all did.

    Parameters
    ----------
    dimensions : sequence of str
        Dimensions that samples stand along.
    """

    def __init__(self, dimensions: Sequence[str]) -> None:
        self._dimensions = tuple(dimensions)
        self._ids: list[Tensor] = []
        self._values: list[Tensor] = []
        self._bytes, self._fault = 0, ""

    def take(self, prediction: Tensor, batch: Batch) -> None:
        """Take in a batch."""
        if self._fault:
            return
        if prediction.shape[:1] != batch.target.shape[:1]:
            self._drop("a prediction is not one a sample")
            return
        self._bytes += prediction.numel() * 4
        if self._bytes > MOST_BYTES:
            self._drop(f"more than {MOST_BYTES:,} bytes")
            return
        ids = [batch.samples[name].cpu() for name in self._dimensions]
        self._ids.append(torch.stack(ids, dim=1).to(torch.int64))
        self._values.append(prediction.detach().to("cpu", torch.float32))

    def write(self, path: Path, *, first: bool, world_size: int) -> dict[str, Any] | None:
        """Write what all processes predicted: the first one does, all must call.

        Returns
        -------
        dict or None
            Path in the run's folder, sha256, bytes and number of samples; or ``left_out``, the
            reason why nothing is kept. None in other processes.
        """
        mine = (self._fault, self._ids, self._values)
        shares: list[Any] = [mine]
        if world_size > 1:
            shares = [None] * world_size
            distributed.all_gather_object(shares, mine)
        if not first:
            return None
        faults = [fault for fault, _, _ in shares if fault]
        total = sum(v.numel() * 4 for _, _, values in shares for v in values)
        if faults or total > MOST_BYTES:
            return {"left_out": (*faults, f"more than {MOST_BYTES:,} bytes")[0]}
        found = Predictions(
            dimensions=self._dimensions,
            ids=torch.cat([i for _, ids, _ in shares for i in ids]).numpy(),
            values=torch.cat([v for _, _, values in shares for v in values]).numpy(),
        )
        data = to_bytes(found)
        replace(path, data)
        return {
            "path": f"{FOLDER}/{path.name}",
            "sha256": hashlib.sha256(data).hexdigest(),
            "bytes": len(data),
            "samples": len(found.ids),
        }

    def _drop(self, fault: str) -> None:
        self._fault = fault
        self._ids.clear()
        self._values.clear()


def to_bytes(found: Predictions) -> bytes:
    """Write predictions in the safetensors format."""
    arrays: dict[str, npt.NDArray[Any]] = {
        f"{_INDEX}{name}": np.ascontiguousarray(found.ids[:, k], dtype="<i8")
        for k, name in enumerate(found.dimensions)
    }
    arrays[_PREDICTION] = np.ascontiguousarray(found.values, dtype="<f4")
    header: dict[str, Any] = {"__metadata__": {"schema": "scidata-predictions/1"}}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        dtype = "F32" if array.dtype.kind == "f" else "I64"
        header[name] = {
            "dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, end],
        }  # fmt: skip
    text = json.dumps(header, separators=(",", ":")).encode()
    # The format wants numbers to begin at a multiple of eight.
    text += b" " * (-len(text) % _LENGTH)
    numbers = b"".join(array.tobytes() for array in arrays.values())
    return len(text).to_bytes(_LENGTH, "little") + text + numbers


def read(path: Path, *, sha256: str) -> Predictions:
    """Read predictions that may be anybody's.

    Raises
    ------
    NotFoundError
        If there is no such file.
    IntegrityError
        If it is not the one with that digest.
    InvalidError
        If it is too large, or not what `Keeper` writes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 2 * _MOST_HEADER + 1)
    except OSError as error:
        raise NotFoundError(
            f"cannot read {path.name}: {error.strerror}",
            where=str(path.parent),
            fix="name the folder with the predictions by --predictions",
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise IntegrityError(
            f"{path.name}: expected sha256 {sha256}, found {found}",
            where=str(path.parent),
            fix="bring the predictions that the submission was made with",
        )
    try:
        return parse(data)
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InvalidError(
            f"{path.name} holds no predictions: {error}",
            where=str(path.parent),
            fix="give what the run wrote, unchanged",
        ) from error


def parse(data: bytes) -> Predictions:
    """Return what `to_bytes` wrote; ValueError, TypeError or LookupError if it is not that."""
    length = int.from_bytes(data[:_LENGTH], "little")
    if not 0 < length <= min(_MOST_HEADER, len(data) - _LENGTH):
        raise ValueError(f"a header of {length:,} bytes")
    header = json.loads(data[_LENGTH : _LENGTH + length])
    if not isinstance(header, dict):
        raise TypeError("its header is no JSON object")
    numbers = memoryview(data)[_LENGTH + length :]
    arrays = {
        name: _array(numbers, **entry)
        for name, entry in header.items()
        if name != "__metadata__"
    }
    values = arrays.pop(_PREDICTION)
    if not arrays or any(a.shape != values.shape[:1] for a in arrays.values()):
        raise ValueError("ids and predictions differ in number")
    if values.dtype.kind != "f" or any(a.dtype.kind != "i" for a in arrays.values()):
        raise ValueError("predictions are float32, ids int64")
    return Predictions(
        dimensions=tuple(name.removeprefix(_INDEX) for name in arrays),
        ids=np.stack(list(arrays.values()), axis=1),
        values=values,
    )


def _array(
    numbers: memoryview, *, dtype: str, shape: list[int], data_offsets: list[int]
) -> npt.NDArray[Any]:
    begin, end = data_offsets
    if not all(isinstance(n, int) and n >= 0 for n in (begin, end, *shape)):
        raise ValueError("a shape that is none")
    if end > len(numbers) or end - begin != math.prod(shape) * _DTYPES[dtype].itemsize:
        raise ValueError("numbers are missing")
    return np.frombuffer(numbers[begin:end], dtype=_DTYPES[dtype]).reshape(shape)
