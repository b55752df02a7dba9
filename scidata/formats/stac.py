"""STAC 1.1 as data: a root catalog, a collection for each dataset, an item for each version.

Every address is relative, so a copied store is as good as the first. Items lie in a version and
are immutable: they point back, to the version they continue, never forward. What is newest is
said by the collection alone.

STAC has no place for access conditions, funding, splits or what is responsible use; the record,
an asset of each item, has.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias
from urllib.parse import quote

from scidata.digest import Digest
from scidata.facts import Asset, Facts
from scidata.formats import media, stac_status
from scidata.formats.manifest_table import Sourced
from scidata.formats.stac_cube import cube_fields, table_fields
from scidata.formats.stac_record import cited, processing, rights_and_people, terms
from scidata.formats.subject import link_url
from scidata.formats.text import citation, license_name, license_url
from scidata.identifiers import instants
from scidata.manifest import MANIFEST, Manifest
from scidata.record import Box, Record
from scidata.split import SPLITS, split_path
from scidata.status import Status

Document: TypeAlias = dict[str, Any]  # Any: JSON at the edge

STAC_VERSION = "1.1.0"
EXTENSIONS = {
    name: f"https://stac-extensions.github.io/{name}/v{version}/schema.json"
    for name, version in {
        "contacts": "1.0.0",
        "datacube": "2.3.0",
        "file": "2.1.0",
        "language": "1.0.0",
        "processing": "1.2.0",
        "scientific": "1.0.0",
        "storage": "2.0.0",
        "table": "1.2.0",
        "themes": "1.0.0",
        "version": "1.2.0",
        "zarr": "1.1.0",
    }.items()
}
MAX_FILES = 1000
"""Adopted files that are assets of their own: an item of more would be hard to read."""
_WORLD = [-180.0, -90.0, 180.0, 90.0]
_NO_PLACE = (
    "The data are not geographic: the extent is the whole world because STAC asks for one."
)
_GEOJSON = "application/geo+json"
_JSON_LD = "application/ld+json"


def item(
    record: Record,
    facts: Facts,
    manifest: Manifest,
    sizes: Mapping[str, int],
    hrefs: Mapping[str, str] = MappingProxyType({}),
    *,
    sources: Mapping[str, Sourced] = MappingProxyType({}),
    doi: str | None = None,
) -> Document:
    """Return the item of a version, which lies at ``v1.0.0/meta/item.json``.

    `hrefs` has the places of assets that do not lie in the version's prefix, by their keys,
    and `sources` the addresses of adopted files: up to a thousand are assets of their own.
    `doi` is the version's, where it is known.

    ``file:checksum`` is a multihash: ``1220`` and the sha256. A folder has none; what stands
    for it is ``scidata:sha256``, the digest of its lines in the manifest.
    """
    places = {a.key: f"../{a.path}" for a in facts.assets}
    own = f"v{facts.version}/"
    places |= {k: f"../../{h}" for k, h in hrefs.items() if not h.startswith(own)}
    found = [a for a in facts.assets if a.kind != "splits"]
    assets = {a.key: {"href": places[a.key], **_asset(record, a)} for a in found}
    splits = next((places[a.key] for a in facts.assets if a.kind == "splits"), "")
    assets |= _split_assets(record, manifest, sizes, splits)
    assets |= _tag_assets(facts, manifest)
    if sources:
        assets |= _adopted_assets(assets, facts, manifest, sizes, sources)
    geometry, bbox = _geometry(record.spatial)
    document: Document = {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": sorted(_used(record, facts)),
        "id": f"{facts.dataset}-{facts.version}",
        "collection": facts.dataset,
        "geometry": geometry,
        "properties": _properties(record, facts),
        "assets": assets,
        "links": list(_item_links(record, facts)),
    }
    if doi is not None:
        document["properties"] |= _with_doi(record, facts, doi)
        document["links"].append(stac_status.cite_as(doi))
    return document if bbox is None else {**document, "bbox": bbox}


def collection(
    record: Record,
    versions: Sequence[Facts],
    statuses: Mapping[str, Status] | None = None,
    dois: Mapping[str, str] | None = None,
) -> Document:
    """Return the collection of a dataset; `versions` newest last, `record` of the newest.

    Parameters
    ----------
    statuses : mapping of str to Status, optional
        By version number, what became of it, where that is known; see `stac_status`.
    dois : mapping of str to str, optional
        By version number, where a version has one that can be found.
    """
    statuses = statuses or {}
    offered = [f for f in versions if stac_status.is_offered(statuses.get(f.version))]
    newest = (offered or versions)[-1]
    used = ["contacts", "language", "scientific", "version"]
    used += ["themes"] if record.subjects else []
    document: Document = {
        **collection_frame(record),
        "stac_extensions": sorted(EXTENSIONS[name] for name in used),
        "version": newest.version,
        "links": list(_collection_links(record, versions, newest, statuses, dois or {})),
        **terms(record),
        **cited(record, newest),
    }
    if dois:
        document["scidata:dois"] = dict(dois)
    if doi := (dois or {}).get(newest.version):
        document |= _with_doi(record, newest, doi)
        document["links"].append(stac_status.cite_as(doi))
    status = statuses.get(newest.version)
    return document | stac_status.fields(status) if status else document


def collection_frame(record: Record) -> Document:
    """Return what a collection says whatever is in it; extensions and links are to be added."""
    box = _geometry(record.spatial)[1]
    period = [_instant(t) for t in _period(record)]
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": record.id,
        "title": record.title,
        "description": record.abstract if box else f"{record.abstract}\n\n{_NO_PLACE}",
        "keywords": list(record.keywords),
        "extent": {"spatial": {"bbox": [box or _WORLD]}, "temporal": {"interval": [period]}},
        **rights_and_people(record),
    }


def root(datasets: Iterable[tuple[Record, Facts]]) -> Document:
    """Return the catalog of a store; each dataset with its newest version's facts."""
    links = [link("root", "./catalog.json", media.JSON)]
    for record, facts in datasets:
        href = f"./{facts.dataset}/collection.json"
        links.append(link("child", href, media.JSON, title=record.title))
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "scidata-store",
        "title": "Datasets of this store",
        "description": "Rebuilt from the versions by `scidata index`: edits are lost.",
        "links": links,
    }


