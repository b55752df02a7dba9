"""What a record says of variables, samples and statistics, compared with the data."""

import json
from collections.abc import Iterator
from pathlib import Path

from scidata.check.assets import Assets, error, lengths, one_of, warning
from scidata.errors import Problem
from scidata.facts import STATISTICS, Variable
from scidata.formats.media import HDF5_SUFFIXES
from scidata.measure import Surveyed
from scidata.record import Join, Record, Samples, VariableNote

MAX_STATISTICS_BYTES = 16 * 2**20


def variable_problems(notes: tuple[VariableNote, ...], surveyed: Surveyed) -> Iterator[Problem]:
    """Yield what the record says of variables that the data contradict, or lack."""
    assets = surveyed.variables
    unread = surveyed.opaque.keys() | surveyed.broken
    described: set[tuple[str, str]] = set()
    for n, note in enumerate(notes):
        place = f"variables[{n}]"
        if note.asset in unread:
            continue
        if note.asset is not None and note.asset not in assets:
            fix = one_of({*assets, *unread})
            yield error("asset-missing", f"{place}.asset", f"no asset {note.asset!r}", fix)
            continue
        found = _find(note, assets)
        described |= found.keys()
        if not found and (note.asset is not None or not unread):
            where = f"asset {note.asset!r}" if note.asset else "any asset"
            names = {v.name for key in assets if note.asset in (None, key) for v in assets[key]}
            message = f"no variable {note.name!r} in {where}"
            yield error("variable-missing", f"{place}.name", message, one_of(names))
        for (key, _), variable in found.items():
            yield from _differences(note, variable, key, place)
    yield from _undescribed(assets, described)


def _undescribed(assets: Assets, described: set[tuple[str, str]]) -> Iterator[Problem]:
    for key, variables in assets.items():
        for variable in variables:
            if (key, variable.name) not in described:
                message = f"{variable.name!r} of {key!r} is not described"
                yield warning("undescribed", "variables", message, "add it to variables")


def _find(note: VariableNote, assets: Assets) -> dict[tuple[str, str], Variable]:
    return {
        (key, variable.name): variable
        for key, variables in assets.items()
        if note.asset in (None, key)
        for variable in variables
        if variable.name == note.name
    }


def _differences(note: VariableNote, held: Variable, key: str, place: str) -> Iterator[Problem]:
    pairs = (
        ("units", note.units, held.units),
        ("standard_name", note.standard_name, held.standard_name),
    )
    for field, written, read in pairs:
        if written is not None and read is not None and written != read:
            message = f"{written!r} here, {read!r} in asset {key!r}"
            fix = "correct the one that is wrong"
            yield error("variable-differs", f"{place}.{field}", message, fix)
    if note.units is None and held.units is None and _is_number(held.dtype):
        message = f"{note.name!r} of {key!r} has no units"
        yield warning("recommended", f"{place}.units", message, 'add units:; "1" for none')


def sample_problems(samples: Samples, surveyed: Surveyed) -> Iterator[Problem]:
    """Yield what a sample names that the data lack, or hold in other dimensions."""
    assets = surveyed.variables
    if samples.asset in surveyed.broken:
        return
    if samples.asset in surveyed.opaque:
        path = surveyed.opaque[samples.asset]
        if not path.lower().endswith(HDF5_SUFFIXES):
            message = f"{path!r} is no Zarr v3 store, Parquet table or file in HDF5"
            fix = (
                "write the samples as one of these, or remove samples: nothing else is streamed"
            )
            yield error("asset-kind", "samples.asset", message, fix)
        return
    if samples.asset not in assets:
        fix = one_of(assets)
        yield error("asset-missing", "samples.asset", f"no asset {samples.asset!r}", fix)
        return
    yield from _sample_faults(samples, assets[samples.asset])
    for n, join in enumerate(samples.joins):
        if join.asset not in surveyed.opaque.keys() | surveyed.broken:
            yield from _join_faults(join, f"samples.joins[{n}]", samples.asset, assets)


