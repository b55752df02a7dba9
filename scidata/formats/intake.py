"""Intake v2 catalogs as data: one pinned file for each version, the newest, and the root.

They open with plain ``intake.open_catalog``, from a folder, S3 or http, without scidata. The
form is the one that Intake 2.0.9 reads alike from all three: literal addresses below
``{CATALOG_DIR}`` and no user parameters, which some releases ignore without a word, so that
another version would be handed out.

Opening a catalog, and refusing one that could run code, belongs to `scidata.catalog`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from scidata.digest import Digest
from scidata.facts import Asset, Facts
from scidata.formats.intake_entries import (
    CATALOG,
    CATALOG_DIR,
    GROUP,
    IDS,
    PARQUET,
    STREAM,
    ZARR,
    Catalog,
    Entry,
    Reading,
    assemble,
    reading_of_file,
    referenced_entry,
    within,
)
from scidata.formats.media import is_one_file
from scidata.formats.text import citation, license_label, license_url
from scidata.record import Record
from scidata.split import SPLITS, split_path
from scidata.status import Status
from scidata.version import OutsidePlace

MAX_GROUPS = 100


def version_catalog(
    record: Record,
    facts: Facts,
    hrefs: Mapping[str, str] = MappingProxyType({}),
    outside: Sequence[OutsidePlace] = (),
    *,
    doi: str | None = None,
) -> Catalog:
    """Return the immutable catalog of one version, which lies in the dataset's folder.

    `hrefs` has the places of assets that do not lie in the version's prefix, by their keys,
    and `outside` those of files that were adopted; `doi` is the version's, where it is known.

    Its entries are the assets, each part of each split, and, where the record declares
    samples, streams of tensors; only these need scidata and torch.
    """
    metadata = {
        **_about(record),
        "title": f"{record.title}, version {facts.version}",
        "citation": citation(record, facts, doi),
        "scidata": {
            "dataset": facts.dataset,
            "version": facts.version,
            **({"doi": doi} if doi else {}),
            "digest": facts.digest,
            "created": facts.created,
            "without_reader": [a.key for a in facts.assets if _without_reader(a)],
        },
    }
    return assemble(metadata, _entries(record, facts, hrefs, outside))


def dataset_catalog(
    record: Record,
    versions: Sequence[Facts],
    catalogs: Mapping[str, Digest],
    hrefs: Mapping[str, str] = MappingProxyType({}),
    outside: Sequence[OutsidePlace] = (),
    *,
    statuses: Mapping[str, Status] | None = None,
    dois: Mapping[str, str] | None = None,
) -> Catalog:
    """Return the mutable catalog of a dataset: the newest version's entries, and all versions.

    The newest is one that is not withdrawn. Of a purged version there is nothing to open.

    Parameters
    ----------
    record : Record
        Of the newest version.
    versions : sequence of Facts
        Newest last.
    catalogs : mapping of str to Digest
        By version number, the digest of the version's own catalog, which
        `scidata.open_catalog` checks when it opens the entry.
    statuses : mapping of str to Status, optional
        By version number, what became of it, where that is known.
    dois : mapping of str to str, optional
        By version number, where a version has one that can be found.
    hrefs, outside : mapping of str to str, sequence of OutsidePlace
        Of the newest version, as for `version_catalog`.
    """
    statuses = statuses or {}
    held = [f for f in versions if not _is(statuses.get(f.version), "purged")]
    offered = [f for f in held if not _is(statuses.get(f.version), "withdrawn")]
    named = {"newest": offered[-1].version, "digest": offered[-1].digest} if offered else {}
    doi = (dois or {}).get(offered[-1].version) if offered else None
    metadata = {
        **_about(record),
        "title": record.title,
        **({"citation": citation(record, offered[-1], doi)} if doi else {}),
        "scidata": {
            "dataset": versions[-1].dataset,
            **named,
            "versions": [facts.version for facts in held],
            **({"dois": dict(dois)} if dois else {}),
        },
    }
    pinned = [
        _version_entry(record, f, catalogs[f.version], statuses.get(f.version)) for f in held
    ]
    newest = _entries(record, offered[-1], hrefs, outside) if offered else ()
    return assemble(metadata, [*newest, *pinned])


def root_catalog(datasets: Iterable[tuple[Record, Facts]]) -> Catalog:
    """Return the mutable catalog of a store: each dataset with its newest version's facts."""
    metadata = {
        "title": "Datasets of this store",
        "description": "Rebuilt from the versions by `scidata index`: edits are lost.",
    }
    return assemble(metadata, [_dataset_entry(record, facts) for record, facts in datasets])


def _about(record: Record) -> dict[str, object]:
    """Return what readers of a catalog look for first."""
    about: dict[str, object] = {
        "description": record.abstract,
        "license": license_label(record),
        "license_url": license_url(record),
        "creators": [creator.full_name for creator in record.creators],
        "keywords": list(record.keywords),
    }
    if record.spatial is not None:
        box = record.spatial
        about["bounds"] = [box.west, box.south, box.east, box.north]
    if record.temporal is not None:
        about["time"] = [record.temporal.start, record.temporal.end]
    if record.synthetic_note is not None:
        about["synthetic"] = record.synthetic_note
    if record.real_note is not None:
        about["real"] = record.real_note
    if record.out_of_scope:
        about["not_for"] = list(record.out_of_scope)
    return about


