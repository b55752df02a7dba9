"""Plain TIFF: one image of numbers in strips, uncompressed or deflated. Nothing else is read.

Source: TIFF Revision 6.0 (Adobe, 1992) and Adobe's note on Deflate compression.
"""

import struct
import zlib
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.datasets.cloudmask.scene import refuse

Values: TypeAlias = npt.NDArray[Any]

MOST_BYTES = 2**28
_MOST_TAGS = 4096
_ORDERS = {b"II*\x00": "<", b"MM\x00*": ">"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _OFFSETS = 256, 257, 258, 259, 273
_SAMPLES, _ROWS, _COUNTS, _PREDICTOR, _FORMAT = 277, 278, 279, 317, 339
_PLAIN, _DEFLATE, _OLD_DEFLATE = 1, 8, 32946
_SIZES = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}
_KINDS = {1: "u", 2: "i", 3: "f"}
_FIX = "give bands as plain GeoTIFF: gdal_translate -co COMPRESS=DEFLATE"


def read_tiff(path: Path, name: str) -> Values:
    """Read an image, (H, W).

    Raises
    ------
    InvalidError
        If it is damaged, or in tiles, of several bands, or compressed otherwise.
    """
    data = path.read_bytes()
    try:
        return _read(data, name)
    except (struct.error, zlib.error, ValueError, IndexError) as error:
        raise refuse(name, "tiff", f"it is no sound TIFF file: {error}", _FIX) from error


def _read(data: bytes, name: str) -> Values:
    order = _ORDERS.get(data[:4])
    if order is None:
        raise ValueError(f"it begins {data[:4]!r}")
    tags = _tags(data, order)
    width, height = tags[_WIDTH][0], tags[_HEIGHT][0]
    kind = f"{_KINDS.get(tags.get(_FORMAT, (1,))[0], '?')}{tags[_BITS][0] // 8}"
    compression = tags.get(_COMPRESSION, (_PLAIN,))[0]
    told = {
        "tiles": _OFFSETS not in tags or _COUNTS not in tags,
        "several bands": tags.get(_SAMPLES, (1,))[0] != 1,
        f"compression {compression}": compression not in {_PLAIN, _DEFLATE, _OLD_DEFLATE},
        "a predictor": tags.get(_PREDICTOR, (1,))[0] != 1,
        f"numbers of type {kind}": kind not in {"u1", "u2", "u4", "i2", "i4", "f4", "f8"},
        "too many pixels": not 0 < width * height <= MOST_BYTES // 8,
    }
    if wrong := [what for what, is_so in told.items() if is_so]:
        raise refuse(name, "tiff", f"it has {', '.join(wrong)}", _FIX)
    dtype = np.dtype(f"{order}{kind}")
    rows = min(tags.get(_ROWS, (height,))[0], height)
    strips = []
    for n, (start, size) in enumerate(zip(tags[_OFFSETS], tags[_COUNTS], strict=True)):
        length = min(rows, height - n * rows) * width * dtype.itemsize
        strips.append(_strip(data[start : start + size], length, compression))
    return np.frombuffer(b"".join(strips), dtype).reshape(height, width)


def _strip(stored: bytes, length: int, compression: int) -> bytes:
    if compression == _PLAIN:
        return stored
    # Never more than what the image has: a few bytes could stand for gigabytes.
    return zlib.decompressobj().decompress(stored, max(length, 1))


def _tags(data: bytes, order: str) -> dict[int, tuple[int, ...]]:
    """Return the whole numbers of each tag."""
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    found: dict[int, tuple[int, ...]] = {}
    for n in range(min(count, _MOST_TAGS)):
        place = at + 2 + 12 * n
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, place)
        if kind not in _SIZES or length > len(data):
            continue
        letter, size = _SIZES[kind]
        inside = length * size <= 4  # noqa: PLR2004 - bytes of the field itself
        start = place + 8 if inside else struct.unpack_from(f"{order}I", data, place + 8)[0]
        found[tag] = struct.unpack_from(f"{order}{length}{letter}", data, start)
    missing = [tag for tag in (_WIDTH, _HEIGHT, _BITS) if not found.get(tag)]
    if missing:
        raise ValueError(f"it lacks the tags {missing}")
    return found
