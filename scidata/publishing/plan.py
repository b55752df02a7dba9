"""What publishing will do, decided without touching the store: pure functions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scidata.digest import Digest
from scidata.errors import ConflictError, InvalidError
from scidata.facts import Facts
from scidata.formats import Placed, catalog_of, prefix_of
from scidata.manifest import PAYLOAD, Manifest
from scidata.publishing.inheritance import Inheritance
from scidata.version import (
    MAX_COMMIT_BYTES,
    CommitAsset,
    CommitRecord,
    ParentVersion,
    TagFile,
    VersionNumber,
    commit_bytes,
)

MAX_NAMED = 5


@dataclass(frozen=True, kw_only=True, slots=True)  # a version may have a million of them
class Step:
    """One object that must exist, with these bytes, before the version is committed."""

    key: str
    size: int
    digest: Digest
    source: Path | bytes
    present: bool = False
    """An object of this size lies there already: compare it instead of uploading."""
    copy: str | None = None
    """A key with the same bytes in the store, which the store can copy itself."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that `apply` does, in its order: payload, tag files, commit record."""

    payload: tuple[Step, ...]
    tags: tuple[Step, ...]
    commit: CommitRecord
    inherited: Mapping[str, int] = field(default_factory=dict)
    """Keys of older versions on which this one relies, and their sizes in bytes."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """All objects but the commit record."""
        return self.payload + self.tags

    @property
    def prefix(self) -> str:
        """Where the version's bag lies; nothing else may lie there."""
        return f"{self.commit.dataset}/{prefix_of(self.commit.version)}"

    @property
    def upload(self) -> tuple[Step, ...]:
        """The objects to send; the others are there, and compared or copied."""
        return tuple(step for step in self.steps if not step.present and not step.copy)

    @property
    def copied(self) -> tuple[Step, ...]:
        """The objects that the store is to copy itself."""
        return tuple(step for step in self.steps if not step.present and step.copy)


@dataclass(frozen=True, kw_only=True)
class Version:
    """What goes into a version, gathered from a staged dataset."""

    staged: Path
    manifest: Manifest
    sizes: Mapping[str, int]
    facts: Facts
    tags: Mapping[str, bytes]
    """By key below the dataset's prefix, as `scidata.formats.tag_files` returns them."""
    parent: ParentVersion | None
    placed: Placed = field(default_factory=Placed)
    """Files that lie outside the store are not uploaded."""
    inheritance: Inheritance = field(default_factory=Inheritance)


def plan(version: Version, present: Mapping[str, int], *, tool: str, commit_id: str) -> Plan:
    """Decide what to upload, what to compare, and what to commit.

    Parameters
    ----------
    version : Version
        What goes in.
    present : mapping of str to int
        Size in bytes of each object that lies under the version's prefix already.
    tool, commit_id : str
        For the commit record.

    Raises
    ------
    ConflictError
        If an object under the prefix has another size or belongs to no file of the version.
    InvalidError
        If the commit record would be too large to be read again.
    """
    base = f"{version.facts.dataset}/{prefix_of(version.facts.version)}"
    payload, tags = _payload(version, base, present), _tags(version, present)
    commit = _commit(version, tags, tool=tool, commit_id=commit_id)
    refuse_strangers(payload + tags, present, commit=commit)
    if (size := len(commit_bytes(commit))) > MAX_COMMIT_BYTES:  # nobody would read it
        raise InvalidError(
            f"the commit record would have {size} bytes, and {MAX_COMMIT_BYTES} are allowed",
            where=str(version.staged),
            fix="put files of one sort into one folder of data/: that makes fewer assets",
        )
    return Plan(payload=payload, tags=tags, commit=commit, inherited=_inherited(version))


def hrefs_of(facts: Facts, manifest: Manifest, inheritance: Inheritance) -> dict[str, str]:
    """Return where each asset lies below the dataset's prefix, by its key."""
    # Of a million files there are few pairs of top-level name and version.
    since, version = inheritance.since, facts.version
    pairs = {(path.split("/", 2)[1], since.get(path, version)) for path in manifest.hexes}
    found: dict[str, set[str]] = {}
    for top, held in pairs:
        found.setdefault(PAYLOAD + top, set()).add(held)
    own = {facts.version}
    return {
        asset.key: prefix_of(next(iter(held))) + asset.path
        for asset in facts.assets
        for held in [found[asset.path] if len(found[asset.path]) == 1 else own]
    }


