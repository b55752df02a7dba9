"""A static site of a store: a page for each dataset and each version, for people and machines.

Everything is derived from what was committed. The same store gives the same bytes, so a second
build writes what changed and nothing else.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scidata.diff import Difference, compare
from scidata.doi.ledger import Ledger
from scidata.errors import IntegrityError, InvalidError, NotFoundError, Problem, ScidataError
from scidata.formats.text import to_json
from scidata.identifiers import check_address
from scidata.listing import Listing, read_listing
from scidata.site import drawing, feeds, rendering, searching
from scidata.site.addresses import Addresses, page_path
from scidata.site.describing import (
    Described,
    concept_doi,
    dataset_path,
    describe_dataset,
    describe_version,
    metadata_path,
)
from scidata.site.drawn import Draw, Drawn
from scidata.site.hosting import FILE, DoiTarget, Hosting
from scidata.site.listed import change_words
from scidata.site.pages import (
    Card,
    Preview,
    card,
    dataset_page,
    index_page,
    missing_page,
    version_page,
)
from scidata.site.signposting import LINKSET, LINKSET_TYPE, backlinks, header, linkset
from scidata.site.snippets import bucket_of
from scidata.site.sources import Version, continued, read_outline, read_version
from scidata.site.writing import Folder
from scidata.storage import StoreLike, open_store
from scidata.storage.base import Store
from scidata.warning import told

__all__ = ["BASE_URL", "LOCAL", "Draw", "Drawn", "SiteOptions", "SiteReport", "build"]

BASE_URL = "SCIDATA_BASE_URL"
LOCAL = "http://127.0.0.1:8000"
"""Where `scidata.site.serving` serves a site; its address as long as no other is given."""

_DAMAGE = (IntegrityError, InvalidError, NotFoundError)


@dataclass(frozen=True, kw_only=True)
class SiteOptions:
    """How to build. What is None is found out."""

    base_url: str | None = None
    """Where the site will be; by default ``$SCIDATA_BASE_URL``, else this machine."""
    data_url: str | None = None
    """Where readers find the store; by default its own address if that is https or a bucket
    that is read without credentials, else `base_url`: the host then serves both."""
    dry_run: bool = False
    """Say what would be written; write and remove nothing."""
    draw: Draw | None = None
    """What draws the pictures; by default the plots that the data call for, kept in the folder
    from build to build."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


@dataclass(frozen=True, kw_only=True)
class SiteReport:
    """What `build` did, or would do."""

    base_url: str
    data_url: str
    datasets: int
    versions: int
    """Pages of versions, tombstones included."""
    written: tuple[str, ...]
    """Paths of files that are new or changed."""
    removed: tuple[str, ...]
    unchanged: int
    damaged: tuple[Problem, ...]
    """Versions without a page, because what describes them is damaged; one that they had
    stays."""
    undrawn: tuple[str, ...]
    """Versions whose plots a dry run does not draw, nor count among `written`."""
    warnings: tuple[str, ...]


def build(
    store: StoreLike | None, out: str | Path, options: SiteOptions | None = None
) -> SiteReport:
    """Write the site of a store into a folder.

    Parameters
    ----------
    store : Store, str, Path or None
        By default ``$SCIDATA_STORE``, else the user's data folder.
    out : str or Path
        The folder. Files in it that no build wrote are left alone.
    options : SiteOptions, optional
        Where it will be, and how to build it.

    Raises
    ------
    InvalidError
        If an address is malformed, or Jinja2 is not installed.
    NotFoundError
        If there is no store.
    ConflictError
        If a file that is not ours lies where a page should.
    StorageError
        If the store cannot be read, or the folder not be written.
    """
    options = options or SiteOptions()
    opened = open_store(store)
    undrawn: list[str] = []

    def leave_undrawn(of: Store, version: Version) -> Sequence[Drawn]:
        undrawn.append(version.commit.name)
        return ()

    new = leave_undrawn if options.dry_run else drawing.draw_new
    draw = options.draw or drawing.keeping(Path(out), new)
    site = _Site(opened, draw, _addresses(opened, options))
    folder = Folder(Path(out), dry_run=options.dry_run)
    for path, data in site.files():
        folder.put(path, data)
    folder.finish(keep=[*site.kept, *(page_path(*name.split("@")) for name in undrawn)])
    return SiteReport(
        base_url=site.addresses.base_url,
        data_url=site.addresses.data_url,
        datasets=len(site.cards),
        versions=len(site.entries),
        written=tuple(folder.written),
        removed=tuple(folder.removed),
        unchanged=folder.unchanged,
        damaged=tuple(site.damaged),
        undrawn=tuple(undrawn),
        warnings=tuple(dict.fromkeys(site.warnings)),
    )


