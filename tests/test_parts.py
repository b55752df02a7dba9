"""Large files are known by the sha256 of their parts, and so confirmed where they lie in S3."""

import hashlib
import io
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from scidata.digest import Digest
from scidata.facts import Asset, Facts
from scidata.formats import manifest_table
from scidata.hashing import hash_and_cut
from scidata.manifest import MANIFEST_TABLE, Manifest
from scidata.manifest_index import read_recorded
from scidata.materializing import materialize
from scidata.mirroring import mirror
from scidata.parts import MIB, PART, Cutting, Parts, Sizes
from scidata.publishing import PublishOptions, Surroundings, publish
from scidata.publishing.remembered import memory_of, recall
from scidata.resolve import resolve
from scidata.sshsig import SigningKey
from scidata.storage import open_store, s3_copy
from scidata.storage.base import Store
from scidata.storage.local import LocalStore
from scidata.storage.s3 import S3Store
from scidata.verifying import verify
from scidata.version import TagFile, commit_bytes
from tests.damage import named
from tests.samples import write_bare

BIG, MOVED = "data/big.bin", "data/moved.bin"
LENGTH = Sizes().one_put + 3
PARTS_OF_BIG = 5
LATER = Surroundings(now=lambda: datetime.now(UTC) + timedelta(minutes=1))
DELTA = PublishOptions(layout="delta", surroundings=LATER)


def write_big(path: Path) -> None:
    """Write a file that is just too large for one request, and whose parts differ."""
    with path.open("wb") as file:
        for start in range(0, LENGTH, PART):
            file.seek(start)
            file.write(b"part at %d" % start)
        file.truncate(LENGTH)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bare@1.0.0, and bare@1.1.0, a delta in which the big file was renamed."""
    root = tmp_path_factory.mktemp("big")
    staged = write_bare(root / "staged")
    write_big(staged / BIG)
    around = replace(LATER, memory=root / "state" / "stores.json")
    options = PublishOptions(surroundings=around)
    publish(staged, root / "store", version="1.0.0", options=options)
    (staged / BIG).rename(staged / MOVED)
    publish(staged, root / "store", version="1.1.0", options=replace(options, layout="delta"))
    return root / "store"


@pytest.fixture
def mirrored(published: Path, s3_url: str) -> S3Store:
    """The first of these versions in a bucket; moto keeps what it computes of parts."""
    mirror(["bare@1.0.0"], published, to=s3_url)
    store = open_store(s3_url)
    assert isinstance(store, S3Store)
    return store


def of_big(store: Store | str, version: str = "1.0.0", path: str = BIG) -> Any:
    return verify(f"bare@{version}", store, remote=True, globs=[path])


def send(store: S3Store, key: str, data: bytes, part: int) -> None:
    """Put an object in the place of another, as no scidata does."""
    bucket, _, below = store.url.removeprefix("s3://").partition("/")
    named = {"Bucket": bucket, "Key": f"{below}/{key}"}
    begun = store._call("create_multipart_upload", ChecksumAlgorithm="SHA256", **named)
    sent = []
    for number, start in enumerate(range(0, len(data), part), start=1):
        piece = data[start : start + part]
        upload = {**named, "UploadId": begun["UploadId"], "PartNumber": number}
        done = store._call("upload_part", Body=piece, **upload)
        sent.append({"PartNumber": number, "ETag": done["ETag"]})
    store._call(
        "complete_multipart_upload",
        UploadId=begun["UploadId"],
        MultipartUpload={"Parts": sent},
        **named,
    )


# How files are cut


@given(data=st.binary(max_size=50), part=st.integers(1, 20), cuts=st.lists(st.integers(0, 50)))
def test_parts_do_not_depend_on_the_blocks_in_which_bytes_arrive(
    data: bytes, part: int, cuts: list[int]
) -> None:
    cutting, places = Cutting(part), sorted({0, *cuts, len(data)})
    for start, stop in pairwise(places):
        cutting.update(memoryview(data)[start:stop])
    pieces = [data[n : n + part] for n in range(0, len(data), part)]
    digests = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
    assert cutting.parts() == Parts(part, digests)
    assert cutting.parts().fits(len(data)) == (len(data) > part)


def test_files_up_to_the_limit_of_one_request_are_not_cut(tmp_path: Path) -> None:
    for name, size in (("at", LENGTH - 3), ("above", LENGTH - 2)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    paths = [(path.name, path) for path in tmp_path.iterdir()]
    found = hash_and_cut(paths, cut=Sizes().cut)
    assert found["at"].parts is None
    cut = found["above"].parts
    assert cut is not None
    assert (cut.size, len(cut.sha256)) == (PART, 32 * PARTS_OF_BIG)


# What the index holds


def table_of(parts: Mapping[str, Parts], sizes: Mapping[str, int]) -> bytes:
    manifest = Manifest({path: Digest("0" * 64) for path in sizes})
    asset = Asset(
        key="x", kind="file", path="data/x", media_type="x/x", files=1, bytes=1, sha256="0" * 64
    )
    facts = Facts(
        dataset="tiny",
        version="1.0.0",
        digest=str(manifest.digest),
        files=len(sizes),
        bytes=1,
        created="2026-01-02T03:04:05Z",
        assets=(asset,),
    )
    return manifest_table.to_parquet(manifest, sizes, facts, {}, parts=parts)


@pytest.mark.parametrize("most", [1, 25_000, 2**20])
def test_parts_of_the_largest_files_are_read_as_they_were_written(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Ten thousand parts each, more than any path is long; among them files of no parts."""
    monkeypatch.setattr(manifest_table, "_PARTS_PER_GROUP", most)
    paths = [f"data/x/{number:03}" for number in range(120)]
    sizes = {path: 10_000 * PART if n % 3 else 5 for n, path in enumerate(paths)}
    parts = {
        path: Parts(PART, hashlib.sha256(path.encode()).digest() * 10_000)
        for path in paths
        if sizes[path] > 5
    }
    found = read_recorded(table_of(parts, sizes))
    assert {path: row.parts for path, row in found.items() if row.parts} == parts
    assert {path: row.size for path, row in found.items()} == sizes
    assert {row.cut for row in found.values()} == {"", "0" * 64}


