"""Outward forms of a version: pure functions of record, facts and manifest, one file a form.

Nothing here reads or writes, and nothing asks a clock: equal arguments give equal bytes, so an
interrupted publication that runs again writes the same files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from scidata.digest import Digest
from scidata.facts import Facts
from scidata.formats import (
    bag,
    card,
    datacite,
    intake,
    manifest_table,
    partial,
    stac,
    terms,
)
from scidata.formats.manifest_table import Sourced
from scidata.formats.text import to_json, to_yaml
from scidata.manifest import (
    DECLARATION,
    FACTS,
    MANIFEST,
    MANIFEST_TABLE,
    TAG_MANIFEST,
    Manifest,
)
from scidata.record import Record
from scidata.version import OutsidePlace

RECORD = "meta/record.yaml"
ITEM = "meta/item.json"
DATACITE = "meta/datacite.json"
LICENSE = "meta/LICENSE"
README = "README.md"
FETCH = "fetch.txt"


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


def prefix_of(version: str) -> str:
    """Return the folder of a version below its dataset."""
    return f"v{version}/"


def catalog_of(version: str) -> str:
    """Return the pinned Intake catalog of a version below its dataset."""
    return f"catalog-{version}.yaml"


def references_of(key: str) -> str:
    """Return the path in the bag of the index of references of an adopted asset."""
    return f"meta/references/{key}.json"


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


def tag_files(
    record_bytes: bytes,
    record: Record,
    manifest: Manifest,
    sizes: Mapping[str, int],
    facts: Facts,
    *,
    placed: Placed | None = None,
) -> dict[str, bytes]:
    """Return every file of a version besides its payload.

    Parameters
    ----------
    record_bytes : bytes
        The record as it was written; stored unchanged.
    record, facts : Record, Facts
        What the forms are derived from.
    manifest, sizes : Manifest, mapping of str to int
        The payload: digests, and sizes in bytes, by path.
    placed : Placed, optional
        Where the payload lies; by default all of it in the version's own prefix.

    Returns
    -------
    dict of str to bytes
        By key below the dataset's prefix: the bag's tag files, such as ``v1.0.0/bagit.txt``,
        and the version's Intake catalog beside the bag, ``catalog-1.0.0.yaml``.
    """
    placed = placed or Placed()
    tags = {
        DECLARATION: bag.bagit_txt(),
        "bag-info.txt": bag.bag_info(record, facts),
        MANIFEST: manifest.text,
        MANIFEST_TABLE: manifest_table.to_parquet(
            manifest, sizes, facts, placed.since, placed.sources
        ),
        RECORD: record_bytes,
        FACTS: to_json(facts.model_dump(mode="json")),
        ITEM: to_json(
            stac.item(record, facts, manifest, sizes, placed.hrefs, sources=placed.sources)
        ),
        DATACITE: to_json(datacite.attributes(record, facts)),
        LICENSE: terms.license_file(record, facts),
        README: card.readme(record, facts, outside=len(placed.sources)),
        **placed.references,
    }
    if placed.sources:
        tags[FETCH] = bag.fetch_txt(
            {
                p: (public_url(s.url, placed.outside), sizes[p])
                for p, s in placed.sources.items()
            }
        )
    if placed.since:
        tags |= _of_a_delta(sizes, facts, placed)
    digests = {path: Digest.of(data) for path, data in tags.items()}
    tags[TAG_MANIFEST] = bag.tag_manifest(digests)
    keyed = {prefix_of(facts.version) + path: data for path, data in tags.items()}
    catalog = intake.version_catalog(record, facts, placed.hrefs, placed.outside)
    return keyed | {catalog_of(facts.version): to_yaml(catalog)}


def _of_a_delta(sizes: Mapping[str, int], facts: Facts, placed: Placed) -> dict[str, bytes]:
    base = partial.fetch_base(placed.fetch_from or placed.url)
    return {
        partial.FETCH: partial.fetch_txt(placed.since, sizes, facts, base),
        partial.PARTIAL_VERSION: partial.partial_version(
            placed.since, placed.removed, facts, prefixes=placed.prefixes, url=placed.url
        ),
    }
