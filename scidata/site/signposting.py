"""FAIR Signposting, level 2: the typed links of a page, alike in its head, header and linkset.

Source: https://signposting.org/FAIR/ (2023-10-02) and RFC 9264. The lists are cut, everywhere
alike, so that a header stays below the 8 KiB that servers commonly take.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scidata.formats.linked import Node
from scidata.site.addresses import header_url

LINKSET = "linkset.json"
LINKSET_TYPE = "application/linkset+json"
MAX_AUTHORS = 10
MAX_ITEMS = 12
MAX_HEADER_BYTES = 6144


@dataclass(frozen=True, kw_only=True)
class Link:
    """One typed link."""

    rel: str
    href: str
    type: str | None = None
    profile: str | None = None

    @property
    def field(self) -> str:
        """The link as RFC 8288 writes it."""
        more = [
            f'{name}="{value}"'
            for name, value in (("type", self.type), ("profile", self.profile))
            if value
        ]
        return "; ".join([f"<{self.href}>", f'rel="{self.rel}"', *more])


def link(
    rel: str, href: str, *, media_type: str | None = None, profile: str | None = None
) -> Link:
    """Return a link whose address can stand anywhere."""
    return Link(rel=rel, href=header_url(href), type=media_type, profile=profile)


def bounded(links: Iterable[Link]) -> tuple[Link, ...]:
    """Leave out items, then authors, from the end until the header is short enough."""
    kept = list(links)
    for rel in ("item", "author"):
        while len(header(kept)) > MAX_HEADER_BYTES and sum(x.rel == rel for x in kept) > 1:
            last = max(n for n, found in enumerate(kept) if found.rel == rel)
            del kept[last]
    return tuple(kept)


def header(links: Iterable[Link]) -> str:
    """Return the value of the Link header."""
    return ", ".join(found.field for found in links)


def linkset(page: str, links: Iterable[Link], *, owns_items: bool) -> Node:
    """Return the linkset: the links of the page, and those that lead back to it.

    The page of a dataset names items of its newest version; these lead back to that one's page.
    """
    anchor = header_url(page)
    home = {"href": anchor, "type": "text/html"}
    own: dict[str, list[Node]] = {}
    back: list[Node] = []
    for found in links:
        if found.rel != "linkset":
            own.setdefault(found.rel, []).append(_target(found))
        if found.rel == "item" and owns_items:
            back.append({"anchor": found.href, "collection": [home]})
        elif found.rel == "describedby":
            back.append({"anchor": found.href, "describes": [home]})
    return {"linkset": [{"anchor": anchor, **own}, *back]}


def _target(found: Link) -> Node:
    target: Node = {"href": found.href}
    if found.type:
        target["type"] = found.type
    if found.profile:
        target["profile"] = found.profile
    return target


def backlinks(document: Node) -> Iterator[tuple[str, str]]:
    """Yield each metadata file of a linkset, and the header that leads back to the page."""
    for context in document["linkset"]:
        for home in context.get("describes", ()):
            yield (
                context["anchor"],
                link("describes", home["href"], media_type=home["type"]).field,
            )
