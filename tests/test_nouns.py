"""The laws of the pure nouns: digest, manifest, version, reference, split."""

import hashlib
import string
import subprocess
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidata import split
from scidata.digest import Digest
from scidata.errors import IntegrityError, InvalidError
from scidata.manifest import Manifest
from scidata.paths import path_fault, path_problems
from scidata.version import (
    CommitAsset,
    CommitRecord,
    Reference,
    TagFile,
    VersionNumber,
    commit_bytes,
    parse_commit,
)

digests = st.binary(max_size=8).map(Digest.of)
names = st.text(string.ascii_letters + string.digits + "-_ é☃", min_size=1, max_size=12)
paths = (
    st.lists(names, min_size=1, max_size=4)
    .map("/".join)
    .map("data/".__add__)
    .filter(lambda p: path_fault(p) is None)
)
files = st.dictionaries(paths, digests, max_size=12).filter(lambda f: not any(path_problems(f)))
numbers = st.builds(VersionNumber, *[st.integers(0, 10**9 - 1)] * 3)


@given(digests)
def test_a_digest_is_what_its_text_says(digest: Digest) -> None:
    assert Digest.parse(str(digest)) == digest
    assert bytes.fromhex(digest.multihash) == b"\x12\x20" + bytes.fromhex(digest.hex)


@pytest.mark.parametrize("text", ["", "sha256:", "md5:" + "0" * 32, "sha256:" + "A" * 64])
def test_a_malformed_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        Digest.parse(text)


@given(files)
def test_a_manifest_survives_the_round_trip(content: dict[str, Digest]) -> None:
    manifest = Manifest(content)
    assert Manifest.parse(manifest.text) == manifest
    assert manifest.digest.hex == hashlib.sha256(manifest.text).hexdigest()


@given(files, st.randoms())
def test_a_manifest_does_not_depend_on_the_order_of_its_files(
    content: dict[str, Digest], random: Random
) -> None:
    shuffled = list(content.items())
    random.shuffle(shuffled)
    assert Manifest(dict(shuffled)).text == Manifest(content).text


def test_coreutils_recompute_the_digest_of_a_version(tmp_path: Path) -> None:
    content = {"data/b.txt": b"b", "data/a b/c.txt": b"c", "data/é.bin": b"\0", "data/B": b""}
    for path, data in content.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    command = "find data -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    printed = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    # "data/B" and "data/b.txt" do not collide: only whole paths are compared by case.
    assert (
        printed.split()[0] == Manifest({p: Digest.of(d) for p, d in content.items()}).digest.hex
    )


GOOD = f"{'a' * 64}  data/a\n{'b' * 64}  data/b\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (GOOD.replace("data/b", "data/../b"), 2, "leaves its folder"),
        (GOOD.replace("data/b", "/etc/passwd"), 2, "outside data/"),
        (GOOD.replace("data/b", "data//b"), 2, "leaves its folder"),
        (GOOD.replace("data/b", "data/a"), 2, "out of order or twice"),
        (GOOD + GOOD, 3, "out of order or twice"),
        ("\ufeff" + GOOD, 1, "64 hex digits"),
        (GOOD.replace("\n", "\r\n"), 1, "contains '\\r'"),
        (GOOD.replace("a" * 64, "A" * 64), 1, "64 hex digits"),
        (GOOD.replace("  data/a", " *data/a"), 1, "64 hex digits"),
        (GOOD.rstrip("\n"), 2, "cut off"),
        (GOOD.replace("data/b", "data/con.txt"), 2, "Windows reserves"),
        (GOOD.replace("data/b", "data/b%41"), 2, "contains '%'"),
        (GOOD.replace("data/b", "data/e\u0301"), 2, "normal form C"),
    ],
)
def test_a_bad_line_of_a_manifest_is_named(text: str, line: int, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        Manifest.parse(text.encode())
    problem = caught.value.problems[0]
    assert problem.path.endswith(f":{line}")
    assert message in problem.message


def test_two_paths_that_differ_by_case_only_are_refused() -> None:
    with pytest.raises(InvalidError, match="differs from 'data/A' by case only"):
        Manifest({"data/a": Digest.of(b""), "data/A": Digest.of(b"")})


@given(numbers)
def test_a_version_number_survives_the_round_trip(number: VersionNumber) -> None:
    assert VersionNumber.parse(str(number)) == number


@pytest.mark.parametrize(
    "text", ["1", "1.0", "v1.0.0", "01.0.0", "1.0.0-rc1", "1.0.0\n", "\uff11.0.0"]
)
def test_a_malformed_version_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="is not a version number"):
        VersionNumber.parse(text)


@pytest.mark.parametrize(
    "text", ["tevolop", "tevolop@1.0.0", f"tevolop@sha256:{'0' * 64}", "a-b-1@0.0.1"]
)
def test_a_reference_is_what_its_text_says(text: str) -> None:
    assert str(Reference.parse(text)) == text


