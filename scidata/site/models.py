"""What a page says of a record, as plain values: templates decide where it stands. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scidata.diff import by_variable
from scidata.facts import Asset, Variable
from scidata.formats import Subject, media
from scidata.formats.linked import standard_name_url
from scidata.formats.stac_cube import describe
from scidata.formats.subject import doi_url, link_url
from scidata.formats.text import orcid_url, ror_url
from scidata.record import Creator, Record
from scidata.site.addresses import web
from scidata.site.sources import Version

MAX_PEOPLE = 30
MAX_VARIABLES = 300

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_FIELDS = ("count", "mean", "std", "min", "max")
_TIMES = " \N{MULTIPLICATION SIGN} "


@dataclass(frozen=True, kw_only=True)
class Person:
    """A creator or contributor."""

    name: str
    url: str | None
    affiliations: tuple[tuple[str, str | None], ...]
    role: str = ""


@dataclass(frozen=True, kw_only=True)
class VariableRow:
    """An array or a column."""

    asset: str
    name: str
    dtype: str
    shape: str
    unit: str
    meaning: str
    standard_name: str
    url: str | None
    coordinate: bool


@dataclass(frozen=True, kw_only=True)
class StatisticsRow:
    """What is known of a variable's values."""

    asset: str
    name: str
    values: tuple[str, ...]
    """Count, mean, deviation, least and greatest, as text."""


@dataclass(frozen=True, kw_only=True)
class PartRow:
    """One part of a split."""

    name: str
    description: str
    count: int | None
    share: float | None
    """Of all ids of the split, percent."""


@dataclass(frozen=True, kw_only=True)
class SplitView:
    """One split."""

    name: str
    default: bool
    dimension: str
    unit: str
    rule: str
    leaks: str | None
    parts: tuple[PartRow, ...]


@dataclass(frozen=True, kw_only=True)
class Work:
    """A related work, a source or an award."""

    label: str
    text: str
    href: str | None
    note: str = ""


def people(record: Record) -> tuple[tuple[Person, ...], int]:
    """Return the first creators, and how many there are more."""
    shown = record.creators[:MAX_PEOPLE]
    return tuple(map(_person, shown)), len(record.creators) - len(shown)


def affiliations(shown: Sequence[Person]) -> tuple[tuple[str, str | None], ...]:
    """Return where these people work, each place once."""
    return tuple(dict.fromkeys(place for who in shown for place in who.affiliations))


def contributors(record: Record) -> tuple[tuple[Person, ...], int]:
    """Return the first contributors, each with its role, and how many there are more."""
    shown = record.contributors[:MAX_PEOPLE]
    found = tuple(_person(who, role=words_of(who.role)) for who in shown)
    return found, len(record.contributors) - len(shown)


def _person(who: Creator, role: str = "") -> Person:
    url = orcid_url(who.orcid) if who.orcid else None
    url = ror_url(who.ror) if who.ror else url
    places = tuple((a.name, a.ror and ror_url(a.ror)) for a in who.affiliations)
    return Person(name=who.full_name, url=url, affiliations=places, role=role)


def words_of(term: str) -> str:
    """Write a term of DataCite as words.

    Examples
    --------
    >>> words_of("IsDescribedBy")
    'Is described by'
    """
    return _WORDS.sub(" ", term).lower().capitalize()


def variables(subject: Subject) -> tuple[tuple[VariableRow, ...], int]:
    """Return the first variables, and how many there are more."""
    pairs = [(asset, v) for asset in subject.facts.assets for v in asset.variables]
    rows = tuple(_variable(subject.record, a, v) for a, v in pairs[:MAX_VARIABLES])
    return rows, len(pairs) - len(rows)


def _variable(record: Record, asset: Asset, variable: Variable) -> VariableRow:
    meaning, unit = describe(record, asset, variable)
    pairs = zip(variable.dims, variable.shape, strict=False)
    url = standard_name_url(record, asset, variable)
    return VariableRow(
        asset=asset.key,
        name=variable.name,
        dtype=variable.dtype,
        shape=_TIMES.join(f"{dim} {size:,}" for dim, size in pairs),
        unit=unit or "",
        meaning=meaning or "",
        standard_name=url.rstrip("/").rpartition("/")[2] if url else "",
        url=web(url),
        coordinate=variable.coordinate,
    )


def statistics(found: Mapping[str, Any]) -> tuple[StatisticsRow, ...]:  # Any: JSON
    """Return the statistics that can be shown, of the first variables."""
    rows = [
        StatisticsRow(
            asset=asset, name=name, values=tuple(_number(values.get(f)) for f in _FIELDS)
        )
        for asset in sorted(found)
        for name, values in sorted(by_variable(found[asset]).items())
    ]
    return tuple(row for row in rows if any(row.values))[:MAX_VARIABLES]


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{len(value)} values" if isinstance(value, list) else ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def splits(version: Version) -> tuple[SplitView, ...]:
    """Return every split; the default first."""
    rules = sorted(version.subject.record.splits, key=lambda rule: not rule.default)
    found = []
    for rule in rules:
        counts = version.parts.get(rule.name, {})
        total = sum(counts.values()) if len(counts) == len(rule.parts) else 0
        rows = tuple(
            PartRow(
                name=part.name,
                description=part.description,
                count=counts.get(part.name),
                share=100 * counts[part.name] / total if total else None,
            )
            for part in rule.parts
        )
        found.append(
            SplitView(
                name=rule.name,
                default=rule.default,
                dimension=rule.dimension,
                unit=rule.unit,
                rule=rule.rule,
                leaks=rule.leaks,
                parts=rows,
            )
        )
    return tuple(found)


def related(record: Record) -> Iterator[Work]:
    """Yield the related works."""
    for relation in record.relations:
        url = link_url(relation.id)
        yield Work(
            label=words_of(relation.type),
            text=relation.note or relation.id,
            href=web(url),
            note=words_of(relation.kind),
        )


def sources(record: Record) -> Iterator[Work]:
    """Yield what the data were made from."""
    for source in record.provenance.sources:
        url = doi_url(source.doi) if source.doi else source.url
        yield Work(
            label="",
            text=source.title,
            href=web(url),
            note=source.license or "",
        )


def awards(record: Record) -> Iterator[Work]:
    """Yield who paid."""
    for award in record.funding:
        parts = (award.title, award.number)
        yield Work(
            label="",
            text=award.funder,
            href=web(award.uri) or (award.ror and ror_url(award.ror)),
            note=", ".join(part for part in parts if part),
        )


def formats(subject: Subject) -> str:
    """Name the media types of a version, the most common first."""
    kinds: dict[str, int] = {}
    for asset in subject.facts.assets:
        if asset.media_type != media.UNKNOWN:
            kinds[asset.media_type] = kinds.get(asset.media_type, 0) + asset.bytes
    return ", ".join(sorted(kinds, key=lambda kind: (-kinds[kind], kind)))
