"""What a page lists of files and versions, and what a version changed: bounded. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scidata.diff import Difference
from scidata.doi.ledger import Line
from scidata.formats import Subject
from scidata.formats.subject import doi_url, is_file
from scidata.site.addresses import Addresses, page_path, web
from scidata.status import State
from scidata.version import CommitRecord
from scidata.wording import amount, counted

MAX_FILES = 400
"""Rows of files in a page, of all assets."""
MAX_FILES_OF_ASSET = 60
MAX_VERSIONS = 200
MAX_CHANGES = 40
MAX_NAMED = 8
"""Files that a difference names, of each sort."""

_KINDS = {"zarr": "Zarr store", "parquet": "Parquet table", "splits": "ids of splits"}
_TIMES = " \N{MULTIPLICATION SIGN} "


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


def assets(
    subject: Subject, addresses: Addresses, *, linked: bool = True
) -> tuple[AssetView, ...]:
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
        href = web(subject.asset(asset, seen_from="")) if single and linked else None
        found.append(
            AssetView(
                key=asset.key,
                path=asset.path,
                kind=kind,
                href=href and addresses.link(href, here),
                files=counted(asset.files, "file"),
                size=amount(asset.bytes),
                sha256=asset.sha256,
                rows=tuple(_file(subject, path, addresses, here, linked) for path in shown),
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


def _file(
    subject: Subject, path: str, addresses: Addresses, here: str, linked: bool
) -> FileRow:
    href = web(subject.file(path, seen_from="")) if linked else None
    return FileRow(
        path=path,
        href=href and addresses.link(href, here),
        size=amount(subject.sizes[path]),
        sha256=subject.manifest[path].hex,
    )


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
                size=size_words(commit, line.history.state),
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


def size_words(commit: CommitRecord, state: State) -> str:
    """Return the size of a version, or that its files are gone."""
    return "removed" if state == "purged" else amount(commit.bytes)


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
        return _TIMES.join(_plain(item) for item in value[:8])
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)[:200]