def refuse_strangers(
    steps: Iterable[Step], present: Mapping[str, int], *, commit: CommitRecord
) -> None:
    """Raise `ConflictError` if the prefix holds what this version does not."""
    wanted = {step.key: step.size for step in steps}
    bad = [key for key, size in present.items() if wanted.get(key) != size]
    if bad:
        named = ", ".join(bad[:MAX_NAMED]) + (", …" if bad[MAX_NAMED:] else "")
        raise conflict(
            f"{len(bad)} objects are there that this version does not hold: {named}", commit
        )


def conflict(message: str, commit: CommitRecord) -> ConflictError:
    """Say that an uncommitted version holds other bytes, and how to go on."""
    dataset, version = commit.dataset, commit.version
    prefix = f"{dataset}/{prefix_of(version)}"
    # The pinned catalog holds the time of the first claim, so it belongs to that upload, too.
    remains = f"{prefix}*, {dataset}/{catalog_of(version)} and {dataset}/claims/{version}.*"
    return ConflictError(
        message,
        where=prefix,
        fix="another upload of this version began with other data and was never finished: "
        f"publish under the next version number, or, if nobody works on it, remove {remains} "
        "from the store and run the same command again",
    )


def check_number(number: VersionNumber, published: Iterable[VersionNumber]) -> None:
    """Raise `InvalidError` unless a number is greater than every published one."""
    newest = max(published, default=None)
    if newest is not None and number < newest:
        following = VersionNumber(newest.major, newest.minor, newest.patch + 1)
        raise InvalidError(
            f"version {number} is older than {newest}, which is published",
            where="--version",
            fix=f"take a greater number, such as {following}",
        )


def check_same(existing: CommitRecord, digest: Digest) -> None:
    """Raise `ConflictError` unless a published version has this digest."""
    if existing.digest != str(digest):
        raise ConflictError(
            f"{existing.name} is published with other data: {existing.digest}, not {digest}",
            where=f"{existing.dataset}/versions/{existing.version}.json",
            fix="versions never change: publish these data under the next version number",
        )


def _inherited(version: Version) -> dict[str, int]:
    top = version.facts.dataset
    since = version.inheritance.since
    return {
        f"{top}/{prefix_of(held)}{path}": version.sizes[path] for path, held in since.items()
    }


def _payload(version: Version, base: str, present: Mapping[str, int]) -> tuple[Step, ...]:
    since, copies = version.inheritance.since, version.inheritance.copies
    return tuple(
        Step(
            key=base + path,
            size=version.sizes[path],
            digest=version.manifest[path],
            source=version.staged / path,
            present=base + path in present,
            copy=copies.get(path),
        )
        for path in version.manifest
        if path not in since and path not in version.placed.sources
    )


def _tags(version: Version, present: Mapping[str, int]) -> tuple[Step, ...]:
    keyed = {f"{version.facts.dataset}/{key}": data for key, data in version.tags.items()}
    return tuple(
        Step(
            key=key,
            size=len(data),
            digest=Digest.of(data),
            source=data,
            present=key in present,
        )
        for key, data in keyed.items()
    )


def _commit(
    version: Version, tags: Iterable[Step], *, tool: str, commit_id: str
) -> CommitRecord:
    facts = version.facts
    top = f"{facts.dataset}/"
    hrefs = hrefs_of(facts, version.manifest, version.inheritance)
    new = version.manifest.hexes.keys() - version.inheritance.known
    return CommitRecord(
        dataset=facts.dataset,
        version=facts.version,
        digest=str(version.manifest.digest),
        files=facts.files,
        bytes=facts.bytes,
        parent=version.parent,
        new_files=len(new),
        new_bytes=sum(version.sizes[path] for path in new),
        prefixes=version.inheritance.prefixes(facts.version),
        tags={
            step.key.removeprefix(top): TagFile(sha256=step.digest.hex, size=step.size)
            for step in tags
        },
        assets=tuple(
            CommitAsset(
                key=asset.key,
                kind=asset.kind,
                path=asset.path,
                href=hrefs[asset.key],
                files=asset.files,
                bytes=asset.bytes,
                sha256=asset.sha256,
            )
            for asset in facts.assets
        ),
        outside=version.placed.outside,
        created=facts.created,
        tool=tool,
        commit_id=commit_id,
    )