@pytest.mark.parametrize(
    "parts", [Parts(PART, bytes(32)), Parts(PART, bytes(96)), Parts(1, bytes(64))]
)
def test_parts_that_are_not_those_of_a_file_of_that_size_are_refused(parts: Parts) -> None:
    with pytest.raises(ValueError, match="the parts of 'data/x/a'"):
        read_recorded(table_of({"data/x/a": parts}, {"data/x/a": 2 * PART}))


def test_what_was_hashed_by_parts_is_not_read_again(
    tmp_path: Path, isolated_user: Path
) -> None:
    staged = write_bare(tmp_path / "staged")
    write_big(staged / BIG)
    tables = []
    for run in ("first", "second"):
        options = PublishOptions(surroundings=LATER)
        publish(staged, tmp_path / run, version="1.0.0", options=options)
        tables.append((tmp_path / run / f"bare/v1.0.0/{MANIFEST_TABLE}").read_bytes())
        (staged / BIG).chmod(0o200)
    kept = recall(memory_of(LATER.memory.parent, staged))[BIG].parts
    assert kept is not None
    assert kept.fits(LENGTH)
    assert [read_recorded(table)[BIG].parts for table in tables] == [kept, kept]


# What is confirmed


def test_remote_confirms_a_large_object_without_reading_it(mirrored: S3Store) -> None:
    found = of_big(mirrored)
    assert found.sound
    assert found.complete
    assert found.checksums == {"SHA256 of parts": 1}
    assert found.bytes < MIB
    assert any("for which the commit record vouches" in note for note in found.notes)


