"""What is known of a dataset before it is judged: record, facts, outward forms, DOI.

The forms are derived as publishing derives them, because they are what assessors read. Of a
staged dataset no byte is hashed: there zeros stand for digests, which no rule looks at.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from scidata.digest import Digest
from scidata.exporting import is_folder, published_subject
from scidata.facts import STATISTICS, Asset, Facts
from scidata.formats import FORMS, Subject
from scidata.inventory import known_doi
from scidata.manifest import Manifest
from scidata.measure import Entry, asset_key, survey
from scidata.record import Record, parse_record, read_record_bytes
from scidata.reservation import KnownDoi
from scidata.resolve import resolve
from scidata.storage import StoreLike, open_store
from scidata.storage.addresses import options_of

Has: TypeAlias = Literal["record", "data", "version"]
Document: TypeAlias = dict[str, Any]  # Any: JSON at the edge

_FORMS = ("schemaorg", "dcat", "datacite")
_RECORDS = {".yaml", ".yml"}
"""A target that ends so is meant as a file, also where there is none."""
_NO_DIGEST = Digest("0" * 64)
_SOME_DAY = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the rules look at."""

    name: str
    record: Record
    has: frozenset[Has]
    """What there is: a record always, its data, a published version of them."""
    assets: tuple[Asset, ...] = ()
    forms: Mapping[str, Document] = field(default_factory=dict)
    """By name, as publishing writes them; none of a record alone."""
    statistics: bool = False
    """There are statistics of the variables."""
    doi: KnownDoi | None = None
    again: str = ""
    """What to do after a field of the record was changed."""
    correct: str = ""
    """The same, if the field may be corrected without another version."""
    options: str = ""
    """Which store a command has to be told of."""


def of_path(target: str | Path) -> Evidence | None:
    """Return what is known of a record's file or a staged folder; None if neither is meant."""
    path = Path(target)
    if not is_folder(target) and not path.is_file() and path.suffix not in _RECORDS:
        return None
    file = path / "record.yaml" if path.is_dir() else path
    record = parse_record(read_record_bytes(file), where=str(file))
    again = f"run: scidata check {target} --fair"
    if not path.is_dir() or not (path / "data").is_dir():
        return Evidence(name=str(target), record=record, has=frozenset({"record"}), again=again)
    surveyed = survey(path)
    sizes = {name: stamp[0] for name, stamp in surveyed.stamps.items()}
    assets = tuple(_asset(entry, sizes) for entry in surveyed.entries)
    facts = Facts(
        dataset=record.id,
        version="1.0.0",
        digest=str(_NO_DIGEST),
        files=len(sizes),
        bytes=sum(sizes.values()),
        created=_SOME_DAY,
        assets=assets,
    )
    manifest = Manifest(dict.fromkeys(sizes, _NO_DIGEST))
    subject = Subject(record=record, facts=facts, manifest=manifest, sizes=sizes)
    return Evidence(
        name=str(target),
        record=record,
        has=frozenset({"record", "data"}),
        assets=assets,
        forms=forms_of(subject),
        statistics=STATISTICS in sizes,
        again=again,
    )


def of_version(reference: str, store: StoreLike | None) -> Evidence:
    """Return what is known of a published version."""
    opened = open_store(store)
    commit = resolve(reference, opened)
    subject = published_subject(commit, opened)
    doi, options = known_doi(opened, commit), options_of(opened)
    correct = f"scidata doi update {commit.name} --record FILE {options}" if doi else ""
    return Evidence(
        name=commit.name,
        record=subject.record,
        has=frozenset({"record", "data", "version"}),
        assets=subject.facts.assets,
        forms=forms_of(subject),
        statistics=STATISTICS in subject.manifest,
        doi=doi,
        again="publish the next version",
        correct=correct,
        options=options,
    )


def forms_of(subject: Subject) -> dict[str, Document]:
    """Return the outward forms that assessors read, as data."""
    return {name: json.loads(FORMS[name].write(subject)) for name in _FORMS}


def _asset(entry: Entry, sizes: Mapping[str, int]) -> Asset:
    return Asset(
        key=asset_key(re.sub(r"^data/", "", entry.path)),
        kind=entry.kind,
        path=entry.path,
        media_type=entry.media_type,
        files=len(entry.files),
        bytes=sum(sizes[path] for path in entry.files),
        sha256=_NO_DIGEST.hex,
        variables=entry.variables,
        consolidated=entry.consolidated,
    )