def _properties(record: Record, facts: Facts) -> Document:
    start, end = (_instant(t) for t in _period(record))
    whole = start is not None and end is not None
    properties: Document = {
        "title": f"{record.title}, version {facts.version}",
        "description": record.abstract,
        "keywords": list(record.keywords),
        # An item needs a time. Without a period of the data, publication is the honest one.
        "datetime": None if whole else facts.created,
        "created": facts.created,
        "updated": facts.created,
        "published": facts.created,
        "version": facts.version,
        "scidata:digest": facts.digest,
        "scidata:synthetic": record.synthetic,
        **rights_and_people(record),
        **terms(record),
        **cited(record, facts),
        **processing(record),
    }
    return properties | ({"start_datetime": start, "end_datetime": end} if whole else {})


def _with_doi(record: Record, facts: Facts, doi: str) -> Document:
    return {"sci:doi": doi, "sci:citation": citation(record, facts, doi)}


def _asset(record: Record, asset: Asset) -> Document:
    document: Document = {
        "type": asset.media_type,
        "title": asset.key,
        "roles": ["data"],
        "file:size": asset.bytes,
        "scidata:files": asset.files,
        "scidata:sha256": asset.sha256,
    }
    if asset.kind == "zarr":
        return document | cube_fields(record, asset)
    if media.is_one_file(asset):
        document["file:checksum"] = Digest(asset.sha256).multihash
    return document | (table_fields(record, asset) if asset.kind == "parquet" else {})


def _adopted_assets(
    assets: Mapping[str, Document],
    facts: Facts,
    manifest: Manifest,
    sizes: Mapping[str, int],
    sources: Mapping[str, Sourced],
) -> dict[str, Document]:
    """Return what stands for files outside: where they are, one by one if they are not many."""
    found: dict[str, Document] = {}
    for asset in facts.assets:
        held = {p: s for p, s in sources.items() if p.startswith(f"{asset.path}/")}
        if not held:
            continue
        first, one = next(iter(held.items()))
        base = one.url.removesuffix(quote(first.removeprefix(asset.path)))
        found[asset.key] = {**assets[asset.key], "href": base.removesuffix("/") + "/"}
        if asset.references is not None:
            found[f"{asset.key}-references"] = {
                "href": f"../{asset.references}",
                "type": media.JSON,
                "title": f"One Zarr store of the files of {asset.key}: an index in the form of "
                "kerchunk, which fsspec's reference:// opens",
                "roles": ["references"],
            }
        if len(held) <= MAX_FILES:
            found |= {
                path.removeprefix("data/"): {
                    "href": source.url,
                    "type": media.media_type(path),
                    "roles": ["source"],
                    "file:size": sizes[path],
                    "file:checksum": manifest[path].multihash,
                }
                for path, source in held.items()
            }
    return found


def _split_assets(
    record: Record, manifest: Manifest, sizes: Mapping[str, int], place: str
) -> dict[str, Document]:
    assets: dict[str, Document] = {}
    for split in record.splits:
        for part in split.parts:
            path = split_path(split.name, part.name)
            if path in manifest:
                assets[f"split-{split.name}-{part.name}"] = {
                    "href": f"{place}/{path.removeprefix(SPLITS)}",
                    "type": media.TEXT,
                    "title": f"Sample ids of {split.name}/{part.name}",
                    "description": part.description,
                    "roles": ["metadata"],
                    "file:size": sizes[path],
                    "file:checksum": manifest[path].multihash,
                }
    return assets


