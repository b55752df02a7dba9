"""Names and sizes in one pass find what all names in memory would, if listings are in order."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scidata.storage.base import ObjectFacts
from scidata.storage.local import LocalStore
from scidata.verifying import verify
from scidata.verifying.listed import Expected, Found, join
from tests.damage import CHUNK, TABLE, named, two_versions

NAMES = st.sampled_from(
    ["data/a", "data/b", "data/a/b", "data/\u00e9", "data/z", "data/\U0001f30d"]
)
VERSIONS = st.sampled_from(["1.0.0", "1.1.0"])


class Unsorted(LocalStore):
    """A store that lists as some servers do, in no order."""

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        return iter(list(super().list(prefix))[::-1])


@given(
    files=st.dictionaries(NAMES, st.tuples(st.integers(0, 1), VERSIONS)),
    keys=st.dictionaries(st.tuples(NAMES, VERSIONS), st.integers(0, 1)),
)
def test_one_pass_finds_what_sets_find(
    files: dict[str, tuple[int, str]], keys: dict[tuple[str, str], int]
) -> None:
    wanted = [Expected(path, "0" * 64, *files[path]) for path in sorted(files)]
    listed = [Found(path, version, keys[path, version]) for path, version in sorted(keys)]
    found = join(wanted, listed, own="1.1.0", tags=["data/z"], globs=())
    expected = {
        ("missing" if (path, version) not in keys else "bad", path)
        for path, (size, version) in files.items()
        if keys.get((path, version)) != size
    }
    expected |= {
        ("extra", path)
        for path, version in keys
        if version == "1.1.0" and path not in files and path != "data/z"
    }
    assert {(item.state, item.path) for item in found.damage} == expected
    assert found.payload == found.chosen == len(files)


def test_a_folder_lists_in_the_order_of_the_bytes_of_its_keys(tmp_path: Path) -> None:
    """As S3 does; the last two are the other way round in UTF-16."""
    keys = ["a-b", "a.b", "a/b", "a0", "a\u00e9", "a\uff41", "a\U0001f30d"]
    store = LocalStore(tmp_path)
    for key in reversed(keys):
        store.create(key, b"")
    assert [facts.key for facts in store.list()] == sorted(keys, key=str.encode) == keys


def test_a_store_that_lists_in_no_order_is_compared_all_the_same_and_it_is_said(
    tmp_path: Path,
) -> None:
    root = Path(shutil.move(two_versions(tmp_path / "made"), tmp_path / "store"))
    (root / "tiny/v1.0.0" / TABLE).unlink()
    (root / "tiny/v1.0.0" / CHUNK).write_bytes(b"")
    (root / "tiny/v1.0.0/data/new").write_bytes(b"")
    sorted_ = verify("tiny@1.0.0", LocalStore(root), fast=True)
    found = verify("tiny@1.0.0", Unsorted(root), fast=True)
    assert (
        named(found)
        == named(sorted_)
        == {
            ("missing", TABLE),
            ("bad", CHUNK),
            ("extra", "data/new"),
        }
    )
    assert found.notes == ("the store does not list keys in their order",)
    assert sorted_.notes == ()