def _join_faults(join: Join, place: str, asset: str, assets: Assets) -> Iterator[Problem]:
    if join.asset not in assets:
        message = f"no asset {join.asset!r}"
        yield error("asset-missing", f"{place}.asset", message, one_of(assets))
        return
    held = {variable.name for variable in assets[asset]}
    if join.by not in held:
        message = f"no variable {join.by!r} in asset {asset!r}"
        yield error("variable-missing", f"{place}.by", message, one_of(held))
    there = {variable.name for variable in assets[join.asset]}
    for k, name in enumerate(join.variables):
        if name not in there:
            message = f"no variable {name!r} in asset {join.asset!r}"
            yield error("variable-missing", f"{place}.variables[{k}]", message, one_of(there))


def _sample_faults(samples: Samples, variables: tuple[Variable, ...]) -> Iterator[Problem]:
    held = {variable.name: variable for variable in variables}
    entry = samples.each[0]
    for field, names in (("inputs", samples.inputs), ("targets", samples.targets)):
        for n, name in enumerate(names):
            place = f"samples.{field}[{n}]"
            if name not in held:
                message = f"no variable {name!r} in asset {samples.asset!r}"
                yield error("variable-missing", place, message, one_of(held))
            elif entry not in held[name].dims:
                message = f"{name!r} has the dimensions {held[name].dims}, not {entry!r}"
                yield error("sample-dims", place, message, f"write it along {entry!r}, too")
    yield from _length_faults(samples, variables)


def _length_faults(samples: Samples, variables: tuple[Variable, ...]) -> Iterator[Problem]:
    for n, dim in enumerate(samples.each[1:], start=1):
        if not lengths({samples.asset: variables}, dim):
            message = f"no variable of {samples.asset!r} has the dimension {dim!r}"
            yield error("sample-dims", f"samples.each[{n}]", message, "name one that they have")
    for n, window in enumerate(samples.windows):
        steps = lengths({samples.asset: variables}, window.dimension)
        needed = window.start + window.size + (samples.lead if n == 0 else 0)
        place = f"samples.windows[{n}]"
        if not steps:
            message = f"no variable of {samples.asset!r} has the dimension {window.dimension!r}"
            yield error("sample-dims", f"{place}.dimension", message, "name one that they have")
        elif needed > min(steps):
            message = f"{needed} steps, but {window.dimension!r} has {min(steps)}"
            yield error("sample-window", f"{place}.size", message, "choose a shorter window")


def statistics_problems(path: Path, record: Record, surveyed: Surveyed) -> Iterator[Problem]:
    """Yield statistics of variables or split parts that are not there."""
    if not path.is_file():
        return
    place = STATISTICS
    fix = "write it with scidata build, or remove it"
    try:
        if path.stat().st_size > MAX_STATISTICS_BYTES:
            raise ValueError(f"more than {MAX_STATISTICS_BYTES} bytes")  # noqa: TRY301 - below
        held = json.loads(path.read_bytes())
        described = [
            (asset, str(part["over"]), name)
            for asset, part in held["assets"].items()
            for name in part["variables"]
        ]
    except (ValueError, RecursionError, LookupError, AttributeError, TypeError) as cause:
        yield error("statistics", place, _unread(cause), fix)
        return
    parts = {f"{s.name}/{p.name}" for s in record.splits for p in s.parts} | {"all"}
    unread = surveyed.opaque.keys() | surveyed.broken
    for asset, over, name in described:
        held_names = {variable.name for variable in surveyed.variables.get(asset, ())}
        if asset not in unread and name not in held_names:
            message = f"no variable {name!r} in asset {asset!r}"
            yield error("statistics", place, message, fix)
        if over not in parts:
            message = f"{over!r} is not a part of a split, nor 'all'"
            yield error("statistics", place, message, fix)


def _unread(cause: Exception) -> str:
    if isinstance(cause, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
        return "it is not JSON"
    if isinstance(cause, ValueError):
        return f"it cannot be read: {cause}"
    return "it does not have the form of scidata-statistics/1"


def _is_number(dtype: str) -> bool:
    return dtype.startswith(("int", "uint", "float", "double", "half", "complex", "decimal"))