def _addresses(store: Store, options: SiteOptions) -> Addresses:
    base_url = options.base_url or options.environ.get(BASE_URL) or LOCAL
    data_url = options.data_url or _public(store) or base_url
    for url, name in ((base_url, f"--base-url or ${BASE_URL}"), (data_url, "--data-url")):
        check_address(url, where=name)
    return Addresses(base_url=base_url.rstrip("/"), data_url=data_url.rstrip("/"))


def _public(store: Store) -> str | None:
    """Return where everybody can read a store, if its address says so."""
    if store.url.startswith(("https://", "http://")):
        return store.url
    if store.url.startswith("s3://") and not store.writable and store.address == store.url:
        bucket, _, prefix = store.url.removeprefix("s3://").partition("/")
        return f"https://{bucket}.s3.amazonaws.com/{prefix}"
    return None


class _Site:
    """The files of a site, one after the other, and what is learnt on the way."""

    def __init__(self, store: Store, draw: Draw, addresses: Addresses) -> None:
        self._store = store
        self._draw = draw
        self.addresses = addresses
        self._hosting = Hosting(addresses=addresses)
        self.cards: list[Card] = []
        self._entries: list[searching.Entry] = []
        self.entries: list[feeds.Entry] = []
        self.damaged: list[Problem] = []
        self.warnings: list[str] = []
        self.kept: list[str] = []
        """Below these paths nothing is removed: what they show cannot be read now."""

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield every file: path and bytes."""
        listing = read_listing(self._store)
        for name, error in listing.damaged.items():
            self._lose(name, error)
        for dataset in listing.versions:
            if listing.versions[dataset]:
                yield from self._dataset(listing, dataset)
        yield from self._around()

    def _lose(self, name: str, error: ScidataError) -> None:
        if name in {problem.path for problem in self.damaged}:
            return
        dataset, _, number = name.partition("@")
        self.kept.append(page_path(dataset, number or None))
        self.damaged.append(
            Problem(
                code="no-page",
                path=name,
                message=error.message,
                fix=error.fix,
            )
        )

    def _dataset(self, listing: Listing, dataset: str) -> Iterator[tuple[str, bytes]]:
        """Yield the pages of a dataset; at most two of its versions are held at once."""
        ledger = read_outline(self._store, listing, dataset, self.warnings.append)
        chosen = listing.newest(dataset)
        newest: tuple[Version, tuple[Preview, ...]] | None = None
        changes: dict[str, str] = {}
        before: Version | None = None
        for line in ledger.lines:
            number = line.commit.version
            version = self._read(ledger, number)
            if version is None:
                continue
            difference = self._difference(version, before)
            if difference is not None:
                changes[number] = change_words(difference)
            drawn = self._pictures(version)
            yield from self._version(version, difference, drawn)
            if newest is None or not (chosen and newest[0].commit.version == chosen.version):
                newest = version, tuple(d.preview for d in drawn)
            before = version
        if newest is None:
            self.kept.append(page_path(dataset))
            return
        yield from self._overview(*newest, changes)

    def _pictures(self, version: Version) -> tuple[Drawn, ...]:
        if version.is_gone:
            return ()
        with told(self.warnings.append):
            return tuple(self._draw(self._store, version))

    def _read(self, ledger: Ledger, number: str) -> Version | None:
        try:
            return read_version(
                self._store,
                ledger,
                number,
                data_url=self.addresses.data_url,
                warn=self.warnings.append,
            )
        except _DAMAGE as error:
            self._lose(ledger.of(number).commit.name, error)
            return None

    def _difference(self, version: Version, before: Version | None) -> Difference | None:
        number = continued(version.ledger, version.commit.version)
        if number is None:
            return None
        if before is None or before.commit.version != number:
            before = self._read(version.ledger, number)
        return None if before is None else compare(before.side, version.side)

    def _version(
        self, version: Version, difference: Difference | None, drawn: Sequence[Drawn]
    ) -> Iterator[tuple[str, bytes]]:
        commit = version.commit
        here = page_path(commit.dataset, commit.version)
        images = tuple(self.addresses.at(here + d.preview.file) for d in drawn)
        described = describe_version(version, self.addresses, images)
        yield (
            f"{here}index.html",
            version_page(
                version,
                described,
                self.addresses,
                difference=difference,
                previews=[d.preview for d in drawn],
                bucket=bucket_of(self._store, self.addresses.data_url),
            ),
        )
        for picture in drawn:
            yield here + picture.preview.file, picture.data
        if drawn:
            yield here + drawing.FILE, drawing.listing(version, drawn)
        yield from self._machines(here, described)
        self._note_version(version, described)

    def _overview(
        self, newest: Version, previews: Sequence[Preview], changes: Mapping[str, str]
    ) -> Iterator[tuple[str, bytes]]:
        name = newest.commit.dataset
        here = page_path(name)
        described = describe_dataset(newest, self.addresses)
        page = dataset_page(newest, described, self.addresses, changes, previews)
        yield f"{here}index.html", page
        yield from self._machines(here, described)
        self.cards.append(card(newest, self.addresses))
        self._entries.append(searching.entry(newest, self.cards[-1]))
        if (concept := concept_doi(newest)) is not None:
            self._hosting.dois[concept] = DoiTarget(
                url=self.addresses.page(name),
                datacite=dataset_path(name, "datacite"),
                schemaorg=dataset_path(name, "schemaorg"),
            )

    def _machines(self, here: str, described: Described) -> Iterator[tuple[str, bytes]]:
        """Yield what machines read beside a page, and note how a host answers for it."""
        at, owns_items = self.addresses.at(here), described.owns_items
        found = linkset(at, described.links, owns_items=owns_items)
        yield here + LINKSET, to_json(found)
        self._hosting.add_header(here, "Link", header(described.links))
        self._hosting.add_type(here + LINKSET, LINKSET_TYPE)
        self._hosting.add_choice(here, described.negotiate)
        for path, (media_type, data) in described.files.items():
            yield path, data
            self._hosting.add_type(path, media_type)
        for url, back in backlinks(found):
            path = url.removeprefix(f"{self.addresses.base_url}/")
            self._hosting.add_header(path, "Link", back)

    def _note_version(self, version: Version, described: Described) -> None:
        commit, status = version.commit, version.history.status
        record, later = version.subject.record, (status, version.correction)
        line = version.ledger.of(commit.version)
        page = self.addresses.page(commit.dataset, commit.version)
        if line.reserved is not None and line.findable:
            doi = line.reserved.doi
            self._hosting.dois[doi] = DoiTarget(
                url=page,
                datacite=metadata_path(commit.dataset, commit.version, "datacite"),
                schemaorg=metadata_path(commit.dataset, commit.version, "schemaorg"),
            )
            self._hosting.ids.append(f"https://doi.org/{doi}")
        else:
            self._hosting.ids.append(page)
        state = "" if version.history.state == "active" else f" ({version.history.state})"
        self.entries.append(
            feeds.Entry(
                url=page,
                title=f"{record.title}, version {commit.version}{state}",
                summary=status.reason if status else record.abstract,
                published=commit.created,
                updated=max([commit.created, *(found.date for found in later if found)]),
                authors=tuple(who.full_name for who in record.creators[:10]),
            )
        )

    def _around(self) -> Iterator[tuple[str, bytes]]:
        """Yield what a site has once."""
        addresses = self.addresses
        yield "index.html", index_page(self.cards, addresses)
        yield "404.html", missing_page(addresses)
        yield searching.FILE, searching.search_file(self._entries)
        for name in rendering.ASSETS:
            yield name, rendering.asset(name)
        dates: dict[str, str] = {}
        for entry in self.entries:
            dataset = entry.url.rsplit("/", 2)[0] + "/"
            for url in (addresses.at(), dataset, entry.url):
                dates[url] = max(dates.get(url, ""), entry.updated[:10])
        yield from feeds.sitemaps(sorted(dates.items()), addresses)
        yield "feed.xml", feeds.feed(self.entries, addresses, "New versions of datasets")
        self._hosting.add_header("feed.xml", "Content-Type", "application/atom+xml")
        yield "robots.txt", feeds.robots(addresses)
        yield FILE, self._hosting.file()
