"""``_site.json``: what a host should answer a path of the site with. Pure.

A folder of files can state neither Link headers nor media types; whoever serves it reads them
here: `scidata.site.serving`, a web server's configuration, or an assessor.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scidata.formats.text import to_json
from scidata.site.addresses import Addresses
from scidata.site.rendering import HEADERS

FILE = "_site.json"
SCHEMA = "scidata-site/1"

TYPES = {
    ".bib": "application/x-bibtex",
    ".cff": "application/yaml",
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".json": "application/json",
    ".jsonld": "application/ld+json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
}
"""By suffix; a file that is of another type says so among its headers."""


@dataclass(frozen=True, kw_only=True)
class DoiTarget:
    """Where a DOI leads, and what it answers machines with."""

    url: str
    datacite: str
    """Path of the file in the site."""
    schemaorg: str


@dataclass(kw_only=True)
class Hosting:
    """What is known of every path, collected while pages are written."""

    addresses: Addresses
    ids: list[str] = field(default_factory=list)
    dois: dict[str, DoiTarget] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    negotiate: dict[str, dict[str, str]] = field(default_factory=dict)

    def add_header(self, path: str, name: str, value: str) -> None:
        """Note a header of a path of the site; it begins with no slash."""
        self.headers.setdefault(f"/{path}", {})[name] = value

    def add_type(self, path: str, media_type: str) -> None:
        """Note what a file is, unless its suffix says so."""
        suffix = "." + path.rpartition(".")[2]
        if TYPES.get(suffix, "").partition(";")[0] != media_type:
            self.add_header(path, "Content-Type", media_type)

    def add_choice(self, page: str, choices: Mapping[str, str]) -> None:
        """Note which files a page gives for other media types."""
        self.negotiate[f"/{page}"] = dict(choices)

    def document(self) -> dict[str, Any]:  # Any: JSON at the edge
        """Return what is known, as JSON."""
        return {
            "schema": SCHEMA,
            "host": self.addresses.host,
            "base_url": f"{self.addresses.base_url}/",
            "data_url": f"{self.addresses.data_url}/",
            "ids": self.ids,
            "doi": {doi.lower(): vars(target) for doi, target in self.dois.items()},
            "every": HEADERS,
            "headers": self.headers,
            "types": TYPES,
            "negotiate": self.negotiate,
            "missing": "404.html",
        }

    def file(self) -> bytes:
        """Return ``_site.json``."""
        return to_json(self.document())