def _dataset_entry(record: Record, facts: Facts) -> Entry:
    return Entry(
        name=facts.dataset,
        url=f"{CATALOG_DIR}/{facts.dataset}/catalog.yaml",
        reading=CATALOG,
        metadata={
            "title": record.title,
            "license": license_label(record),
            "scidata": {"dataset": facts.dataset, "newest": facts.version},
        },
    )


def _is(status: Status | None, state: str) -> bool:
    return status is not None and status.state == state


def _became(status: Status | None) -> dict[str, object]:
    """Return what became of a version, for metadata."""
    if status is None:
        return {}
    fields: dict[str, object] = {"state": status.state, "reason": status.reason}
    return fields | ({"replaced_by": status.replaced_by} if status.replaced_by else {})


def _version_entry(
    record: Record, facts: Facts, catalog: Digest, status: Status | None
) -> Entry:
    return Entry(
        name=f"v{facts.version}",
        url=f"{CATALOG_DIR}/catalog-{facts.version}.yaml",
        reading=CATALOG,
        metadata={
            "title": f"{record.title}, version {facts.version}",
            "scidata": {
                "digest": facts.digest,
                "catalog_digest": str(catalog),
                **_became(status),
            },
        },
    )


def _entries(
    record: Record,
    facts: Facts,
    hrefs: Mapping[str, str],
    outside: Sequence[OutsidePlace],
) -> Iterator[Entry]:
    own = {asset.key: f"v{facts.version}/{asset.path}" for asset in facts.assets}
    places = {key: f"{CATALOG_DIR}/{hrefs.get(key, href)}" for key, href in own.items()}
    for asset in facts.assets:
        places_of = [place for place in outside if place.path == asset.path]
        if asset.references is not None and places_of:
            for name, group in _named_groups(asset).items():
                index = f"{CATALOG_DIR}/v{facts.version}/{asset.references}"
                yield referenced_entry(
                    name, index, places_of[0], group, _asset_metadata(asset, group)
                )
        elif reading := _reading(asset):
            for name, group in _named_groups(asset).items():
                yield Entry(
                    name=name,
                    url=places[asset.key],
                    reading=within(reading, group),
                    metadata=_asset_metadata(asset, group),
                )
    default = f"{CATALOG_DIR}/v{facts.version}/{SPLITS.rstrip('/')}"
    parts = next((places[a.key] for a in facts.assets if a.kind == "splits"), default)
    for split in record.splits:
        for part in split.parts:
            path = split_path(split.name, part.name)
            yield Entry(
                name=f"split-{split.name}-{part.name}",
                url=f"{parts}/{path.removeprefix(SPLITS)}",
                reading=IDS,
                metadata={"description": part.description},
            )
    yield from _streams(record, facts)


def _reading(asset: Asset) -> Reading | None:
    if asset.kind == "zarr":
        options = {**ZARR.options, "consolidated": asset.consolidated}
        return replace(ZARR, options=options)
    if asset.kind == "parquet":
        return PARQUET
    if is_one_file(asset):
        return reading_of_file(asset.path, asset.media_type, asset.bytes)
    return None


def _without_reader(asset: Asset) -> bool:
    return asset.kind != "splits" and asset.references is None and _reading(asset) is None


def _named_groups(asset: Asset) -> dict[str, str]:
    """Return an entry's name for each group that holds variables: ``grid``, ``grid/coarse``.

    The root, or an only group, has the asset's own name. Of many groups the first hundred are
    listed.
    """
    if asset.kind == "parquet":
        return {asset.key: ""}
    held = sorted({v.name.rpartition("/")[0] for v in asset.variables})
    groups = [group for group in held if not group or GROUP.fullmatch(group)][:MAX_GROUPS]
    if len(groups) < 2:  # noqa: PLR2004 - an only one needs no name
        return {asset.key: next(iter(groups), "")}
    return {f"{asset.key}/{group}" if group else asset.key: group for group in groups}


def _asset_metadata(asset: Asset, group: str) -> dict[str, object]:
    return {
        "media_type": asset.media_type,
        **({"group": group} if group else {}),
        "scidata": {
            "path": asset.path,
            "files": asset.files,
            "bytes": asset.bytes,
            "sha256": asset.sha256,
        },
    }


def _streams(record: Record, facts: Facts) -> Iterator[Entry]:
    """Yield an entry for each part of the default split; ``.read(batch_size=…)`` opens it."""
    if record.samples is None:
        return
    for split in record.splits:
        for part in split.parts if split.default else ():
            pin = {"reference": facts.name, "digest": facts.digest}
            yield Entry(
                name=f"stream-{part.name}",
                url=CATALOG_DIR,
                reading=replace(STREAM, options={**pin, "split": f"{split.name}/{part.name}"}),
                metadata={"description": f"Tensors of {split.name}/{part.name}; needs scidata"},
            )
