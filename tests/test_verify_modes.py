"""How deep verify looks, and at which files: samples, subsets, assets, stored checksums."""

import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidata.digest import Digest
from scidata.errors import InvalidError, NotFoundError
from scidata.manifest_index import Recorded, read_recorded
from scidata.parts import Parts
from scidata.storage import open_store
from scidata.storage.checksums import Stored, stored
from scidata.storage.local import LocalStore
from scidata.storage.s3 import S3Store
from scidata.verifying import verify
from scidata.verifying.choice import Sample, Subset, choose, in_order
from scidata.verifying.stored import judge
from tests.damage import CHUNK, STATISTICS, TABLE, command, flip, named, two_versions

SEED = "sha256:" + "5" * 64
paths = st.sets(st.text("ab/c0", min_size=1, max_size=6), max_size=60)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tiny@1.0.0 and tiny@1.1.0, which differ in two files."""
    return two_versions(tmp_path_factory.mktemp("published"))


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """A copy of tiny@1.0.0 that a test may damage."""
    return Path(shutil.copytree(published / "tiny" / "v1.0.0", tmp_path / "copy"))


@pytest.fixture
def on_s3(published: Path, s3_url: str) -> S3Store:
    """The same two versions in a bucket, with the checksums that AWS would keep."""
    store = open_store(s3_url)
    assert isinstance(store, S3Store)
    for facts in LocalStore(published).list("tiny/"):
        put(store, facts.key, (published / facts.key).read_bytes())
    return store


def put(store: S3Store, key: str, data: bytes, algorithm: str = "SHA256") -> None:
    """Write as an AWS SDK does: moto keeps a checksum only if a header announces it."""
    bucket, _, below = store.url.removeprefix("s3://").partition("/")
    store._botocore.put_object(
        Bucket=bucket, Key=f"{below}/{key}", Body=data, ChecksumAlgorithm=algorithm
    )


@given(files=paths, of=st.integers(1, 70))
def test_n_subsets_cover_every_file_once(files: set[str], of: int) -> None:
    ordered = in_order(files, SEED)
    parts = [Subset(number=k, of=of).draw(ordered) for k in range(1, of + 1)]
    assert sorted(path for part in parts for path in part) == sorted(files)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(files=paths, other=st.text(max_size=5))
def test_the_order_of_drawing_depends_on_the_seed_and_the_names_alone(
    files: set[str], other: str
) -> None:
    assert in_order(sorted(files), SEED) == in_order(sorted(files, reverse=True), SEED)
    assert sorted(in_order(files, other)) == sorted(files)


@given(files=paths.filter(bool), amount=st.integers(1, 200))
def test_a_sample_of_an_amount_is_no_less_and_no_file_more(
    files: set[str], amount: int
) -> None:
    ordered = in_order(files, SEED)
    sizes = {path: len(path) for path in files}
    drawn = Sample(text="", bytes=amount).draw(ordered, sizes)
    total = sum(map(sizes.__getitem__, drawn))
    assert total >= min(amount, sum(sizes.values()))
    assert total - sizes[drawn[-1]] < amount


def test_samples_are_read_as_shares_numbers_and_amounts() -> None:
    ordered = [str(n) for n in range(1000)]
    assert len(Sample.parse("1%").draw(ordered, {})) == 10
    assert len(Sample.parse("0.01%").draw(ordered, {})) == 1
    assert len(Sample.parse("300").draw(ordered, {})) == 300
    assert len(Sample.parse("5000").draw(ordered, {})) == 1000
    assert Sample.parse("50G").bytes == 50_000_000_000
    assert Sample.parse("1.5 kB".replace(" ", "")).bytes == 1500
    with pytest.raises(InvalidError, match="index of sizes"):
        Sample.parse("1G").draw(ordered, {})


@pytest.mark.parametrize("text", ["", "0", "-1", "0%", "101%", "1.5", "G", "nan", "1e3", "٣"])
def test_a_malformed_sample_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="no sample"):
        Sample.parse(text)


@pytest.mark.parametrize("text", ["", "0/3", "4/3", "1/0", "1", "1/2/3", "a/b", "-1/2"])
def test_a_malformed_subset_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="no subset"):
        Subset.parse(text)


@pytest.mark.parametrize(
    "wishes",
    [
        {"fast": True, "full": True},
        {"fast": True, "remote": True},
        {"remote": True, "full": True},
        {"fast": True, "sample": "1%"},
        {"fast": True, "subset": "1/2"},
        {"sample": "1%", "subset": "1/2"},
    ],
)
def test_wishes_that_contradict_each_other_are_a_usage_error(
    copy: Path, wishes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidError, match="cannot be combined"):
        choose(**wishes)
    options = [
        part
        for name, value in wishes.items()
        for part in ([f"--{name}"] if value is True else [f"--{name}", value])
    ]
    done = subprocess.run(
        command("verify", copy, *options), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "cannot be combined" in done.stderr


@pytest.mark.parametrize("where", ["copy", "store"])
def test_the_subsets_of_a_version_find_a_flipped_byte_exactly_once(
    copy: Path, published: Path, tmp_path: Path, where: str
) -> None:
    store = shutil.copytree(published, tmp_path / "store")
    target = copy if where == "copy" else "tiny@1.0.0"
    file = (copy if where == "copy" else store / "tiny/v1.0.0") / CHUNK
    file.write_bytes(flip(file.read_bytes()))
    runs = [verify(target, store, subset=f"{k}/4") for k in range(1, 5)]
    assert sorted(len(found.damage) for found in runs) == [0, 0, 0, 1]
    assert sum(found.compared for found in runs) == 11
    assert all("1.0.0" in found.name and str(found.digest) in found.drawn for found in runs)


@pytest.mark.parametrize("where", ["copy", "store"])
def test_a_sample_compares_names_and_sizes_of_all_other_files(
    copy: Path, published: Path, tmp_path: Path, where: str
) -> None:
    store = shutil.copytree(published, tmp_path / "store")
    target = copy if where == "copy" else "tiny@1.0.0"
    folder = copy if where == "copy" else store / "tiny/v1.0.0"
    sound = verify(target, store, sample="1")
    assert sound.sound
    assert (sound.compared, sound.files - sound.tags) == (1, 11)
    (folder / TABLE).write_bytes(b"short")
    (folder / STATISTICS).unlink()
    (folder / "data/new").write_text("")
    assert named(verify(target, store, sample="1")) == {
        ("bad", TABLE),
        ("missing", STATISTICS),
        ("extra", "data/new"),
    }


def test_the_same_sample_of_a_copy_and_of_the_version_is_of_the_same_files(
    copy: Path, published: Path
) -> None:
    for file in (*copy.rglob("data/**/*"),):
        if file.is_file():
            file.write_bytes(bytes(file.stat().st_size))
    first = named(verify(copy, sample="4"))
    assert len(first) == 4
    assert named(verify(copy, published, sample="4")) == first
    assert first < named(verify(copy, published, sample="6"))


@pytest.mark.parametrize("where", ["copy", "store"])
def test_an_asset_is_looked_at_alone(copy: Path, published: Path, where: str) -> None:
    target = copy if where == "copy" else "tiny@1.0.0"
    found = verify(target, published, assets=["array"])
    assert found.sound
    assert found.files - found.tags == sum(
        p.is_file() for p in (copy / "data/array.zarr").rglob("*")
    )
    both = verify(target, published, assets=["array"], globs=["data/t*"])
    assert both.files == found.files + 1
    with pytest.raises(NotFoundError, match="no asset 'arrow'") as caught:
        verify(target, published, assets=["arrow"])
    assert "table" in caught.value.fix


def test_remote_compares_what_s3_keeps_and_reads_no_data(on_s3: S3Store) -> None:
    found = verify("tiny@1.0.0", on_s3, remote=True)
    assert found.sound
    assert found.complete
    assert found.checksums == {"SHA256": 11}
    put(on_s3, f"tiny/v1.0.0/{CHUNK}", flip(on_s3.read(f"tiny/v1.0.0/{CHUNK}")))
    on_s3.delete(f"tiny/v1.0.0/{TABLE}")
    found = verify("tiny@1.0.0", on_s3, remote=True)
    assert named(found) == {("bad", CHUNK), ("missing", TABLE)}
    assert found.bytes < verify("tiny@1.0.0", on_s3).bytes
    part = verify("tiny@1.0.0", on_s3, remote=True, sample="2")
    assert sum(part.checksums.values()) + len(part.damage) >= 2


def test_what_s3_keeps_no_checksum_of_is_unverifiable_and_the_exit_code_is_6(
    on_s3: S3Store,
) -> None:
    for path in (TABLE, CHUNK):
        key = f"tiny/v1.0.0/{path}"
        put(on_s3, key, on_s3.read(key), "CRC32")
    found = verify("tiny@1.0.0", on_s3, remote=True)
    assert found.sound
    assert not found.complete
    assert {item.path for item in found.unverifiable} == {TABLE, CHUNK}
    line = command("verify", "tiny@1.0.0", "--remote", "--store", on_s3.url)
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 6
    first, *rest = done.stdout.splitlines()
    assert re.fullmatch(
        r"unverifiable \S+ and 1 more \(--json lists all\): the store .+", first
    )
    assert not any(line.startswith("unverifiable") for line in rest), "one line a reason"
    assert "no damage seen, 2 files unverifiable" in done.stdout
    assert "without --remote" in done.stderr
    document = json.loads(
        subprocess.run([*line, "--json"], capture_output=True, check=False).stdout
    )
    assert (document["sound"], document["complete"], document["depth"]) == (
        True,
        False,
        "remote",
    )
    assert {item["path"] for item in document["unverifiable"]} == {TABLE, CHUNK}


def test_remote_is_refused_where_no_checksums_are_kept(copy: Path, published: Path) -> None:
    for target in (copy, "tiny@1.0.0"):
        with pytest.raises(InvalidError, match="keeps no checksums"):
            verify(target, published, remote=True)


WHOLE = hashlib.sha256(b"abc").hexdigest()
PIECES = [hashlib.sha256(piece).digest() for piece in (b"a" * 8, b"b" * 8, b"c")]
OF_PARTS = hashlib.sha256(b"".join(PIECES)).hexdigest()
CUT = Parts(8, b"".join(PIECES))
INDEX = Recorded(size=17, parts=CUT, cut=WHOLE, crc64nvme="0" * 16)
OF_OTHERS = Recorded(size=17, parts=CUT, cut="0" * 64)


@pytest.mark.parametrize(
    ("recorded", "kept", "verdict"),
    [
        (Recorded(), Stored(size=3, sha256=WHOLE), "SHA256"),
        (Recorded(), Stored(size=3, sha256="0" * 64), "bad"),
        (Recorded(size=4), Stored(size=3, sha256=WHOLE), "bad"),
        (INDEX, Stored(size=17, crc64nvme="0" * 16), "CRC64NVME"),
        (INDEX, Stored(size=17, crc64nvme="1" * 16), "bad"),
        (
            INDEX,
            Stored(size=17, parts_sha256=OF_PARTS, parts=3, part_size=8),
            "SHA256 of parts",
        ),
        (INDEX, Stored(size=17, parts_sha256="1" * 64, parts=3, part_size=8), "bad"),
        (
            OF_OTHERS,
            Stored(size=17, parts_sha256=OF_PARTS, parts=3, part_size=8),
            "unverifiable",
        ),
        # Other parts of the same bytes have another checksum.
        (INDEX, Stored(size=17, parts_sha256="1" * 64, parts=2, part_size=9), "unverifiable"),
        (
            Recorded(),
            Stored(
                size=3,
                parts=1,
                part_size=3,
                parts_sha256=hashlib.sha256(bytes.fromhex(WHOLE)).hexdigest(),
            ),
            "SHA256 of one part",
        ),
        (Recorded(md5="a" * 32), Stored(size=3, md5="a" * 32), "MD5"),
        (Recorded(md5="a" * 32), Stored(size=3, md5="b" * 32), "bad"),
        (Recorded(), Stored(size=3, crc64nvme="0" * 16, md5="a" * 32), "unverifiable"),
        (Recorded(), Stored(size=3), "unverifiable"),
    ],
)
def test_the_strongest_checksum_that_both_sides_have_decides(
    recorded: Recorded, kept: Stored, verdict: str
) -> None:
    judged = judge("data/x", WHOLE, recorded, kept)
    found = judged.by or ("bad" if judged.damage else "unverifiable")
    assert found == verdict
    assert (judged.unchecked is not None) == (verdict == "unverifiable")


def test_an_answer_of_s3_is_read_for_what_it_proves() -> None:
    value = base64.b64encode(bytes(32)).decode()
    plain = {"ContentLength": 5, "ETag": '"' + "a" * 32 + '"'}
    assert stored({**plain, "ChecksumSHA256": value}, lambda: 0) == Stored(
        size=5, sha256="0" * 64, md5="a" * 32
    )
    in_parts = {
        "ContentLength": 5,
        "ETag": '"' + "a" * 32 + '-2"',
        "ChecksumSHA256": f"{value}-2",
    }
    assert stored(in_parts, lambda: 3) == Stored(
        size=5, parts_sha256="0" * 64, parts=2, part_size=3
    )
    encrypted = {**plain, "ServerSideEncryption": "aws:kms"}
    assert stored(encrypted, lambda: 0) == Stored(size=5)
    nonsense = {**plain, "ETag": "x", "ChecksumSHA256": "!", "ChecksumCRC64NVME": "AAAA"}
    assert stored(nonsense, lambda: 0) == Stored(size=5)


def test_the_index_tells_checksums_where_it_has_them(published: Path) -> None:
    data = (published / "tiny/v1.0.0/manifest.parquet").read_bytes()
    assert read_recorded(data)[TABLE].md5 == ""
    table = pq.read_table(io.BytesIO(data))
    md5 = pa.array([bytes(16)] * table.num_rows, pa.binary(16))
    place = table.schema.get_field_index("md5")
    target = io.BytesIO()
    pq.write_table(table.set_column(place, "md5", md5), target)
    assert read_recorded(target.getvalue())[TABLE].md5 == "0" * 32
    assert (
        read_recorded(target.getvalue())[TABLE].size
        == (published / "tiny/v1.0.0" / TABLE).stat().st_size
    )
    assert Digest.of(data) != Digest.of(target.getvalue())


def test_new_files_under_an_old_manifest_are_told_from_the_old_version(
    copy: Path, published: Path
) -> None:
    """As `aws s3 sync` leaves it: a manifest of the same size is not fetched again."""
    shutil.copytree(published / "tiny/v1.1.0/data", copy / "data", dirs_exist_ok=True)
    found = verify(copy, published, name="tiny@1.1.0")
    assert ("bad", "manifest-sha256.txt") in named(found)
    assert any("its manifest is that of tiny@1.0.0" in note for note in found.notes)
    assert not any("holds tiny@1.0.0" in note for note in found.notes)


def test_old_files_under_a_new_manifest_are_named_with_the_version_they_are_of(
    copy: Path, published: Path
) -> None:
    shutil.copytree(
        published / "tiny/v1.1.0",
        copy,
        dirs_exist_ok=True,
        ignore=lambda folder, names: {"statistics.json"} & set(names),
    )
    found = verify(copy, published)
    assert named(found) == {("bad", STATISTICS)}
    assert found.notes == ("1 bad file is of tiny@1.0.0: versions were mixed in one folder",)


@pytest.mark.parametrize("fast", [False, True])
def test_a_commit_record_that_counts_other_files_than_the_manifest_is_damage(
    published: Path, tmp_path: Path, fast: bool
) -> None:
    store = Path(shutil.copytree(published, tmp_path / "store"))
    record = store / "tiny/versions/1.0.0.json"
    commit = json.loads(record.read_bytes())
    record.unlink()
    record.write_text(json.dumps({**commit, "files": commit["files"] + 1}))
    found = verify("tiny@1.0.0", store, fast=fast)
    assert named(found) == {("bad", "versions/1.0.0.json")}
    # Without a manifest nothing is counted, and it is not the record that is to blame.
    for name in ("manifest-sha256.txt", "manifest.parquet"):
        (store / "tiny/v1.0.0" / name).unlink()
    assert ("bad", "versions/1.0.0.json") not in named(verify("tiny@1.0.0", store, fast=fast))


def test_a_file_of_no_version_is_damage_and_nothing_else(copy: Path, published: Path) -> None:
    (copy / STATISTICS).write_bytes(b"[]")
    assert verify(copy, published).notes == ()
