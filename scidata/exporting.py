"""One outward form of a version in a store, or of a staged dataset as it would be published.

Pure but for reading: nothing is written, and a version gives the bytes that lie in it, unless
addresses are asked for that do not depend on where the form lies, or the version was given a
DOI since, or its record was corrected: then every form says so.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from scidata.errors import InvalidError
from scidata.formats import FORMS, Placed, Subject
from scidata.formats.forms import Form
from scidata.formats.manifest_table import Sourced
from scidata.hashing import Progress
from scidata.identifiers import check_address
from scidata.inventory import corrected, known_doi
from scidata.locations import read_index
from scidata.measure import measure
from scidata.outside import address_of
from scidata.published import read_facts, read_record
from scidata.record import parse_record, read_record_bytes
from scidata.resolve import read_manifest, resolve
from scidata.storage import StoreLike, open_store
from scidata.storage.base import Store
from scidata.surroundings import Surroundings
from scidata.version import CommitRecord, OutsidePlace, VersionNumber

FIRST = "1.0.0"

_PATH = re.compile(r"[./~]|.*/")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A form, and what it is of."""

    name: str
    """``dataset@version``."""
    digest: str
    form: Form
    data: bytes


def export(
    target: str | Path,
    to: str,
    store: StoreLike | None = None,
    *,
    base_url: str | None = None,
    version: str = FIRST,
    surroundings: Surroundings | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Return a version's or a staged dataset's outward form.

    Parameters
    ----------
    target : str or Path
        ``tevolop``, ``tevolop@1.0.0`` or ``tevolop@sha256:…``; or the folder of a staged
        dataset, all bytes of which are read.
    to : str
        Name of the form, of `scidata.formats.FORMS`.
    store : Store, str, Path or None
        By default ``$SCIDATA_STORE``, else the user's data folder.
    base_url : str, optional
        Where the store is read from, for absolute addresses; by default they are relative to
        where the form lies in the version.
    version : str
        Number that a staged dataset would get.

    Raises
    ------
    NotFoundError
        If the version, or the record of the folder, does not exist.
    InvalidError
        If there is no such form, or the record, facts or staged data are invalid.
    IntegrityError
        If a file of the version differs from what was committed.
    StorageError
        If the store or the folder cannot be read.
    """
    if to not in FORMS:
        raise InvalidError(
            f"there is no form {to!r}", where="--to", fix=f"choose one of {', '.join(FORMS)}"
        )
    if base_url is not None:
        check_address(base_url, where="--base-url", schemes=("https", "http", "s3", "file"))
    if is_folder(target):
        around = surroundings or Surroundings()
        subject = _staged(Path(target), version, around.time, base_url, progress)
    else:
        opened = open_store(store)
        subject = published_subject(resolve(str(target), opened), opened, base_url=base_url)
    form, facts = FORMS[to], subject.facts
    data = form.write(subject)
    return Exported(name=facts.name, digest=facts.digest, form=form, data=data)


def is_folder(target: str | Path) -> bool:
    """Tell whether a target is meant as a path: names of datasets have no slash."""
    return isinstance(target, Path) or _PATH.match(target) is not None or Path(target).is_dir()


def published_subject(
    commit: CommitRecord, opened: Store, *, base_url: str | None = None
) -> Subject:
    """Return a version as its forms describe it, with the DOI that it was given since."""
    manifest = read_manifest(opened, commit)
    index = read_index(opened, commit, manifest, full=False)
    located = index.locations
    outside = {
        path: Sourced(url=_address(commit.outside[number], path))
        for path, number in located.outside.items()
    }
    hrefs = {asset.key: asset.href for asset in commit.assets}
    doi = known_doi(opened, commit)
    return Subject(
        record=corrected(opened, commit, read_record(opened, commit)),
        facts=read_facts(opened, commit),
        manifest=manifest,
        sizes=index.sizes,
        placed=Placed(
            since=located.since, hrefs=hrefs, outside=commit.outside, sources=outside
        ),
        base_url=base_url,
        doi=doi.doi if doi and doi.findable else None,
    )


def _address(place: OutsidePlace, path: str) -> str:
    return address_of(place, path.removeprefix(f"{place.path}/"))


def _staged(
    folder: Path, version: str, created: str, base_url: str | None, progress: Progress | None
) -> Subject:
    VersionNumber.parse(version)
    if folder.is_file():
        raise InvalidError(
            f"{str(folder)!r} is a file, not a staged dataset",
            where=str(folder),
            fix="give the folder that holds record.yaml and data/",
        )
    path = folder / "record.yaml"
    record = parse_record(read_record_bytes(path), where=str(path))
    measured = measure(
        folder, dataset=record.id, version=version, created=created, progress=progress
    )
    return Subject(
        record=record,
        facts=measured.facts,
        manifest=measured.manifest,
        sizes=measured.sizes,
        base_url=base_url,
    )