def test_remote_names_a_large_object_of_which_one_bit_differs(mirrored: S3Store) -> None:
    key = f"bare/v1.0.0/{BIG}"
    data = bytearray(b"".join(mirrored.stream(key)))
    data[3 * PART] ^= 1
    send(mirrored, key, bytes(data), PART)
    found = of_big(mirrored)
    assert named(found) == {("bad", BIG)}
    assert found.damage[0].expected.startswith("sha256-of-parts:")


def test_the_same_bytes_in_other_parts_are_unverifiable_and_it_is_said_why(
    mirrored: S3Store,
) -> None:
    key = f"bare/v1.0.0/{BIG}"
    send(mirrored, key, b"".join(mirrored.stream(key)), 2 * PART)
    found = of_big(mirrored)
    assert found.sound
    assert [item.path for item in found.unverifiable] == [BIG]
    assert found.unverifiable[0].reason == (
        f"the store has it in parts of {2 * PART} bytes, and the version records the SHA256 "
        f"of parts of {PART} bytes"
    )


def test_copies_inside_a_bucket_are_confirmed_as_uploads_are(
    published: Path, mirrored: S3Store
) -> None:
    """A renamed file of a delta, and an inherited one that was made its own."""
    staged = published.parent / "again"
    shutil.copytree(published.parent / "staged", staged)
    for version in ("1.1.0", "1.2.0"):  # in 1.2.0 nothing changes: all is inherited
        done = publish(staged, mirrored, version=version, options=DELTA)
        assert (done.copied > 0) == (version == "1.1.0")
        assert of_big(mirrored, version, MOVED).checksums == {"SHA256 of parts": 1}
    materialize("bare@1.2.0", mirrored)
    mirrored.delete(f"bare/v1.1.0/{MOVED}")
    assert of_big(mirrored, "1.2.0", MOVED).checksums == {"SHA256 of parts": 1}
    assert named(of_big(mirrored, "1.1.0", MOVED)) == {("missing", MOVED)}


# What vouches for it


def spoilt_index(table: bytes) -> tuple[bytes, bytes]:
    """Return an index with the parts of bytes that differ in one bit, and these bytes."""
    data = bytearray(LENGTH)
    cutting = Cutting(PART)
    cutting.update(bytes(data))
    rows = pq.read_table(io.BytesIO(table))
    place = rows.schema.get_field_index("parts_sha256")
    forged = [cutting.parts().sha256 if value else None for value in rows[place].to_pylist()]
    target = io.BytesIO()
    column = pa.array(forged, pa.binary())
    pq.write_table(rows.set_column(place, "parts_sha256", column), target)
    return target.getvalue(), bytes(data)


def test_an_index_that_differs_from_the_commit_record_confirms_nothing(
    mirrored: S3Store,
) -> None:
    table, data = spoilt_index(mirrored.read(f"bare/v1.0.0/{MANIFEST_TABLE}"))
    mirrored.replace(f"bare/v1.0.0/{MANIFEST_TABLE}", table)
    send(mirrored, f"bare/v1.0.0/{BIG}", data, PART)
    found = of_big(mirrored)
    assert ("bad", MANIFEST_TABLE) in named(found)
    assert found.checksums == {}
    assert [item.path for item in found.unverifiable] == [BIG]


