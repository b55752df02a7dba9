"""What robots and feed readers take: sitemap, Atom feed, robots.txt. Pure, and without a clock.

Times are those of publications and of changes of status, so equal stores give equal bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from scidata.site.addresses import Addresses
from scidata.site.rendering import plain

MAX_ENTRIES = 50
MAX_URLS = 50_000
"""In one sitemap; see sitemaps.org."""

_ATOM = "http://www.w3.org/2005/Atom"
_SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
_NEVER = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One version in the feed, and its page in the sitemap."""

    url: str
    title: str
    summary: str
    published: str
    """UTC, ISO 8601."""
    updated: str
    """When its status or description changed last, else as `published`."""
    authors: tuple[str, ...]


def feed(entries: Sequence[Entry], addresses: Addresses, title: str) -> bytes:
    """Return the Atom feed of the newest versions and changes of status."""
    newest = sorted(entries, key=lambda entry: (entry.updated, entry.url), reverse=True)
    root = Element("feed", xmlns=_ATOM)
    _text(root, "title", title)
    _text(root, "id", addresses.at("feed.xml"))
    _text(root, "updated", newest[0].updated if newest else _NEVER)
    SubElement(root, "link", rel="self", href=addresses.at("feed.xml"))
    SubElement(root, "link", rel="alternate", type="text/html", href=addresses.at())
    for entry in newest[:MAX_ENTRIES]:
        item = SubElement(root, "entry")
        _text(item, "title", entry.title)
        _text(item, "id", entry.url)
        _text(item, "published", entry.published)
        _text(item, "updated", entry.updated)
        SubElement(item, "link", rel="alternate", type="text/html", href=entry.url)
        for author in entry.authors:
            _text(SubElement(item, "author"), "name", author)
        _text(item, "summary", entry.summary)
    return _document(root)


def sitemaps(
    urls: Sequence[tuple[str, str]], addresses: Addresses
) -> Iterator[tuple[str, bytes]]:
    """Yield the sitemap, or several and their index.

    Parameters
    ----------
    urls : sequence of tuple of str and str
        Address of each page, and the date of its last change.
    """
    if len(urls) <= MAX_URLS:
        yield "sitemap.xml", _sitemap(urls)
        return
    root = Element("sitemapindex", xmlns=_SITEMAP)
    for number, start in enumerate(range(0, len(urls), MAX_URLS), start=1):
        name = f"sitemap-{number}.xml"
        yield name, _sitemap(urls[start : start + MAX_URLS])
        _text(SubElement(root, "sitemap"), "loc", addresses.at(name))
    yield "sitemap.xml", _document(root)


def robots(addresses: Addresses) -> bytes:
    """Return ``robots.txt``: everything may be read."""
    return f"User-agent: *\nAllow: /\n\nSitemap: {addresses.at('sitemap.xml')}\n".encode()


def _sitemap(urls: Sequence[tuple[str, str]]) -> bytes:
    root = Element("urlset", xmlns=_SITEMAP)
    for url, date in urls:
        item = SubElement(root, "url")
        _text(item, "loc", url)
        _text(item, "lastmod", date)
    return _document(root)


def _text(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = str(plain(text))


def _document(root: Element) -> bytes:
    body: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return body + b"\n"
