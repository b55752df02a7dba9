"""Stores for tests of sites, and readers of the sites that are built of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import html5lib
import yaml

from scidata.marking import Mark, mark
from scidata.purging import purge
from scidata.record import Record
from scidata.reservation import (
    FindableNote,
    Reservation,
    findable_key,
    kept_bytes,
    reservation_key,
)
from scidata.site import SiteOptions, SiteReport, build
from scidata.site.drawn import draw_nothing
from scidata.storage.base import Store
from scidata.storage.memory import MemoryStore
from scidata.version import CommitRecord
from tests.records import full_record
from tests.samples import record_fields, write_bare, write_staged
from tests.versions import write_version

BASE = "https://data.example.org"
CONCEPT = "10.5072/scidata.tiny"
_X = "{http://www.w3.org/1999/xhtml}"
_LINKS = {"a": "href", "link": "href", "img": "src", "script": "src"}
_REDIRECTED = {"canonical", "cite-as", "type", "author", "license"}


def site_options(**changes: Any) -> SiteOptions:
    """Options that take nothing from the environment, and draw nothing: that takes seconds."""
    plain = {"base_url": BASE, "environ": {}, "draw": draw_nothing}
    return SiteOptions(**{**plain, **changes})


def site_store(folder: Path) -> MemoryStore:
    """A store with what a site may have to show.

    ``tiny`` has a full record, a deprecated, an active and a withdrawn version, and DOIs;
    ``bare`` has a purged version and one that is offered; ``gone`` has a withdrawn one alone.
    """
    store = MemoryStore()
    staged = with_record(write_staged(folder / "tiny"), leaking_record())
    for number, before in (("1.0.0", None), ("1.1.0", "1.0.0"), ("1.2.0", "1.1.0")):
        (staged / "data/notes.txt").write_text(f"of {number}\n")
        commit = write_version(store, staged, number, before)
        if number != "1.2.0":
            give_doi(store, commit)
    mark("tiny@1.0.0", Mark(state="deprecated", reason="Too few waves."), store)
    said = Mark(state="withdrawn", reason="Labels <swapped>.", replaced_by="tiny@1.1.0")
    mark("tiny@1.2.0", said, store)
    write_version(store, write_bare(folder / "bare"))
    write_version(store, write_bare(folder / "bare-2", "b"), "1.1.0")
    purge("bare@1.0.0", "A person withdrew their consent.", store)
    gone = write_bare(folder / "gone")
    fields = yaml.safe_load((gone / "record.yaml").read_text())
    (gone / "record.yaml").write_text(yaml.safe_dump({**fields, "id": "gone"}))
    write_version(store, gone)
    mark("gone@1.0.0", Mark(state="withdrawn", reason="Nothing of it was right."), store)
    return store


def leaking_record() -> Record:
    """A full record whose split leaks; its samples can be streamed."""
    splits = [{**record_fields()["splits"][0], "leaks": "Neighbours look alike."}]
    return full_record(splits=splits)


def with_record(staged: Path, record: Record) -> Path:
    """Give a staged dataset another record."""
    fields = record.model_dump(mode="json", exclude_none=True)
    (staged / "record.yaml").write_text(yaml.safe_dump(fields, allow_unicode=True))
    return staged


def give_doi(store: Store, commit: CommitRecord, *, findable: bool = True) -> str:
    """Note a DOI as `scidata doi publish` does."""
    doi = f"10.5072/scidata.{commit.dataset}.v{commit.version}"
    about: dict[str, Any] = {
        "dataset": commit.dataset,
        "version": commit.version,
        "doi": doi,
        "date": "2026",
    }
    note = Reservation(
        **about,
        digest=commit.digest,
        concept=f"10.5072/scidata.{commit.dataset}",
        api="https://api.datacite.org",
        by="test",
    )
    key = reservation_key(commit.dataset, commit.version)
    store.create(key, kept_bytes(note))
    if findable:
        seen = findable_key(commit.dataset, commit.version)
        store.create(seen, kept_bytes(FindableNote(**about)))
    return doi


def built(store: Store, out: Path, **changes: Any) -> SiteReport:
    """Build a site that must have no damage."""
    report = build(store, out, site_options(**changes))
    assert report.damaged == ()
    return report


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def pages(folder: Path) -> list[str]:
    """Return the path of every page of a site."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.html"))


def parsed(data: bytes) -> Any:  # Any: an element of ElementTree
    """Parse a page as browsers do, and refuse what is no valid HTML 5."""
    parser = html5lib.HTMLParser(strict=False)
    tree = parser.parse(data)
    assert parser.errors == [], parser.errors
    return tree


def text_of(data: bytes) -> str:
    """Return what a reader sees of a page, blanks made one."""
    body = parsed(data).find(f"{_X}body")
    return " ".join(" ".join(body.itertext()).split())


def json_ld(data: bytes) -> list[Any]:  # Any: JSON
    """Return the JSON-LD that is embedded in a page."""
    return [
        json.loads(script.text)
        for script in parsed(data).iter(f"{_X}script")
        if script.get("type") == "application/ld+json"
    ]


def head_links(data: bytes, rels: set[str] | None = None) -> list[tuple[str, str]]:
    """Return the links in a page's head: relation and address."""
    found = [(x.get("rel"), x.get("href")) for x in parsed(data).iter(f"{_X}link")]
    return [(rel, href) for rel, href in found if rels is None or rel in rels]


def addresses(data: bytes, page: str) -> Iterator[str]:
    """Yield every address in a page that a reader or browser may follow, made absolute."""
    for element in parsed(data).iter():
        name = str(element.tag).removeprefix(_X)
        href = element.get(_LINKS.get(name, ""))
        if href is not None and element.get("rel") not in _REDIRECTED:
            yield urljoin(f"{BASE}/{page}", href)


def broken(folder: Path, store: Store, page: str) -> list[str]:
    """Return the addresses of a page that lead nowhere on its own host."""
    data = (folder / page).read_bytes()
    ids = {element.get("id") for element in parsed(data).iter()}
    lost = []
    for url in addresses(data, page):
        parts = urlsplit(url)
        assert parts.scheme in {"https", "http", "mailto"}, url
        if not url.startswith(f"{BASE}/"):
            continue
        path = unquote(parts.path).removeprefix("/")
        file = folder / (f"{path}index.html" if path.endswith("/") or not path else path)
        if parts.fragment and path == page.removesuffix("index.html"):
            lost += [] if parts.fragment in ids else [url]
        elif not file.is_file() and not _holds(store, path):
            lost.append(url)
    return lost


def _holds(store: Store, key: str) -> bool:
    return any(facts.key == key for facts in store.list(key))