def test_a_forged_commit_record_is_seen_by_its_signature_or_by_reading_not_by_its_parts(
    mirrored: S3Store, tmp_path: Path
) -> None:
    """What `docs/design/verifying.md` says of what a match does not prove."""
    key = SigningKey(Ed25519PrivateKey.generate(), "ours")
    staged = write_bare(tmp_path / "staged")
    write_big(staged / BIG)
    options = PublishOptions(signing_key=key)
    publish(staged, mirrored, version="1.0.0", options=options)
    cited = resolve("bare@1.0.0", mirrored).digest
    trusted = [key.public]
    honest = verify("bare@1.0.0", mirrored, remote=True, globs=[BIG], trusted=trusted)
    assert honest.checksums == {"SHA256 of parts": 1}
    assert honest.notes == ()
    table, data = spoilt_index(mirrored.read(f"bare/v1.0.0/{MANIFEST_TABLE}"))
    mirrored.replace(f"bare/v1.0.0/{MANIFEST_TABLE}", table)
    send(mirrored, f"bare/v1.0.0/{BIG}", data, PART)
    commit = resolve("bare@1.0.0", mirrored)
    tag = TagFile(sha256=Digest.of(table).hex, size=len(table))
    tags = {**commit.tags, f"v1.0.0/{MANIFEST_TABLE}": tag}
    forged = commit.model_copy(update={"tags": tags})
    mirrored.replace("bare/versions/1.0.0.json", commit_bytes(forged))
    believed = verify("bare@1.0.0", mirrored, remote=True, globs=[BIG], digest=cited)
    assert believed.sound
    assert any("digest alone does not" in note for note in believed.notes)
    assert ("bad", BIG) in named(verify("bare@1.0.0", mirrored, globs=[BIG], digest=cited))
    with pytest.raises(Exception, match="signature"):
        verify("bare@1.0.0", mirrored, remote=True, globs=[BIG], trusted=trusted)


# Servers that copy


class Server:
    """Passes calls on, and answers copies of parts as AWS does, or not."""

    def __init__(self, store: S3Store, *, tells: bool, wants: bool) -> None:
        self.store, self.tells, self.wants = store, tells, wants
        self.calls: list[str] = []

    def __call__(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        self.calls.append(operation)
        if operation == "create_multipart_upload":
            self.algorithm = arguments.get("ChecksumAlgorithm")
        if operation == "complete_multipart_upload":
            parts = arguments["MultipartUpload"]["Parts"]
            lacking = [one for one in parts if "ChecksumSHA256" not in one]
            if self.wants and self.algorithm and lacking:
                raise ClientError({"Error": {"Code": "InvalidPart"}}, operation)
        answer = dict(self.store._call(operation, **arguments))
        if operation == "upload_part_copy" and self.tells:
            value = {"ChecksumSHA256": "A" * 43 + "="}
            answer["CopyPartResult"] = {**answer["CopyPartResult"], **value}
        return answer


@pytest.mark.parametrize(
    ("tells", "wants", "kept"),
    [(True, True, True), (False, False, True), (False, True, False)],
    ids=["as AWS", "as moto", "a server that wants what it does not tell"],
)
def test_a_copy_in_parts_keeps_the_sha256_of_parts_where_the_server_can(
    mirrored: S3Store, tells: bool, wants: bool, kept: bool
) -> None:
    server = Server(mirrored, tells=tells, wants=wants)
    bucket, _, below = mirrored.url.removeprefix("s3://").partition("/")
    names = f"{below}/bare/v1.0.0/{BIG}", f"{below}/copy"
    for made in (True, False):
        there = s3_copy.copy_in_parts(
            server, bucket, *names, size=LENGTH, metadata={}, where="here"
        )
        assert there == made
    found = mirrored.checksums("copy")
    assert bool(found.parts_sha256) == kept
    assert found.size == LENGTH
    uploads = mirrored._call("list_multipart_uploads", Bucket=bucket)
    assert not [one for one in uploads.get("Uploads", ()) if one["Key"] == names[1]]
    assert server.calls.count("complete_multipart_upload") == (2 if kept else 4)


def test_a_local_store_knows_the_parts_as_well(published: Path) -> None:
    table = LocalStore(published).read(f"bare/v1.1.0/{MANIFEST_TABLE}")
    cut = read_recorded(table)[MOVED].parts
    assert cut is not None
    assert cut.fits(LENGTH)
