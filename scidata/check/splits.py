"""What a record says of splits, compared with the lists of ids and with the data."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scidata import split
from scidata.check.assets import Assets, error, lengths, one_of, warning
from scidata.check.ids import read_labels, repeated_ids, unknown_ids
from scidata.errors import InvalidError, Problem
from scidata.measure import Surveyed
from scidata.record import SplitRule

if TYPE_CHECKING:
    from scidata.check.ids import Labels


def split_problems(
    staged: Path, rules: tuple[SplitRule, ...], surveyed: Surveyed
) -> Iterator[Problem]:
    """Yield parts that are missing, malformed, overlap or name unknown ids, and other files."""
    known: set[str] = set()
    for n, rule in enumerate(rules):
        parts: dict[str, tuple[str, ...]] = {}
        for m, part in enumerate(rule.parts):
            path = split.split_path(rule.name, part.name)
            known.add(path)
            try:
                parts[part.name] = _read_part(staged, path)
            except InvalidError as refused:
                place = f"splits[{n}].parts[{m}]"
                yield error("split-part", place, f"{path}: {refused.message}", refused.fix)
        yield from _overlaps(parts, f"splits[{n}]", rule)
        yield from _id_problems(parts, f"splits[{n}]", rule, staged, surveyed)
    for file in sorted((staged / split.SPLITS).rglob("*")):
        path = file.relative_to(staged).as_posix()
        if file.is_file() and path not in known:
            fix = "describe it in splits, or remove it"
            yield error("split-undescribed", path, "no split of the record has this part", fix)


def _read_part(staged: Path, path: str) -> tuple[str, ...]:
    file = staged / path
    if file.exists() and not file.is_file():
        raise InvalidError("it is no file", where=path, fix="write the ids into a text file")
    try:
        size = file.stat().st_size
        if size > split.MAX_PART_BYTES:
            raise InvalidError(
                f"{size} bytes are more than {split.MAX_PART_BYTES}",
                where=path,
                fix="make one id stand for more samples",
            )
        ids = split.parse(file.read_bytes(), where=path)
    except FileNotFoundError as missing:
        raise InvalidError(
            "the file is missing", where=path, fix="write it, or remove the part"
        ) from missing
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
                yield error("split-overlap", f"{place}.parts", message, fix)


def _id_problems(
    parts: Mapping[str, tuple[str, ...]],
    place: str,
    rule: SplitRule,
    staged: Path,
    surveyed: Surveyed,
) -> Iterator[Problem]:
    assets: Assets = surveyed.variables
    unread = surveyed.opaque.keys() | surveyed.broken
    if rule.asset in unread:
        return
    if rule.asset is not None:
        if rule.asset not in assets:
            message, fix = f"no asset {rule.asset!r}", one_of({*assets, *unread})
            yield error("asset-missing", f"{place}.asset", message, fix)
            return
        assets = {rule.asset: assets[rule.asset]}
    if assets and not (unread and rule.asset is None) and not lengths(assets, rule.dimension):
        message = f"no dimension or column {rule.dimension!r} in the data"
        fix = "name what the ids are of, as the data name it"
        yield warning("split-dimension", f"{place}.dimension", message, fix)
    try:
        labels = read_labels(rule.dimension, staged=staged, assets=assets)
    except (ValueError, RuntimeError, LookupError, OSError) as cause:
        message = f"{rule.dimension!r} cannot be read from the data: {cause}"
        yield error("split-dimension", f"{place}.dimension", message, "build the data again")
        return
    if labels:
        yield from _unfit(parts, place, rule, labels)


def _unfit(
    parts: Mapping[str, tuple[str, ...]],
    place: str,
    rule: SplitRule,
    labels: "Sequence[Labels]",
) -> Iterator[Problem]:
    for n, name in enumerate(part.name for part in rule.parts):
        ids = parts.get(name, ())
        if same := repeated_ids(ids, labels):
            message = f"{same[0]!r} and {same[1]!r} of {name!r} mean the same {rule.dimension}"
            fix = "keep one of them"
            yield error("split-repeated-id", f"{place}.parts[{n}]", message, fix)
        if unknown := unknown_ids(ids, labels):
            message = (
                f"{len(unknown)} of {len(ids)} ids of {name!r} are no {rule.dimension} of the "
                f"data, first {unknown[0]!r}"
            )
            fix = "write the split again from the data"
            yield error("split-unknown-id", f"{place}.parts[{n}]", message, fix)
