"""A draft of a record: what was read, without what no record may hold, and what is missing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scidata.drafting.values import Fields
from scidata.errors import InvalidError, Problem
from scidata.record import check_record
from scidata.record.safe_yaml import MAX_BYTES, write_yaml

_STEP = re.compile(r"[^.\[\]]+|\[\d+\]")
_TO_FILL_IN: Mapping[str, Any] = {  # Any: YAML at the edge
    "title": "<title>",
    "abstract": "<abstract>",
    "creators": [{"given": "<given names>", "family": "<family name>"}],
    "contact": {"name": "<person or team>", "email": "<name@domain>"},
    "publisher": {"name": "<organisation>"},
    "license": "<SPDX id>",
    "access": "<open, embargoed, restricted or metadata-only>",
    "keywords": ["<keyword>"],
}
_ORDER = (
    "format",
    "id",
    *_TO_FILL_IN,
    "methods",
    "contributors",
    "available",
    "language",
    "subjects",
    "spatial",
    "temporal",
    "created",
    "synthetic",
    "synthetic_note",
    "real_note",
    "out_of_scope",
    "relations",
    "funding",
    "provenance",
    "limitations",
    "variables",
    "splits",
    "conforms_to",
)
_ROUNDS = 50
_GONE: Any = object()  # Any: stands where a value was


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A record that was begun from something else."""

    source: str
    """What it was begun from, in words: ``a DataCite record``."""
    fields: Fields
    """As a record file holds them; what is missing is in angle brackets."""
    missing: tuple[str, ...]
    """Paths of what is to be filled in, such as ``contact.email``."""
    left_out: tuple[Problem, ...] = field(default_factory=tuple)
    """Values that were read and that no record may hold."""

    def text(self, path: object) -> bytes:
        """Return the file's bytes; `path` is where it will lie."""
        head = (
            f"# Begun from {self.source}. Fill in what is in <angle brackets>, then run\n"
            f"#   scidata check {path}\n"
        )
        return head.encode() + write_yaml(self.fields)


def settle(name: str, source: str, read: Mapping[str, object]) -> Draft:
    """Make a draft of what was read.

    Parameters
    ----------
    name : str
        The dataset's id.
    source : str
        What was read, in words.
    read : mapping
        Fields of a record, as far as they could be read.

    Raises
    ------
    InvalidError
        If it says more than a record may hold.
    """
    fields: Fields = {"format": "scidata-record/1", "id": name, **read}
    left_out: list[Problem] = []
    for _ in range(_ROUNDS):
        wrong = [p for p in _errors(fields, source) if p.code != "to-fill-in"]
        bad = [p for p in wrong if _strike(fields, p.path)]
        if not bad:
            break
        # What lacks a value that was struck is no second problem.
        told = {problem.path for problem in left_out}
        left_out += [problem for problem in bad if problem.path not in told]
        fields = _compact(fields)
    fields = _filled(fields)
    return Draft(
        source=source,
        fields={key: fields[key] for key in _ORDER if key in fields},
        missing=tuple(p.path for p in _errors(fields, source)),
        left_out=tuple(left_out),
    )


def _errors(fields: Fields, source: str) -> list[Problem]:
    data = write_yaml(fields)
    if len(data) > MAX_BYTES:
        raise InvalidError(
            f"{source} says {len(data)} bytes of what a record holds, more than {MAX_BYTES}",
            where="--from",
            fix="shorten it, such as its list of creators, and run the same command again",
        )
    _, problems = check_record(data, where=source)
    return [problem for problem in problems if problem.severity == "error"]


def _strike(fields: Fields, path: str) -> bool:
    """Mark the innermost value that a problem is about; not what must be there."""
    inner: Any = fields  # Any: YAML at the edge
    place: tuple[Any, Any] | None = None
    steps = [int(s[1:-1]) if s.startswith("[") else s for s in _STEP.findall(path)]
    depth = 0
    for step in steps:
        held = isinstance(inner, dict) and step in inner
        held = held or (isinstance(inner, list) and isinstance(step, int) and step < len(inner))
        if not held or inner[step] is _GONE:
            break
        place, inner, depth = (inner, step), inner[step], depth + 1
    if place is None or (depth == 1 and steps[0] in {*_TO_FILL_IN, "id", "format"}):
        return False
    if depth == 2 and steps[0] in {"contact", "publisher"}:  # noqa: PLR2004 - a part of one
        return False
    place[0][place[1]] = _GONE
    return True


def _compact(value: Any) -> Any:  # Any: YAML at the edge
    if isinstance(value, dict):
        held = {key: _compact(inner) for key, inner in value.items() if inner is not _GONE}
        return {key: inner for key, inner in held.items() if inner not in ({}, [])}
    if isinstance(value, list):
        kept = [_compact(inner) for inner in value if inner is not _GONE]
        return [inner for inner in kept if inner not in ({}, [])]
    return value


def _filled(fields: Fields) -> Fields:
    """Put what is to be filled in where mandatory fields are missing."""
    filled = dict(fields)
    for key, wanted in _TO_FILL_IN.items():
        found = fields.get(key)
        if not found:
            filled[key] = wanted
        elif isinstance(wanted, dict) and isinstance(found, dict):
            filled[key] = {**wanted, **found}
    return filled
