"""Check a record, or a staged dataset against its record, and list every problem at once.

Cheap: of array stores and tables only the metadata is read, of splits the ids. Bytes are hashed
when publishing, and compared with a manifest by `scidata.verify`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from scidata import split
from scidata.errors import InvalidError, NotFoundError, Problem
from scidata.facts import Variable
from scidata.measure.variables import parquet_variables, zarr_variables
from scidata.record import (
    Record,
    Samples,
    SplitRule,
    VariableNote,
    check_record,
    read_record_bytes,
)

MAX_SPLIT_BYTES = 256 * 2**20
MAX_STATISTICS_BYTES = 16 * 2**20
STATISTICS = "data/statistics.json"

Assets: TypeAlias = Mapping[str, tuple[Variable, ...]]
"""The variables of each array store and table, by the asset's key."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What `check` found."""

    record: Record | None
    """None if the record itself has errors."""
    problems: tuple[Problem, ...]
    staged: bool
    """Data were checked too, not the record alone."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep it from being published."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that do not."""
        return tuple(p for p in self.problems if p.severity == "warning")


def check(path: Path) -> Checked:
    """Check a record file, or a folder that holds ``record.yaml`` and ``data/``.

    Parameters
    ----------
    path : Path
        The file or folder.

    Raises
    ------
    NotFoundError
        If there is nothing at the path, or the folder has no ``record.yaml``.
    """
    if not path.is_dir():
        record, problems = check_record(read_record_bytes(path), where=str(path))
        return Checked(record=record, problems=problems, staged=False)
    file = path / "record.yaml"
    if not file.is_file():
        raise NotFoundError(
            f"{str(path)!r} holds no record.yaml",
            where=str(path),
            fix=f"write one with: scidata init NAME --out {file}",
        )
    record, problems = check_record(read_record_bytes(file), where=str(file))
    if not (path / "data").is_dir():
        problems += (_error("no-data", "data", "there is no folder data/", "build it first"),)
    elif record is not None:
        problems += tuple(_data_problems(path, record))
    ordered = sorted(problems, key=lambda problem: problem.severity != "error")
    return Checked(record=record, problems=tuple(ordered), staged=True)


def _data_problems(staged: Path, record: Record) -> Iterator[Problem]:
    assets: dict[str, tuple[Variable, ...]] = {}
    for entry in sorted((staged / "data").iterdir()):
        try:
            if entry.suffix == ".zarr":
                assets[entry.stem], _ = zarr_variables(entry)
            elif entry.suffix == ".parquet":
                assets[entry.stem] = parquet_variables(_table_files(entry))
        except InvalidError as error:
            yield _error("asset", f"data/{entry.name}", error.message, error.fix)
    yield from variable_problems(record.variables, assets)
    yield from split_problems(staged, record.splits, assets)
    if record.samples is not None:
        yield from sample_problems(record.samples, assets)
    yield from _statistics_problems(staged / STATISTICS, record, assets)


def _table_files(entry: Path) -> list[Path]:
    return sorted(entry.rglob("*.parquet")) if entry.is_dir() else [entry]


def variable_problems(notes: tuple[VariableNote, ...], assets: Assets) -> Iterator[Problem]:
    """Yield what the record says of variables that the data contradict, or lack."""
    described: set[tuple[str, str]] = set()
    for n, note in enumerate(notes):
        place = f"variables[{n}]"
        if note.asset is not None and note.asset not in assets:
            fix = _one_of(assets)
            yield _error("asset-missing", f"{place}.asset", f"no asset {note.asset!r}", fix)
            continue
        found = _find(note, assets)
        described |= found.keys()
        if not found:
            where = f"asset {note.asset!r}" if note.asset else "any asset"
            names = {v.name for key in assets if note.asset in (None, key) for v in assets[key]}
            message = f"no variable {note.name!r} in {where}"
            yield _error("variable-missing", f"{place}.name", message, _one_of(names))
        for (key, _), variable in found.items():
            yield from _differences(note, variable, key, place)
    for key, variables in assets.items():
        for variable in variables:
            if (key, variable.name) not in described:
                message = f"{variable.name!r} of {key!r} is not described"
                yield _warning("undescribed", "variables", message, "add it to variables")


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
            yield _error("variable-differs", f"{place}.{field}", message, fix)
    if note.units is None and held.units is None and _is_number(held.dtype):
        message = f"{note.name!r} of {key!r} has no units"
        yield _warning("recommended", f"{place}.units", message, 'add units:; "1" for none')


def split_problems(
    staged: Path, rules: tuple[SplitRule, ...], assets: Assets
) -> Iterator[Problem]:
    """Yield parts that are missing, malformed, too long or overlap, and unknown files."""
    known: set[str] = set()
    for n, rule in enumerate(rules):
        parts: dict[str, tuple[str, ...]] = {}
        for m, part in enumerate(rule.parts):
            path = split.split_path(rule.name, part.name)
            known.add(path)
            try:
                parts[part.name] = _read_part(staged, path)
            except InvalidError as error:
                place = f"splits[{n}].parts[{m}]"
                yield _error("split-part", place, f"{path}: {error.message}", error.fix)
        yield from _overlaps(parts, f"splits[{n}]", rule)
        yield from _size_problems(parts, f"splits[{n}]", rule, assets)
    for file in sorted((staged / split.SPLITS).rglob("*")):
        path = file.relative_to(staged).as_posix()
        if file.is_file() and path not in known:
            fix = "describe it in splits, or remove it"
            yield _error("split-undescribed", path, "no split of the record has this part", fix)


