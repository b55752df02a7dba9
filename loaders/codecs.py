"""From the stored bytes of a chunk to its numbers, outside the interpreter's lock.

Every decoder knows how many bytes must come out, so that no chunk can be a bomb, and writes
them where they belong if they lie there in one piece. What zarr-python writes by default, and
what HDF5 and Zarr v2 files commonly use, is read; other codecs are named in the error.
"""

import struct
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, TypeAlias

import google_crc32c
import numcodecs.blosc
import numcodecs.lz4
import numcodecs.zstd
import numpy as np
import numpy.typing as npt
from numcodecs.shuffle import Shuffle

from scidata.errors import InvalidError

Bytes: TypeAlias = memoryview | bytes | npt.NDArray[np.uint8]
Numbers: TypeAlias = npt.NDArray[np.generic]
Decompress: TypeAlias = Callable[[Bytes, npt.NDArray[np.uint8]], None]
"""Fill the second argument exactly, or raise `ValueError` or `RuntimeError`."""

_ZSTD_MAGIC, _ZSTD_LEAST, _ZSTD_HEADER = b"\x28\xb5\x2f\xfd", 6, 18
_BLOSC_HEADER, _CRC = 16, 4
_scratch = threading.local()


@dataclass(frozen=True)
class Decoder:
    """How one array's chunks are decoded."""

    dtype: np.dtype[Any]
    """As stored, with its byte order."""
    shape: tuple[int, ...]
    """Of a chunk."""
    stored_axes: tuple[int, ...]
    """Axes in the order in which they are stored."""
    decompress: Decompress | None
    shuffle: int = 0
    """Element size of HDF5's byte shuffle; 0 for none."""
    inner_crc: bool = False
    """A crc32c follows the numbers, before compression."""
    outer_crc: bool = False
    """A crc32c follows the compressed bytes."""
    partial: bool = False
    """The last chunk may hold fewer rows; only of what is not compressed."""

    @property
    def nbytes(self) -> int:
        """Bytes of a chunk's numbers."""
        return prod(self.shape) * self.dtype.itemsize

    def direct(self, out: Numbers) -> bool:
        """Tell whether a chunk can be decompressed straight into `out`."""
        return (
            self.decompress is not None
            and not self.shuffle
            and not self.inner_crc
            and out.dtype == self.dtype
            and out.shape == self.shape
            and out.flags.c_contiguous
            and self.stored_axes == tuple(range(len(self.shape)))
        )

    def into(self, raw: Bytes, out: Numbers) -> None:
        """Decode a chunk into `out`, for which `direct` holds."""
        assert self.decompress is not None  # noqa: S101  # `direct` says so
        self.decompress(self._checked(raw), out.reshape(-1).view(np.uint8))

    def decode(self, raw: Bytes, at: object = None) -> Numbers:
        """Return a chunk's numbers.

        Returns
        -------
        ndarray of `shape` and `dtype`
            Valid until the same thread decodes again.

        Raises
        ------
        ValueError, RuntimeError
            If the bytes are damaged: of another length, or a checksum differs.
        """
        raw = self._checked(raw)
        size = self.nbytes + _CRC * self.inner_crc
        if self.decompress is not None:
            out = _buffer("decoded", size)
            self.decompress(raw, out)
            raw = out
        stored = [self.shape[axis] for axis in self.stored_axes]
        if self.partial and len(raw) < size:
            stored[0] = len(raw) * stored[0] // size
            size = prod(stored) * self.dtype.itemsize
        if len(raw) != size:
            raise ValueError(f"{len(raw)} bytes instead of {size}")
        if self.inner_crc:
            raw = without_crc(raw)
        if self.shuffle:
            raw = Shuffle(self.shuffle).decode(raw, _buffer("unshuffled", self.nbytes))
        numbers = np.frombuffer(raw, self.dtype).reshape(stored)
        return numbers.transpose(np.argsort(self.stored_axes))

    def _checked(self, raw: Bytes) -> Bytes:
        return without_crc(raw) if self.outer_crc else raw


def _buffer(name: str, size: int) -> npt.NDArray[np.uint8]:
    """Return this thread's buffer: fresh memory costs a page fault every 4 KiB."""
    held: npt.NDArray[np.uint8] | None = getattr(_scratch, name, None)
    if held is None or len(held) < size:
        held = np.empty(size, np.uint8)
        setattr(_scratch, name, held)
    return held[:size]


