"""Versions for tests, written object by object as a publisher leaves them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import obstore.store

from scidata.digest import Block, Digest
from scidata.facts import Facts
from scidata.formats import Placed, tag_files
from scidata.index import rebuild
from scidata.measure import measure
from scidata.publishing import PublishOptions
from scidata.record import load_record
from scidata.storage.base import ObjectFacts, Store
from scidata.version import (
    CommitAsset,
    CommitRecord,
    TagFile,
    VersionNumber,
    commit_bytes,
)

CREATED = "2026-01-02T03:04:05Z"


def write_version(
    store: Store, staged: Path, version: str = "1.0.0", parent: str | None = None
) -> CommitRecord:
    """Put a version of a staged dataset into a store; the commit record comes last."""
    record = load_record(staged / "record.yaml")
    measured = measure(
        staged, dataset=record.id, version=version, created=CREATED, parent=parent
    )
    tags = tag_files(
        (staged / "record.yaml").read_bytes(),
        record,
        measured.manifest,
        measured.sizes,
        measured.facts,
    )
    for path in measured.manifest:
        store.create(f"{record.id}/v{version}/{path}", staged / path)
    for key, data in tags.items():
        store.create(f"{record.id}/{key}", data)
    commit = describe(measured.facts, tags)
    store.create(f"{record.id}/versions/{version}.json", commit_bytes(commit))
    return commit


def write_catalogued(store: Store, staged: Path) -> None:
    """Put two versions of a staged dataset into a store, and their catalogs."""
    write_version(store, staged, "1.0.0")
    write_version(store, staged, "1.1.0", parent="1.0.0")
    rebuild(store)


def describe(facts: Facts, tags: Mapping[str, bytes]) -> CommitRecord:
    """Return the commit record of a version with these tag files."""
    return CommitRecord(
        dataset=facts.dataset,
        version=facts.version,
        digest=facts.digest,
        files=facts.files,
        bytes=facts.bytes,
        prefixes=(f"v{facts.version}",),
        tags={k: TagFile(sha256=Digest.of(d).hex, size=len(d)) for k, d in tags.items()},
        assets=tuple(
            CommitAsset(
                key=asset.key,
                kind=asset.kind,
                path=asset.path,
                href=f"v{facts.version}/{asset.path}",
                files=asset.files,
                bytes=asset.bytes,
                sha256=asset.sha256,
            )
            for asset in facts.assets
        ),
        created=facts.created,
        tool="scidata tests",
        commit_id="00000000-0000-4000-8000-000000000000",
    )


class Counting:
    """A store that notes every call it passes on: one request each, or more for a listing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.requests: list[str] = []
        self.url = store.url
        self.address = store.address
        self.writable = store.writable
        self.lists = store.lists

    def read(self, key: str, *, limit: int = 256 * 2**20) -> bytes:
        self.requests.append(f"read {key}")
        return self._store.read(key, limit=limit)

    def stream(self, key: str, *, start: int = 0) -> Iterator[Block]:
        self.requests.append(f"stream {key} from {start}")
        return self._store.stream(key, start=start)

    def head(self, key: str) -> ObjectFacts:
        self.requests.append(f"head {key}")
        return self._store.head(key)

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        self.requests.append(f"list {prefix}")
        return self._store.list(prefix)

    def folders(self) -> tuple[str, ...]:
        self.requests.append("folders")
        return self._store.folders()

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        self.requests.append(f"create {key}")
        return self._store.create(key, source, digest=digest)

    def copy(self, source: str, key: str) -> bool:
        self.requests.append(f"copy {key}")
        return self._store.copy(source, key)

    def replace(self, key: str, data: bytes) -> None:
        self.requests.append(f"replace {key}")
        self._store.replace(key, data)

    def delete(self, key: str) -> None:
        self.requests.append(f"delete {key}")
        self._store.delete(key)

    def objects(self, prefix: str = "") -> obstore.store.ObjectStore:
        self.requests.append(f"objects {prefix}")
        return self._store.objects(prefix)


def write_delta(
    store: Store, staged: Path, version: str, parent: CommitRecord, since: Mapping[str, str]
) -> CommitRecord:
    """Put a version into a store whose files in `since` lie in older versions' prefixes."""
    record = load_record(staged / "record.yaml")
    measured = measure(
        staged, dataset=record.id, version=version, created=CREATED, parent=parent.version
    )
    hrefs: dict[str, str] = {}
    for asset in measured.facts.assets:
        held = [p for p in measured.manifest if f"{p}/".startswith(f"{asset.path}/")]
        versions = {since.get(path, version) for path in held}
        at = versions.pop() if len(versions) == 1 else version
        hrefs[asset.key] = f"v{at}/{asset.path}"
    tags = tag_files(
        (staged / "record.yaml").read_bytes(),
        record,
        measured.manifest,
        measured.sizes,
        measured.facts,
        placed=Placed(since=since, hrefs=hrefs),
    )
    for path in measured.manifest.keys() - since.keys():
        store.create(f"{record.id}/v{version}/{path}", staged / path)
    for key, data in tags.items():
        store.create(f"{record.id}/{key}", data)
    numbers = sorted(VersionNumber.parse(v) for v in {*since.values(), version})
    described = describe(measured.facts, tags)
    assets = tuple(
        asset.model_copy(update={"href": hrefs[asset.key]}) for asset in described.assets
    )
    commit = described.model_copy(
        update={"prefixes": tuple(f"v{number}" for number in numbers), "assets": assets}
    )
    store.create(f"{record.id}/versions/{version}.json", commit_bytes(commit))
    return commit


def lasting(store: Store, *, timed: str = "1.2.0") -> dict[str, bytes]:
    """Return what a store holds, but what another run may write otherwise.

    Catalogs, claims and probes are left out. Of statuses, and of what surrounds the payload of
    the version `timed`, which hold the time at which publishing began, the keys alone count.
    """
    found = {}
    for facts in store.list():
        folder, _, name = facts.key.rpartition("/")
        beside = folder.count("/") == 0 and not name.startswith("catalog-")
        if beside or "/claims/" in facts.key or facts.key.startswith(".scidata-probe/"):
            continue
        of_it = f"/v{timed}/" in facts.key and "/data/" not in facts.key
        loose = of_it or f"{timed}." in name or ".status-" in name
        found[facts.key] = b"" if loose else store.read(facts.key)
    return found


DELTA = PublishOptions(layout="delta")


class Sent(Counting):
    """Adds up the payload bytes that are sent."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.sizes: list[int] = []

    @property
    def payload(self) -> int:
        return sum(self.sizes)

    def create(self, key: str, source: bytes | Path, *, digest: Digest | None = None) -> bool:
        created = super().create(key, source, digest=digest)
        if created and "/data/" in key:
            sent = len(source) if isinstance(source, bytes) else source.stat().st_size
            self.sizes.append(sent)  # several threads do
        return created


def payload_of(folder: Path) -> dict[str, bytes]:
    """Return the files below ``data/`` of a folder, by path."""
    found = (p for p in (folder / "data").rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}