def _read_part(staged: Path, path: str) -> tuple[str, ...]:
    file = staged / path
    try:
        size = file.stat().st_size
        if size > MAX_SPLIT_BYTES:
            raise InvalidError(
                f"{size} bytes are more than {MAX_SPLIT_BYTES}",
                where=path,
                fix="make one id stand for more samples",
            )
        ids = split.parse(file.read_bytes(), where=path)
    except FileNotFoundError as error:
        raise InvalidError(
            "the file is missing", where=path, fix="write it, or remove the part"
        ) from error
    if not ids:
        raise InvalidError("there are no ids", where=path, fix="remove the part")
    return ids


def _overlaps(
    parts: Mapping[str, tuple[str, ...]], place: str, rule: SplitRule
) -> Iterator[Problem]:
    names = list(parts)
    for n, first in enumerate(names):
        for second in names[n + 1 :]:
            if shared := split.overlap(parts[first], parts[second]):
                message = (
                    f"{len(shared)} ids are both in {first!r} and {second!r} of "
                    f"{rule.name!r}, first {shared[0]!r}"
                )
                fix = "keep each id in one part"
                yield _error("split-overlap", f"{place}.parts", message, fix)


def _size_problems(
    parts: Mapping[str, tuple[str, ...]], place: str, rule: SplitRule, assets: Assets
) -> Iterator[Problem]:
    lengths = _lengths(assets, rule.dimension)
    if assets and not lengths:
        message = f"no dimension or column {rule.dimension!r} in the data"
        fix = "name what the ids are of, as the data name it"
        yield _warning("split-dimension", f"{place}.dimension", message, fix)
    count = sum(map(len, parts.values()))
    if lengths and count > max(lengths):
        message = f"{count} ids, but {rule.dimension!r} has at most {max(lengths)} entries"
        yield _error("split-too-long", f"{place}.parts", message, "remove unknown ids")


def _lengths(assets: Assets, dimension: str) -> list[int]:
    variables = [variable for held in assets.values() for variable in held]
    lengths = [
        length
        for variable in variables
        for dim, length in zip(variable.dims, variable.shape, strict=True)
        if dim == dimension
    ]
    columns = [v.shape[0] for v in variables if v.name == dimension and v.shape]
    return lengths + columns


def sample_problems(samples: Samples, assets: Assets) -> Iterator[Problem]:
    """Yield what a sample names that the data lack, or hold in other dimensions."""
    if samples.asset not in assets:
        fix = _one_of(assets)
        yield _error("asset-missing", "samples.asset", f"no asset {samples.asset!r}", fix)
        return
    held = {variable.name: variable for variable in assets[samples.asset]}
    both = (samples.series, samples.along)
    for field, names, dims in (
        ("inputs", samples.inputs, both),
        ("targets", samples.targets, both),
        ("constants", samples.constants, (samples.series,)),
    ):
        for n, name in enumerate(names):
            place = f"samples.{field}[{n}]"
            if name not in held:
                message = f"no variable {name!r} in asset {samples.asset!r}"
                yield _error("variable-missing", place, message, _one_of(held))
            elif held[name].dims[: len(dims)] != dims:
                message = f"{name!r} has the dimensions {held[name].dims}, not {dims} first"
                yield _error(
                    "sample-dims", place, message, "write it with these, in this order"
                )
    steps = _lengths({samples.asset: assets[samples.asset]}, samples.along)
    if steps and samples.window > min(steps):
        message = f"{samples.window} steps, but {samples.along!r} has {min(steps)}"
        yield _error("sample-window", "samples.window", message, "choose a shorter window")


def _statistics_problems(path: Path, record: Record, assets: Assets) -> Iterator[Problem]:
    if not path.is_file():
        return
    place = STATISTICS
    fix = "write it with scidata build, or remove it"
    try:
        if path.stat().st_size > MAX_STATISTICS_BYTES:
            raise ValueError(f"more than {MAX_STATISTICS_BYTES} bytes")  # noqa: TRY301 - below
        held = json.loads(path.read_bytes())
        described = [
            (asset, part["over"], name)
            for asset, part in held["assets"].items()
            for name in part["variables"]
        ]
    except (ValueError, RecursionError, LookupError, AttributeError, TypeError) as error:
        yield _error("statistics", place, f"it cannot be read: {error!r}", fix)
        return
    parts = {f"{s.name}/{p.name}" for s in record.splits for p in s.parts} | {"all"}
    for asset, over, name in described:
        if name not in {variable.name for variable in assets.get(asset, ())}:
            message = f"no variable {name!r} in asset {asset!r}"
            yield _error("statistics", place, message, fix)
        if over not in parts:
            message = f"{over!r} is not a part of a split, nor 'all'"
            yield _error("statistics", place, message, fix)


def _is_number(dtype: str) -> bool:
    return dtype.startswith(("int", "uint", "float", "double", "half", "complex", "decimal"))


def _one_of(names: object) -> str:
    listed = sorted(str(name) for name in names) if isinstance(names, (set, Mapping)) else []
    return f"write one of {', '.join(listed)}" if listed else "build the data first"


def _error(code: str, path: str, message: str, fix: str) -> Problem:
    return Problem(code=code, path=path, message=message, fix=fix)


def _warning(code: str, path: str, message: str, fix: str) -> Problem:
    return Problem(code=code, path=path, message=message, fix=fix, severity="warning")
