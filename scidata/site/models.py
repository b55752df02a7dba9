"""What a page shows, as plain values: the templates decide nothing but where it stands. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scidata.diff import Difference, by_variable
from scidata.doi.ledger import Line
from scidata.facts import Asset, Variable
from scidata.formats import Subject, media
from scidata.formats.linked import standard_name_url
from scidata.formats.stac_cube import describe
from scidata.formats.subject import doi_url, is_file, link_url
from scidata.formats.text import orcid_url, ror_url
from scidata.record import Creator, Record
from scidata.site.addresses import Addresses, page_path, web
from scidata.site.sources import Version
from scidata.wording import amount, counted

MAX_PEOPLE = 30
MAX_VARIABLES = 300
MAX_FILES = 400
"""Rows of files in a page, of all assets."""
MAX_FILES_OF_ASSET = 60
MAX_VERSIONS = 200
MAX_CHANGES = 40
MAX_NAMED = 8
"""Files that a difference names, of each sort."""

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_FIELDS = ("count", "mean", "std", "min", "max")
_KINDS = {"zarr": "Zarr store", "parquet": "Parquet table", "splits": "ids of splits"}


@dataclass(frozen=True, kw_only=True)
class Person:
    """A creator or contributor."""

    name: str
    url: str | None
    affiliations: tuple[tuple[str, str | None], ...]
    role: str = ""


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """One file."""

    path: str
    href: str | None
    size: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class AssetView:
    """One asset, and the first of its files."""

    key: str
    path: str
    kind: str
    href: str | None
    """None for a folder, which no browser can fetch."""
    files: str
    size: str
    sha256: str
    rows: tuple[FileRow, ...]
    more: int
    """Files that are not shown."""


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
class VersionRow:
    """One line of the history."""

    version: str
    href: str
    date: str
    size: str
    files: str
    state: str
    doi: str | None
    doi_href: str | None
    change: str
    """What it changed, in words; empty for the first, or if it is not known."""
    here: bool
    newest: bool


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """Something of an asset that is not as it was."""

    subject: str
    what: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class ChangesView:
    """What a version changed."""

    before: str
    href: str
    words: str
    files: tuple[tuple[str, tuple[str, ...], int], ...]
    """Sort of change, the first files of it, and how many there are more."""
    rows: tuple[ChangeRow, ...]
    more: int


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


def assets(subject: Subject, addresses: Addresses) -> tuple[AssetView, ...]:
    """Return every asset; of the files, only as many as a page can bear."""
    here = page_path(subject.facts.dataset, subject.facts.version)
    left = MAX_FILES
    found: list[AssetView] = []
    below = _by_asset(subject)
    for asset in subject.facts.assets:
        single = is_file(subject.manifest, asset)
        paths = [] if single else below.get(asset.key, [])
        shown = paths[: min(MAX_FILES_OF_ASSET, left)]
        left -= len(shown)
        kind = _KINDS.get(asset.kind, asset.media_type if single else "files")
        href = web(subject.asset(asset, seen_from="")) if single else None
        found.append(
            AssetView(
                key=asset.key,
                path=asset.path,
                kind=kind,
                href=href and addresses.link(href, here),
                files=counted(asset.files, "file"),
                size=amount(asset.bytes),
                sha256=asset.sha256,
                rows=tuple(_file(subject, path, addresses, here) for path in shown),
                more=len(paths) - len(shown),
            )
        )
    return tuple(found)


def _by_asset(subject: Subject) -> dict[str, list[str]]:
    """Sort the manifest's files by asset, in one pass."""
    folders = {asset.path: asset.key for asset in subject.facts.assets}
    found: dict[str, list[str]] = {}
    for path in subject.manifest:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folder = folder.rpartition("/")[0]
        if folder:
            found.setdefault(folders[folder], []).append(path)
    return found


def _file(subject: Subject, path: str, addresses: Addresses, here: str) -> FileRow:
    href = web(subject.file(path, seen_from=""))
    return FileRow(
        path=path,
        href=href and addresses.link(href, here),
        size=amount(subject.sizes[path]),
        sha256=subject.manifest[path].hex,
    )


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
        shape=" × ".join(f"{dim} {size:,}" for dim, size in pairs),
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


def history(
    lines: Sequence[Line],
    addresses: Addresses,
    here: str,
    changes: Mapping[str, str],
    *,
    current: str | None = None,
) -> tuple[VersionRow, ...]:
    """Return the versions, newest first, as a page at `here` lists them."""
    offered = [line.commit.version for line in lines if line.history.is_offered]
    rows = []
    for line in list(reversed(lines))[:MAX_VERSIONS]:
        commit = line.commit
        doi = line.reserved.doi if line.reserved and line.findable else None
        page = addresses.page(commit.dataset, commit.version)
        rows.append(
            VersionRow(
                version=commit.version,
                href=addresses.link(page, here),
                date=commit.created[:10],
                size=amount(commit.bytes),
                files=counted(commit.files, "file"),
                state=line.history.state,
                doi=doi,
                doi_href=doi and doi_url(doi),
                change=changes.get(commit.version, ""),
                here=commit.version == current,
                newest=commit.version == (offered or [""])[-1],
            )
        )
    return tuple(rows)


def change_words(difference: Difference) -> str:
    """Say in one line what a version changed."""
    counts = {
        "added": len(difference.added),
        "changed": len(difference.changed),
        "renamed": len(difference.renamed),
        "removed": len(difference.removed),
    }
    said = [f"{n:,} {what}" for what, n in counts.items() if n]
    total = sum(counts.values())
    words = f"{', '.join(said)} of {counted(total + difference.unchanged, 'file')}"
    return words if said else "the same files"


def changes(difference: Difference, addresses: Addresses, here: str) -> ChangesView:
    """Return what a version changed, bounded."""
    dataset, _, before = difference.before.partition("@")
    renamed = [f"{item.before} → {item.after}" for item in difference.renamed]
    sorts: Iterable[tuple[str, Sequence[str]]] = (
        ("Added", difference.added),
        ("Changed", difference.changed),
        ("Renamed", renamed),
        ("Removed", difference.removed),
    )
    rows = tuple(
        ChangeRow(
            subject=f"{item.asset} · {item.variable}" if item.variable else item.asset,
            what=item.what.replace("statistics.", "").replace("_", " "),
            before=_plain(item.before),
            after=_plain(item.after),
        )
        for item in difference.assets[:MAX_CHANGES]
    )
    return ChangesView(
        before=before,
        href=addresses.link(addresses.page(dataset, before), here),
        words=f"{change_words(difference)}; {amount(difference.new_bytes)} new",
        files=tuple(
            (sort, tuple(paths[:MAX_NAMED]), max(0, len(paths) - MAX_NAMED))
            for sort, paths in sorts
            if paths
        ),
        rows=rows,
        more=len(difference.assets) - len(rows),
    )


def _plain(value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, list):
        return " × ".join(_plain(item) for item in value[:8])
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)[:200]


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
