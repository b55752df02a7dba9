"""Many files of one layout as one Zarr store: an index that says where each chunk lies.

The index is text in the form of kerchunk (version 1), which fsspec's ``reference://`` opens,
and so do xarray and zarr without scidata. It is written while headers come in, file by file:
only labels and small values are held.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from scidata.errors import InvalidError, Problem
from scidata.facts import Variable
from scidata.references.stored import (
    PHONY,
    Along,
    Header,
    StoredArray,
    Values,
    is_label,
)
from scidata.references.zarr_json import (
    Node,
    array_node,
    chunk_key,
    consolidated,
    group_node,
    inline,
    inline_codecs,
    plain_attributes,
    text_of,
)

BASE = "base"
"""The template that stands for the place of all files: others may be given in its stead."""
_DECIDES = (
    "_FillValue",
    "missing_value",
    "scale_factor",
    "add_offset",
    "_Unsigned",
    "units",
    "calendar",
)
"""Attributes that say what the numbers mean: they must be the same in all files."""
_FIX = "put files of one layout into one folder, or correct this file"


@dataclass(frozen=True, kw_only=True)
class Referenced:
    """What an index holds."""

    variables: tuple[Variable, ...]
    omitted: Mapping[str, str]
    """Arrays that Zarr cannot express, and why."""
    not_compared: tuple[str, ...]
    """Arrays that files share and that were too large to compare: the first file's are used."""
    chunks: int


@dataclass
class _Joined:
    """An array, as far as it has been put together."""

    first: StoredArray
    path: str
    role: str
    """``constant``, ``stacked`` along a new dimension, or ``concatenated``."""
    axis: int = 0
    length: int = 0
    """Along the dimension that files are joined by."""
    uneven: str = ""
    """The file that ended in the middle of a chunk: it must be the last."""
    parts: list[Values] = field(default_factory=list)
    attributes: Node = field(default_factory=dict)


