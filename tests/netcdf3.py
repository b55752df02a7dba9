"""NetCDF-3 files, written byte by byte: nothing that tests need can write them."""

import struct
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

_CODES = {"i1": 1, "S1": 2, "i2": 3, "i4": 4, "f4": 5, "f8": 6}
_CODES |= {"u1": 7, "u2": 8, "u4": 9, "i8": 10, "u8": 11}  # of CDF-5 alone
_CLASSIC, _DATA64 = 1, 5

Variables: TypeAlias = Mapping[str, tuple[tuple[str, ...], Any, Mapping[str, Any]]]
"""Dimensions, values and attributes, as xarray takes them."""


def netcdf3(dims: Mapping[str, int | None], variables: Variables, *, kind: int = 1) -> bytes:
    """Return a file's bytes; the dimension of length None is the unlimited one."""
    inside = [k for k, (d, _, _) in variables.items() if d and dims[d[0]] is None]
    records = max((len(variables[k][1]) for k in inside), default=0)
    file = _File(kind, dims, variables, records)
    begins, body = dict[str, int](), b""
    at = len(file.head({}))
    for key in variables.keys() - set(inside):
        begins[key] = at + len(body)
        body += _padded(_raw(variables[key][1]))
    sizes = {k: len(_raw(variables[k][1])) // max(records, 1) for k in inside}
    sizes = {k: n if len(inside) == 1 else n + -n % 4 for k, n in sizes.items()}
    start = at + len(body)
    for key in inside:
        begins[key] = start
        start += sizes[key]
    for n in range(records):
        body += b"".join(_raw(variables[k][1][n]).ljust(sizes[k], b"\0") for k in inside)
    return file.head(begins) + body


class _File:
    def __init__(
        self, kind: int, dims: Mapping[str, int | None], variables: Variables, records: int
    ) -> None:
        self._kind, self._dims, self._variables = kind, dims, variables
        self._records = records

    def head(self, begins: Mapping[str, int]) -> bytes:
        out = b"CDF" + bytes([self._kind]) + self._count(self._records)
        out += self._list(10, len(self._dims))
        out += b"".join(self._name(d) + self._count(n or 0) for d, n in self._dims.items())
        out += self._notes({}) + self._list(11, len(self._variables))
        for key, (along, values, held) in self._variables.items():
            out += self._name(key) + self._count(len(along))
            out += b"".join(self._count(list(self._dims).index(d)) for d in along)
            out += self._notes(held) + struct.pack(">I", _code(values)) + self._count(0)
            out += struct.pack(">I" if self._kind == _CLASSIC else ">Q", begins.get(key, 0))
        return out

    def _count(self, number: int) -> bytes:
        return struct.pack(">Q" if self._kind == _DATA64 else ">I", number)

    def _list(self, tag: int, length: int) -> bytes:
        return struct.pack(">I", tag if length else 0) + self._count(length)

    def _name(self, text: str) -> bytes:
        return self._count(len(text.encode())) + _padded(text.encode())

    def _notes(self, held: Mapping[str, Any]) -> bytes:
        out = self._list(12, len(held))
        for key, value in held.items():
            letters = isinstance(value, str)
            data = value.encode() if letters else _raw(value)
            count = len(data) if letters else np.size(value)
            code = _CODES["S1"] if letters else _code(value)
            out += self._name(key) + struct.pack(">I", code) + self._count(count)
            out += _padded(data)
        return out


def _code(values: Any) -> int:
    return _CODES[np.asarray(values).dtype.str[1:]]


def _raw(values: Any) -> bytes:
    array = np.asarray(values)
    return array.astype(array.dtype.newbyteorder(">")).tobytes()


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
