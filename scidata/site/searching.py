"""``search.json``: what the search of the index page looks through, in a browser. Pure."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidata.site.pages import Card
    from scidata.site.sources import Version

FILE = "search.json"
SCHEMA = "scidata-search/1"

MAX_CREATORS = 20
MAX_VARIABLES = 80
MAX_KEYWORDS = 40


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One dataset, as the search knows it: its newest version."""

    name: str
    title: str
    abstract: str
    """Its first words."""
    language: str
    version: str
    date: str
    size: str
    """In words."""
    bytes: int
    licence: str
    domains: tuple[str, ...]
    """Terms of its subjects."""
    keywords: tuple[str, ...]
    creators: tuple[str, ...]
    variables: tuple[str, ...]
    """Names, and CF's names."""
    simulated: bool
    state: str
    href: str


def entry(newest: "Version", shown: "Card") -> Entry:
    """Return a dataset as the search knows it, bounded."""
    record = newest.subject.record
    return Entry(
        name=shown.name,
        title=shown.title,
        abstract=shown.abstract,
        language=shown.language,
        version=shown.version,
        date=shown.date,
        size=shown.size,
        bytes=shown.bytes,
        licence=shown.licence,
        domains=shown.domains,
        keywords=tuple(record.keywords[:MAX_KEYWORDS]),
        creators=tuple(who.full_name for who in record.creators[:MAX_CREATORS]),
        variables=_variables(newest),
        simulated=shown.simulated,
        state=shown.state,
        href=shown.href,
    )


def search_file(entries: "Sequence[Entry]") -> bytes:
    """Return ``search.json``, without blanks: every reader of the index fetches it."""
    document = {"schema": SCHEMA, "datasets": [asdict(found) for found in entries]}
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return (text + "\n").encode()


def _variables(newest: "Version") -> tuple[str, ...]:
    held = [v for asset in newest.subject.facts.assets for v in asset.variables]
    notes = newest.subject.record.variables
    names = [
        *(note.name for note in notes),
        *(v.name for v in held),
        *(note.standard_name or "" for note in notes),
        *(v.standard_name or "" for v in held),
    ]
    return tuple(dict.fromkeys(name for name in names if name))[:MAX_VARIABLES]