def _tag_assets(facts: Facts, manifest: Manifest) -> dict[str, Document]:
    listed = {
        "record": ("record.yaml", media.YAML, "The record: every fact a person wrote"),
        "facts": ("facts.json", media.JSON, "The facts: everything that was computed"),
        "datacite": ("datacite.json", media.JSON, "DataCite metadata"),
        "license": ("LICENSE", media.TEXT, "Under which terms, and whom to name"),
        "readme": ("../README.md", "text/markdown", "What it is and how to check it"),
        "croissant": ("croissant.json", _JSON_LD, "Croissant metadata"),
        "rocrate": ("../ro-crate-metadata.json", _JSON_LD, "RO-Crate metadata"),
        "schemaorg": ("schemaorg.jsonld", _JSON_LD, "schema.org description"),
        "dcat": ("dcat.jsonld", _JSON_LD, "DCAT-AP description"),
        "cff": ("CITATION.cff", media.YAML, "Citation File Format"),
        "bibtex": ("citation.bib", "application/x-bibtex", "BibTeX entry"),
        "intake": (f"../../catalog-{facts.version}.yaml", media.YAML, "Intake catalog"),
    }
    assets = {
        f"meta-{key}": {"href": f"./{href}".replace("./..", ".."), "type": kind, "title": title}
        for key, (href, kind, title) in listed.items()
    }
    manifest_asset: Document = {
        "href": f"../{MANIFEST}",
        "type": media.TEXT,
        "title": "Manifest: its sha256 is the version's digest",
        "file:size": len(manifest.text),
        "file:checksum": facts.manifest_digest.multihash,
    }
    tags = {**assets, "manifest": manifest_asset}
    return {key: {**asset, "roles": ["metadata"]} for key, asset in tags.items()}


def _used(record: Record, facts: Facts) -> Iterator[str]:
    """Yield the extensions whose fields occur: a declared one without fields says nothing."""
    kinds = {asset.kind for asset in facts.assets}
    always = ("contacts", "file", "language", "scientific", "version")
    yield from (EXTENSIONS[name] for name in always)
    if record.subjects:
        yield EXTENSIONS["themes"]
    if processing(record):
        yield EXTENSIONS["processing"]
    if "zarr" in kinds:
        yield from (EXTENSIONS["datacube"], EXTENSIONS["zarr"])
    if "parquet" in kinds:
        yield EXTENSIONS["table"]


def _item_links(record: Record, facts: Facts) -> Iterator[Document]:
    yield link("root", "../../../catalog.json", media.JSON)
    yield link("parent", "../../collection.json", media.JSON)
    yield link("collection", "../../collection.json", media.JSON)
    if facts.parent is not None:
        href = f"../../v{facts.parent}/meta/item.json"
        yield link("predecessor-version", href, _GEOJSON, title=facts.parent)
    yield from _sources(record)
    yield license_link(record)


def _sources(record: Record) -> Iterator[Document]:
    """Yield a link to each work that the data are derived from."""
    titles = {r.id: r.note for r in record.relations if r.type == "IsDerivedFrom"}
    for source in record.provenance.sources:
        if at := source.doi or source.url:
            titles[at] = source.title
    for at, title in titles.items():
        yield link("derived_from", link_url(at), "text/html", title=title)


def _collection_links(
    record: Record,
    versions: Sequence[Facts],
    newest: Facts,
    statuses: Mapping[str, Status],
    dois: Mapping[str, str],
) -> Iterator[Document]:
    yield link("root", "../catalog.json", media.JSON)
    yield link("parent", "../catalog.json", media.JSON)

    def place(version: str) -> str:
        path = stac_status.item_path(version, statuses.get(version), dois.get(version))
        return f"./{path}"

    for facts in versions:
        status = statuses.get(facts.version)
        became = stac_status.fields(status) if status else {}
        yield link("item", place(facts.version), _GEOJSON, title=facts.version) | became
    yield link("latest-version", place(newest.version), _GEOJSON, title=newest.version)
    yield license_link(record)


def license_link(record: Record) -> Document:
    """Return the link to the licence, whose name ``license: other`` cannot say."""
    return link("license", license_url(record), "text/html", title=license_name(record))


def link(rel: str, href: str, kind: str, *, title: str | None = None) -> Document:
    """Return a link; relative, so that it works wherever the store is."""
    found: Document = {"rel": rel, "href": href, "type": kind}
    return found if title is None else {**found, "title": title}


def _geometry(box: Box | None) -> tuple[Document | None, list[float] | None]:
    if box is None:
        return None, None
    # GeoJSON: what crosses 180° is cut in two there (RFC 7946, 3.1.9).
    spans = [(box.west, box.east)]
    if box.west > box.east:
        spans = [(box.west, 180.0), (-180.0, box.east)]
    rings = [[_ring(west, east, box.south, box.north)] for west, east in spans]
    bbox = [box.west, box.south, box.east, box.north]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}, bbox
    return {"type": "MultiPolygon", "coordinates": rings}, bbox


def _ring(west: float, east: float, south: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def _period(record: Record) -> tuple[datetime | None, datetime | None]:
    if record.temporal is None:
        return None, None
    start, end = record.temporal.start, record.temporal.end
    return instants(start)[0], instants(end)[1] if end else None


def _instant(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
