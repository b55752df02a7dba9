"""Zarr v3 metadata, and small values, as text in an index of references."""

import base64
import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from scidata.references.stored import Values

Node = dict[str, Any]  # Any: JSON

_BYTES: Node = {"name": "bytes", "configuration": {"endian": "little"}}
_TEXTS: Node = {"name": "vlen-utf8"}


def array_node(
    dtype: np.dtype[Any],
    shape: Sequence[int],
    chunks: Sequence[int],
    *,
    dims: Sequence[str],
    codecs: Iterable[Mapping[str, Any]],
    fill: Any,  # Any: a number of `dtype`
    attributes: Mapping[str, Any],
) -> Node:
    """Return an array's ``zarr.json``."""
    texts = dtype.kind == "U"
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": "string" if texts else dtype.newbyteorder("=").name,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [max(n, 1) for n in chunks]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": ""
        if texts
        else _number(np.zeros((), dtype)[()] if fill is None else fill),
        "codecs": list(codecs),
        "attributes": plain_attributes(attributes, dtype),
        "dimension_names": list(dims),
    }


def group_node(attributes: Mapping[str, Any]) -> Node:
    """Return a group's ``zarr.json``."""
    return {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": plain_attributes(attributes, np.dtype("f8")),
    }


def consolidated(root: Node, nodes: Mapping[str, Node]) -> Node:
    """Put the metadata of every node into the root's, so that opening reads one object."""
    held = {"kind": "inline", "must_understand": False, "metadata": dict(sorted(nodes.items()))}
    return {**root, "consolidated_metadata": held}


def chunk_key(path: str, chunk: Sequence[int]) -> str:
    """Return the key of a chunk."""
    return "/".join([path, "c", *map(str, chunk)])


def inline_codecs(dtype: np.dtype[Any]) -> list[Node]:
    """Return the codecs of values that `inline` writes."""
    return [_TEXTS] if dtype.kind == "U" else [_BYTES]


def inline(values: Values) -> str:
    """Write values, as the one chunk of their array, into an index."""
    if values.dtype.kind == "U":
        from numcodecs import VLenUTF8

        data = VLenUTF8().encode(values.astype(object).reshape(-1))
    else:
        data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return "base64:" + base64.b64encode(bytes(data)).decode()


def plain_attributes(attributes: Mapping[str, Any], dtype: np.dtype[Any]) -> Node:
    """Return attributes as JSON holds them; what it cannot hold is left out."""
    found: Node = {}
    for name, value in sorted(attributes.items()):
        plain = _fill_mark(value, dtype) if name == "_FillValue" else _plain(value)
        if plain is not None:
            found[name] = plain
    return found


def _fill_mark(value: Any, dtype: np.dtype[Any]) -> Any:
    """Write ``_FillValue`` as xarray does in Zarr v3: floating numbers as base64."""
    try:
        number = np.asarray(value).reshape(-1)[0]
        if dtype.kind == "f":
            return base64.standard_b64encode(struct.pack("<d", float(number))).decode()
        # One that the type cannot hold marks nothing.
        same = np.asarray(number).astype(dtype) == number
        return int(number) if dtype.kind in "iu" and same else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, str | bool | int):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind == "O":
        kept = [_text(item) for item in array.reshape(-1).tolist()]
        return None if None in kept else kept[0] if array.ndim == 0 else kept
    if array.dtype.kind not in "biufU":
        return None
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return None  # JSON has no such number, and what is NaN is missing anyway
    return array.tolist()


def _text(item: object) -> str | None:
    if isinstance(item, bytes):
        return item.decode(errors="replace")
    return item if isinstance(item, str) else None


def _number(value: Any) -> Any:
    found = np.asarray(value).reshape(-1)[0]
    if found.dtype.kind == "c":
        return [_number(found.real), _number(found.imag)]
    if found.dtype.kind == "f":
        number = float(found)
        if math.isnan(number):
            return "NaN"
        return number if math.isfinite(number) else "Infinity" if number > 0 else "-Infinity"
    return found.item()


def text_of(node: Node) -> str:
    """Write metadata as one line of JSON."""
    return json.dumps(node, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