class Combination:
    """Puts the headers of files together, and writes where their chunks lie.

    Parameters
    ----------
    out : text file
        The index; complete once `finish` returns.
    base : str
        What every href that is given is relative to, such as ``s3://bucket/prefix``.
    along : Along
        The dimension by which files are put together.
    """

    def __init__(self, out: IO[str], base: str, along: Along) -> None:
        self._out, self._along = out, along
        self._arrays: dict[str, _Joined] = {}
        self._omitted: dict[str, str] = {}
        self._attributes: Node | None = None
        self._names: list[str] = []
        self._first, self._chunks = "", 0
        self._begun = False
        head = {"version": 1, "templates": {BASE: base}}
        out.write(json.dumps(head)[:-1] + ', "refs": {\n')

    def add(self, name: str, href: str, header: Header) -> None:
        """Add a file, the next along the dimension.

        Parameters
        ----------
        name : str
            For messages, and its label along a new dimension without its suffix.
        href : str
            Below `base`.

        Raises
        ------
        InvalidError
            Naming every array that differs from the first file's, and how.
        """
        if not self._names:
            self._begin(name, header)
        faults = [*self._faults(header)]
        if faults:
            problems = [
                Problem(code="layout", path=f"{name}: {path}", message=fault, fix=_FIX)
                for path, fault in faults
            ]
            raise InvalidError(
                f"{name!r} has another layout than {self._first!r}: "
                f"{faults[0][0] or 'the file'} {faults[0][1]}",
                where=name,
                fix=_FIX,
                problems=problems,
            )
        for path, joined in self._arrays.items():
            self._extend(joined, header.arrays[path], name, href)
        self._keep_shared(header)
        self._names.append(name)

    def finish(self) -> Referenced:
        """Write the metadata, and with them what makes the index complete.

        Raises
        ------
        InvalidError
            If there was no file, or none of its arrays can be referred to.
        """
        if not self._arrays:
            raise InvalidError(
                "no array of these files can be expressed in Zarr",
                where=self._first or "references",
                fix="catalogue the files without references",
                problems=[
                    Problem(code="references", path=path, message=why, fix="none")
                    for path, why in self._omitted.items()
                ],
            )
        nodes = {path: self._node(joined) for path, joined in self._arrays.items()}
        if self._along.kind == "new":
            nodes[self._along.dimension] = self._labels()
        for group in _groups(nodes):
            nodes.setdefault(group, group_node({}))
        for path, node in sorted(nodes.items()):
            self._write(f"{path}/zarr.json", text_of(node))
        root = group_node({})
        root["attributes"] = self._attributes or {}
        self._write("zarr.json", text_of(consolidated(root, nodes)))
        self._out.write("\n}}\n")
        return Referenced(
            variables=tuple(
                _variable(path, node)
                for path, node in sorted(nodes.items())
                if node["node_type"] == "array"
            ),
            omitted=dict(self._omitted),
            not_compared=tuple(
                path
                for path, j in self._arrays.items()
                if j.role == "constant" and j.first.values is None and len(self._names) > 1
            ),
            chunks=self._chunks,
        )

    def _begin(self, name: str, header: Header) -> None:
        self._first = name
        self._omitted = dict(header.omitted)
        self._attributes = plain_attributes(header.attributes, np.dtype("f8"))
        there = any(self._along.dimension in a.dims for a in header.arrays.values())
        if there != (self._along.kind == "existing"):
            has = "has" if there else "has no"
            raise InvalidError(
                f"{name!r} {has} dimension {self._along.dimension!r}",
                where=name,
                fix="name a dimension of the files to join them along it, any other word to "
                "stack them along a new one",
            )
        for path, array in header.arrays.items():
            self._arrays[path] = self._joined(path, array)

    def _joined(self, path: str, array: StoredArray) -> _Joined:
        along = self._along
        role = "constant"
        axis = 0
        if along.kind == "new" and not is_label(path, array.dims):
            role = "stacked"
        elif along.kind == "existing" and along.dimension in array.dims:
            role, axis = "concatenated", array.dims.index(along.dimension)
        notes = plain_attributes(array.attributes, array.dtype)
        return _Joined(first=array, path=path, role=role, axis=axis, attributes=notes)

    def _faults(self, header: Header) -> Iterator[tuple[str, str]]:
        for path, joined in self._arrays.items():
            held = header.arrays.get(path)
            if held is None:
                why = header.omitted.get(path)
                yield path, f"cannot be expressed here: {why}" if why else "is missing"
                continue
            yield from ((path, fault) for fault in self._array_faults(joined, held))
        for path in header.arrays.keys() - self._arrays.keys() - self._omitted.keys():
            yield path, "is not in the first file"

    def _array_faults(self, joined: _Joined, held: StoredArray) -> Iterator[str]:
        first = joined.first
        for what, mine, other in (
            ("lies along", _along(held), _along(first)),
            ("is of type", held.dtype.str, first.dtype.str),
            ("has the shape", self._shape(joined, held), self._shape(joined, first)),
            ("has chunks of", held.chunks, first.chunks),
            ("is stored with", _named(held), _named(first)),
            ("was never written as", repr(held.fill), repr(first.fill)),
        ):
            copied = held.values is not None and first.values is not None
            if mine != other and not (copied and what in _OF_STORAGE):
                yield f"{what} {mine}, not {other}"
        yield from _meanings(held, first)
        if joined.uneven:
            yield (
                f"cannot follow {joined.uneven!r}, which ends within a chunk of "
                f"{first.chunks[joined.axis]} along {self._along.dimension!r}"
            )
        if joined.role == "constant" and not _same_values(held, first):
            yield f"holds other values than in {self._first!r}"

    def _shape(self, joined: _Joined, array: StoredArray) -> tuple[int, ...]:
        """Return the shape without the dimension that files are joined by."""
        if joined.role != "concatenated":
            return array.shape
        return array.shape[: joined.axis] + array.shape[joined.axis + 1 :]

    def _extend(self, joined: _Joined, held: StoredArray, name: str, href: str) -> None:
        if joined.role == "constant" and self._names:
            return
        if held.values is not None:
            joined.parts.append(held.values)
        else:
            self._refer(joined, held, href)
        if joined.role == "stacked":
            joined.length += 1
        elif joined.role == "concatenated":
            joined.length += held.shape[joined.axis]
            if held.values is None and joined.length % held.chunks[joined.axis]:
                joined.uneven = name

    def _refer(self, joined: _Joined, held: StoredArray, href: str) -> None:
        target = f"{{{{{BASE}}}}}/{href}"
        before = joined.length // held.chunks[joined.axis] if held.chunks else 0
        for chunk, (start, length) in held.spans.items():
            at = chunk
            if joined.role == "stacked":
                at = (joined.length, *chunk)
            elif joined.role == "concatenated":
                axis = joined.axis
                at = (*chunk[:axis], chunk[axis] + before, *chunk[axis + 1 :])
            self._write(chunk_key(joined.path, at), [target, start, length])
            self._chunks += 1

    def _keep_shared(self, header: Header) -> None:
        """Keep only those attributes that all files have alike."""
        for path, joined in self._arrays.items():
            held = header.arrays[path]
            joined.attributes = _shared(
                joined.attributes, plain_attributes(held.attributes, held.dtype)
            )
        notes = plain_attributes(header.attributes, np.dtype("f8"))
        self._attributes = _shared(self._attributes or {}, notes)

    def _node(self, joined: _Joined) -> Node:
        first, new = joined.first, (self._along.dimension,)
        stacked = joined.role == "stacked"
        dims = (*new, *first.dims) if stacked else first.dims
        if joined.parts:
            values = joined.parts[0]
            if stacked:
                values = np.stack(joined.parts)
            elif joined.role == "concatenated":
                values = np.concatenate(joined.parts, axis=joined.axis)
            return self._inline(joined.path, values, dims, joined.attributes, first.fill)
        shape, chunks = first.shape, first.chunks
        if stacked:
            shape, chunks = (joined.length, *shape), (1, *chunks)
        elif joined.role == "concatenated":
            axis = joined.axis
            shape = (*shape[:axis], joined.length, *shape[axis + 1 :])
        node = array_node(
            first.dtype,
            shape,
            chunks,
            dims=dims,
            codecs=first.codecs,
            fill=first.fill,
            attributes={},
        )
        return {**node, "attributes": joined.attributes}

    def _labels(self) -> Node:
        """Name the entries of a new dimension by the files, without suffixes if all differ."""
        stems = [name.rpartition("/")[2].rpartition(".")[0] or name for name in self._names]
        labels = stems if len(set(stems)) == len(stems) else self._names
        dimension = self._along.dimension
        return self._inline(dimension, np.array(labels, np.str_), (dimension,), {}, None)

    def _inline(
        self,
        path: str,
        values: Values,
        dims: tuple[str, ...],
        attributes: Node,
        fill: Any,  # Any: a number of the array's type
    ) -> Node:
        node = array_node(
            values.dtype,
            values.shape,
            values.shape,
            dims=dims,
            codecs=inline_codecs(values.dtype),
            fill=fill,
            attributes={},
        )
        if values.size:
            self._write(chunk_key(path, (0,) * values.ndim), inline(values))
        return {**node, "attributes": attributes}

    def _write(self, key: str, value: str | list[Any]) -> None:
        comma = ",\n" if self._begun else ""
        self._begun = True
        self._out.write(f"{comma}{json.dumps(key)}:{json.dumps(value, ensure_ascii=False)}")