def without_crc(raw: Bytes) -> Bytes:
    """Compare the crc32c at the end with what comes before it, and cut it off.

    Raises
    ------
    ValueError
        If they differ.
    """
    body, end = raw[:-_CRC], bytes(raw[-_CRC:])
    if len(end) != _CRC or google_crc32c.value(bytes(body)) != int.from_bytes(end, "little"):
        raise ValueError("its crc32c differs")
    return body


def _zstd(raw: Bytes, out: npt.NDArray[np.uint8]) -> None:
    size = _zstd_size(bytes(raw[:_ZSTD_HEADER]))
    if size is None:
        # No size in the frame: Arrow decompresses to a buffer of the length that must come out.
        import pyarrow as pa

        try:
            found = pa.Codec("zstd").decompress(bytes(raw), decompressed_size=len(out))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"not {len(out)} bytes came out: {error}") from error
        out[:] = np.frombuffer(found, np.uint8)
        return
    _expect(size, len(out))
    numcodecs.zstd.decompress(raw, out)


def _zstd_size(head: bytes) -> int | None:
    """Read how many bytes a frame says that it holds (RFC 8878, 3.1.1.1)."""
    if head[:4] != _ZSTD_MAGIC or len(head) < _ZSTD_LEAST:
        raise ValueError("it is not a Zstandard frame")
    flags = head[4]
    single = bool(flags & 0x20)
    # Its width and what is added to it, by the two highest bits.
    width, added = ((int(single), 0), (2, 256), (4, 0), (8, 0))[flags >> 6]
    if not width:
        return None
    at = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    return int.from_bytes(head[at : at + width], "little") + added


def _blosc(raw: Bytes, out: npt.NDArray[np.uint8]) -> None:
    if len(raw) < _BLOSC_HEADER:
        raise ValueError("it is shorter than a Blosc header")
    size, _, stored = struct.unpack("<III", bytes(raw[4:16]))
    _expect(size, len(out))
    _expect(stored, len(raw))
    numcodecs.blosc.decompress(raw, out)


def _lz4(raw: Bytes, out: npt.NDArray[np.uint8]) -> None:
    _expect(int.from_bytes(bytes(raw[:4]), "little"), len(out))
    numcodecs.lz4.decompress(raw, out)


def _inflate(raw: Bytes, out: npt.NDArray[np.uint8]) -> None:
    try:
        # 32 more: a zlib or a gzip header, whichever is there.
        found = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(bytes(raw), len(out) + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    _expect(len(found), len(out))
    out[:] = np.frombuffer(found, np.uint8)


def _expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise ValueError(f"{found} bytes instead of {wanted}")


_COMPRESSORS: Mapping[str, Decompress] = {
    "zstd": _zstd,
    "blosc": _blosc,
    "gzip": _inflate,
    "zlib": _inflate,
    "lz4": _lz4,
}

Codec: TypeAlias = Mapping[str, Any]
"""Name and configuration, in the order of encoding."""


def decoder(
    codecs: Sequence[Codec],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    *,
    partial: bool = False,
    where: str,
) -> Decoder:
    """Understand a chain of codecs as Zarr v3 writes it.

    Raises
    ------
    InvalidError
        If one of them is not read here.
    """
    axes = tuple(range(len(shape)))
    byte_order: Literal["<", ">"] = "<"
    element, compress = 0, None
    crcs: list[bool] = []
    for codec in codecs:
        name = str(codec["name"]).removeprefix("numcodecs.")
        options = codec.get("configuration") or {}
        if name == "transpose" and not compress:
            axes = _transposed(axes, options["order"])
        elif name == "bytes":
            byte_order = ">" if options.get("endian") == "big" else "<"
        elif name in _COMPRESSORS and compress is None:
            compress = _COMPRESSORS[name]
        elif name == "shuffle" and compress is None:
            element = int(options.get("elementsize", dtype.itemsize))
        elif name == "crc32c":
            crcs.append(compress is not None)
        else:
            raise InvalidError(
                f"the codec {codec['name']!r} is not streamed",
                where=where,
                fix=f"publish with {', '.join(sorted(_COMPRESSORS))}, or read with to_xarray",
            )
    return Decoder(
        dtype.newbyteorder(byte_order),
        shape,
        axes,
        compress,
        shuffle=element if element > 1 else 0,
        inner_crc=compress is not None and False in crcs,
        partial=partial,
        outer_crc=bool(crcs) and (compress is None or True in crcs),
    )


def _transposed(axes: tuple[int, ...], order: Any) -> tuple[int, ...]:
    return tuple(axes[n] for n in order)
