"""What an outward form is of: one version, its files, and the addresses that they have outside.

By default every address is relative to where the form lies, so that a copied store is as good
as the first. With the address of a store they are absolute, for whoever reads a form elsewhere.
"""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urljoin

from scidata.facts import Asset, Facts
from scidata.formats.manifest_table import Sourced
from scidata.formats.text import citation
from scidata.manifest import Manifest
from scidata.record import Record
from scidata.version import OutsidePlace

META = "meta/"

_SAFE = "/:@!$&'()*+,;=~"  # what RFC 3986 allows in a path


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where the payload of a version lies, as far as not in its own prefix."""

    since: Mapping[str, str] = field(default_factory=dict)
    """By path, the older version in whose prefix a file lies."""
    hrefs: Mapping[str, str] = field(default_factory=dict)
    """By asset key, where the asset lies below the dataset's prefix."""
    outside: tuple[OutsidePlace, ...] = ()
    """Places of adopted files."""
    sources: Mapping[str, Sourced] = field(default_factory=dict)
    """Addresses of adopted files, by path."""
    references: Mapping[str, bytes] = field(default_factory=dict)
    """Indexes of references, by path in the bag."""
    prefixes: tuple[str, ...] = ()
    """In which prefixes it lies, oldest first, if in several."""
    removed: tuple[str, ...] = ()
    """Files in the older prefixes that the version does not have."""
    url: str = ""
    """Of the store."""
    fetch_from: str = ""
    """What the addresses in ``fetch.txt`` begin with; by default `url`."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One version, as forms describe it."""

    record: Record
    facts: Facts
    manifest: Manifest
    sizes: Mapping[str, int]
    """Bytes of every file, by the manifest's paths."""
    placed: Placed = field(default_factory=Placed)
    base_url: str | None = None
    """Address of the store, such as ``https://data.example.org/store``."""
    doi: str | None = None
    """Of the version, bare, once it is known."""
    landing: str | None = None
    """Address of its page, where there is one."""

    @property
    def prefix(self) -> str:
        """The version's folder below the dataset's."""
        return f"v{self.facts.version}/"

    @property
    def doi_url(self) -> str | None:
        """The address that a DOI has."""
        return None if self.doi is None else doi_url(self.doi)

    @property
    def citation(self) -> str:
        """How to cite the version."""
        text = citation(self.record, self.facts)
        return text if self.doi is None else f"{text}. {self.doi_url}"

    def at(self, key: str, *, seen_from: str = META) -> str:
        """Return the address of what lies below the dataset's folder, as a form writes it.

        Parameters
        ----------
        key : str
            Such as ``v1.0.0/data/grid.zarr``; a folder's may end in a slash. An address that is
            absolute stays as it is.
        seen_from : str
            The folder of the version in which the form lies.
        """
        if "://" in key:
            return key
        if self.base_url is not None:
            return f"{self.base_url.rstrip('/')}/{self.facts.dataset}/{quote(key, safe=_SAFE)}"
        path = posixpath.relpath(key, self.prefix + seen_from)
        slash = "/" if key.endswith("/") and not path.endswith("/") else ""
        path = quote(path, safe=_SAFE) + slash
        return f"./{path}" if ":" in path.partition("/")[0] else path

    def asset(self, asset: Asset, *, seen_from: str = META) -> str:
        """Return the address of an asset; that of a folder ends in a slash."""
        for place in self.placed.outside:
            if place.path == asset.path:
                return public_url(f"{place.url}/", self.placed.outside)
        key = self.placed.hrefs.get(asset.key, self.prefix + asset.path)
        return self.at(key if is_file(self.manifest, asset) else f"{key}/", seen_from=seen_from)

    def file(self, path: str, *, seen_from: str = META) -> str:
        """Return the address of one file of the payload, by its path in the manifest."""
        if (source := self.placed.sources.get(path)) is not None:
            return public_url(source.url, self.placed.outside)
        version = self.placed.since.get(path, self.facts.version)
        return self.at(f"v{version}/{path}", seen_from=seen_from)

    def folder(self, *, seen_from: str = META) -> str:
        """Return the address of the version's folder."""
        return self.at(self.prefix, seen_from=seen_from)

    def iri(self, *, seen_from: str = META) -> str:
        """Return what stands for the version: its DOI, else where it is described."""
        return self.doi_url or self.described_at(seen_from=seen_from)

    def described_at(self, *, seen_from: str = META) -> str:
        """Return the address of the version's page, else that of its folder."""
        return self.landing or self.folder(seen_from=seen_from)

    @property
    def public_page(self) -> str | None:
        """The address of the page, else of the folder, if it is the same from anywhere."""
        return self.landing or (self.folder() if self.base_url else None)

    def absolute(self, form: str, href: str) -> str:
        """Return a relative address that stands in a form, by the form's path, as absolute.

        Without the store's address, unchanged.
        """
        if self.base_url is None:
            return href
        return urljoin(f"{self.base_url.rstrip('/')}/{self.facts.dataset}/{form}", href)


def is_file(manifest: Manifest, asset: Asset) -> bool:
    """Tell whether an asset is one file, whose digest is its own, rather than a folder."""
    return asset.path in manifest


def doi_url(doi: str) -> str:
    """Return the address of a bare DOI; some characters of DOIs have no place in one."""
    return f"https://doi.org/{quote(doi, safe=_SAFE)}"


def link_url(link: str) -> str:
    """Return the address of a bare DOI or a URL, as records hold them."""
    return doi_url(link) if link.startswith("10.") else link


def public_url(url: str, outside: Sequence[OutsidePlace]) -> str:
    """Return the address of an adopted file that most tools understand: https if all may read.

    Examples
    --------
    >>> place = OutsidePlace(path="d", url="s3://b/in", anonymous=True, files=1, bytes=1)
    >>> public_url("s3://b/in/a.nc", [place])
    'https://b.s3.amazonaws.com/in/a.nc'
    """
    place = next((p for p in outside if url.startswith(f"{p.url}/")), None)
    if place is None or not url.startswith("s3://") or not place.anonymous:
        return quote(url, safe="/:%")
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if place.endpoint is not None:
        return f"{place.endpoint}/{bucket}/{quote(key)}"
    if "." in bucket:  # no certificate covers it
        return f"https://s3.amazonaws.com/{bucket}/{quote(key)}"
    return f"https://{bucket}.s3.amazonaws.com/{quote(key)}"