_OF_STORAGE = {"has chunks of", "is stored with", "was never written as", "is of type"}
"""What does not matter of values that are copied: labels may be stored as each file likes."""


def _along(array: StoredArray) -> str:
    """Name the dimensions; those without a name have numbers that another array can shift."""
    return ", ".join("a nameless one" if d.startswith(PHONY) else d for d in array.dims)


def _named(array: StoredArray) -> str:
    return " + ".join(
        f"{c['name']}({', '.join(f'{k}={v}' for k, v in sorted(c['configuration'].items()))})"
        for c in array.codecs
    )


def _meanings(held: StoredArray, first: StoredArray) -> Iterator[str]:
    for name in _DECIDES:
        mine, other = held.attributes.get(name), first.attributes.get(name)
        if not _equal(mine, other):
            yield f"has {name} {mine!r}, not {other!r}"


def _same_values(held: StoredArray, first: StoredArray) -> bool:
    if held.values is None or first.values is None:
        return True
    return _equal(held.values, first.values)


def _equal(mine: object, other: object) -> bool:
    if mine is None or other is None:
        return mine is other
    left, right = np.asarray(mine), np.asarray(other)
    numbers = left.dtype.kind in "fc" and right.dtype.kind in "fc"
    return np.array_equal(left, right, equal_nan=numbers)


def _shared(mine: Node, other: Node) -> Node:
    return {name: value for name, value in mine.items() if other.get(name) == value}


def _groups(nodes: Mapping[str, Node]) -> set[str]:
    found = set()
    for path in nodes:
        parts = path.split("/")[:-1]
        found |= {"/".join(parts[: n + 1]) for n in range(len(parts))}
    return found


def _variable(path: str, node: Node) -> Variable:
    notes = node["attributes"]
    dims = tuple(name.rpartition("/")[2] for name in node["dimension_names"])
    texts = {
        n: v
        for n in ("units", "long_name", "standard_name", "description")
        if isinstance(v := notes.get(n), str) and v.strip()
    }
    return Variable(
        name=path,
        dtype=node["data_type"],
        dims=dims,
        shape=tuple(node["shape"]),
        units=texts.get("units"),
        description=texts.get("long_name") or texts.get("description"),
        standard_name=texts.get("standard_name"),
        coordinate=dims == (path.rpartition("/")[2],),
    )