@pytest.mark.parametrize("text", ["", "Tevolop", "a", "tevolop@", "../x@1.0.0", "x/y", "a b"])
def test_a_malformed_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        Reference.parse(text)


def commit() -> CommitRecord:
    asset = CommitAsset(
        key="events",
        kind="parquet",
        path="data/events.parquet",
        href="v1.0.0/data/events.parquet",
        files=1,
        bytes=3,
        sha256="0" * 64,
    )
    return CommitRecord(
        dataset="tevolop",
        version="1.0.0",
        digest=str(Digest.of(b"")),
        files=1,
        bytes=3,
        prefixes=("v1.0.0",),
        tags={"v1.0.0/bagit.txt": TagFile(sha256="1" * 64, size=55)},
        assets=(asset,),
        created="2026-11-23T11:20:00Z",
        tool="scidata 0.1.0",
        commit_id="6f0c",
    )


def test_a_commit_record_survives_the_round_trip() -> None:
    assert parse_commit(commit_bytes(commit()), where="") == commit()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"[]", "it holds something else than named fields"),
        (b"{}", "it lacks 'dataset', lacks 'version', lacks 'digest' and 8 more faults"),
        (b"\xff", "it is not JSON, or cut short"),
        (b"[" * 60_000, "it is not JSON, or cut short"),
        (b"{" * 70_000, "it has 70000 bytes, which are too many"),
        (commit_bytes(commit())[:-40], "it is not JSON, or cut short"),
        (commit_bytes(commit()).replace(b"sha256:", b"md5:"), "a wrong value in 'digest'"),
        (commit_bytes(commit()).replace(b'"files": 1', b'"filez": 1'), "lacks 'files'"),
        (
            commit_bytes(commit()).replace(b'"files": 1', b'"files": -1'),
            "wrong value in 'files",
        ),
    ],
)
def test_a_damaged_commit_record_is_named_in_plain_words(data: bytes, said: str) -> None:
    with pytest.raises(IntegrityError, match="the commit record is damaged") as caught:
        parse_commit(data, where="versions/1.0.0.json")
    assert said in caught.value.message
    assert caught.value.where == "versions/1.0.0.json"
    assert "another copy" in caught.value.fix


def test_a_commit_record_of_a_newer_scidata_asks_for_an_upgrade() -> None:
    newer = commit_bytes(commit()).replace(b"scidata-version/1", b"scidata-version/9")
    with pytest.raises(InvalidError, match="scidata-version/9") as caught:
        parse_commit(newer, where="versions/1.0.0.json")
    assert "upgrade" in caught.value.fix


ids = st.sets(st.text(string.ascii_lowercase + string.digits + "-", min_size=1), max_size=20)


@given(ids)
def test_a_split_survives_the_round_trip_and_its_digest_is_that_of_its_file(
    content: set[str],
) -> None:
    text = split.to_text(content)
    assert split.parse(text, where="") == tuple(sorted(content))
    assert split.digest(content) == Digest.of(text)


@pytest.mark.parametrize("data", [b"b\na\n", b"a\na\n", b"a b\n", b"a", b"\n", b"\xff\n"])
def test_a_split_file_that_scidata_would_not_write_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidError):
        split.parse(data, where="train.txt")


def test_the_overlap_of_two_parts_is_what_leaks() -> None:
    assert split.overlap(["a", "b", "c"], ["c", "b", "d"]) == ("b", "c")


@pytest.mark.parametrize(
    ("labels", "ids", "found"),
    [
        (np.array([7, 40, -3]), ("0007", "40", "-3", "8", "seven", "9" * 5000), [0, 1, 2]),
        (np.array([7, 40], "uint8"), ("007", "4.0e1"), [0]),
        (np.array(["0007", "é"]), ("0007", "7", "é"), [0, 2]),
        (np.array(["0007", "7"], object), ("007", "7"), [1]),
        (np.array([b"a", b"b"]), ("b", "b'a'"), [0]),
        (
            np.array(["2020-01-01T06", "2020-01-02T00"], "datetime64[ns]"),
            (
                "2020-01-01",
                "2020-01-01T06:00Z",
                "2020-01-01T07:00+01:00",
                "2020-01-02",
                "today",
            ),
            [1, 2, 3],
        ),
        (np.array(["2020-01", "2021-01"], "datetime64[M]"), ("2020", "2021-01", "NaT"), [0, 1]),
    ],
    ids=["numbers", "bytes of numbers", "text", "objects", "bytes", "times", "months"],
)
def test_an_id_means_a_label_by_one_rule(
    labels: npt.NDArray[np.generic], ids: tuple[str, ...], found: list[int]
) -> None:
    held = set(split.label_meanings(labels))
    known = [n for n, i in enumerate(ids) if split.meaning(i, labels.dtype.kind) in held]
    assert known == found


def test_ids_that_mean_the_same_are_named() -> None:
    assert split.repeated(["007", "07", "8"], "i") == ("007", "07")
    assert split.repeated(["007", "07", "8"], "U") is None
    assert split.repeated(["2020-01-01", "2020-01-01T00:00Z"], "M") is not None
