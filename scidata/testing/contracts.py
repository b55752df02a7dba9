"""What every store must do, as tests to inherit. Needs pytest.

The memory store is the reference.

A backend's own test class inherits `StoreContract` and offers a fixture ``store`` that returns
an empty, writable store.
"""

# ruff: noqa: S101, PLR2004 - tests assert, and their numbers are their own

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest

from scidata.digest import Digest
from scidata.errors import IntegrityError, InvalidError, NotFoundError
from scidata.storage.base import Store

WRITERS = 8
MIB = 2**20
ESCAPES = ("../x", "a/../../x", "/etc/passwd", "a//b", ".", "", "a/./b", "a\\..\\b", "a\x00b")
ODD_KEYS = ("a b/c d.txt", "é/ü.bin", "x+y=z&w#1~2", "[1]/(2)/{3}", "deep/" * 40 + "end")


class StoreContract:
    """The promises of `scidata.storage.base.Store`."""

    def test_what_create_wrote_can_be_read_streamed_and_headed(self, store: Store) -> None:
        """One object, by every way of reading."""
        assert store.create("a/b.bin", b"hello world")
        assert store.read("a/b.bin") == b"hello world"
        assert b"".join(store.stream("a/b.bin")) == b"hello world"
        assert store.head("a/b.bin").size == 11

    def test_create_leaves_an_existing_object_as_it_was(self, store: Store) -> None:
        """The second writer is told, and nothing is overwritten."""
        assert store.create("x", b"first")
        assert not store.create("x", b"second")
        assert store.read("x") == b"first"

    def test_create_writes_the_bytes_of_a_file(self, store: Store, tmp_path: Path) -> None:
        """A path as source, with its digest."""
        data = bytes(range(256)) * 4096
        (tmp_path / "source").write_bytes(data)
        assert store.create("x", tmp_path / "source", digest=Digest.of(data))
        assert store.read("x") == data

    def test_create_writes_nothing_when_bytes_differ_from_their_digest(
        self, store: Store, tmp_path: Path
    ) -> None:
        """From memory and from a file."""
        (tmp_path / "source").write_bytes(b"changed")
        for source in (b"changed", tmp_path / "source"):
            with pytest.raises(IntegrityError, match="changed after it was measured"):
                store.create("x", source, digest=Digest.of(b"measured"))
        assert list(store.list()) == []

    def test_a_recorded_digest_is_that_of_the_bytes(self, store: Store) -> None:
        """A store may keep none, but never a wrong one."""
        store.create("x", b"data", digest=Digest.of(b"data"))
        assert store.head("x").digest in {None, Digest.of(b"data")}

    def test_of_many_writers_exactly_one_creates(self, store: Store) -> None:
        """Threads race for one key; the winner's bytes are there."""
        payloads = [bytes([n]) * 1000 for n in range(WRITERS)]
        with ThreadPoolExecutor(WRITERS) as pool:
            won = list(pool.map(lambda data: store.create("race/x", data), payloads))
        assert won.count(True) == 1
        assert store.read("race/x") == payloads[won.index(True)]

    def test_copy_gives_bytes_a_second_key_and_leaves_the_first(self, store: Store) -> None:
        """Empty ones, too."""
        for name, data in (("some", bytes(range(256)) * 9), ("none", b"")):
            store.create(f"a/{name}", data, digest=Digest.of(data))
            assert store.copy(f"a/{name}", f"b c/é/{name}")
            assert store.read(f"b c/é/{name}") == store.read(f"a/{name}") == data
            assert store.head(f"b c/é/{name}").digest in {None, Digest.of(data)}
        store.delete("a/some")
        assert store.read("b c/é/some") == bytes(range(256)) * 9

    def test_copy_leaves_an_existing_object_as_it_was(self, store: Store) -> None:
        """Another's, and the source itself."""
        store.create("x", b"first")
        store.create("y", b"second")
        assert not store.copy("x", "y")
        assert not store.copy("x", "x")
        assert (store.read("x"), store.read("y")) == (b"first", b"second")

    def test_of_many_copies_to_one_key_exactly_one_is_made(self, store: Store) -> None:
        """Threads race; the winner's bytes are there."""
        payloads = [bytes([n]) * 1000 for n in range(WRITERS)]
        for number, data in enumerate(payloads):
            store.create(f"from/{number}", data)
        with ThreadPoolExecutor(WRITERS) as pool:
            won = list(pool.map(lambda n: store.copy(f"from/{n}", "race/x"), range(WRITERS)))
        assert won.count(True) == 1
        assert store.read("race/x") == payloads[won.index(True)]

    def test_copy_of_an_absent_object_writes_nothing(self, store: Store) -> None:
        """Nor does one that leaves the store."""
        with pytest.raises(NotFoundError):
            store.copy("no/such", "x")
        store.create("x", b"1")
        with pytest.raises(InvalidError):
            store.copy("x", "../y")
        with pytest.raises(InvalidError):
            store.copy("../x", "y")
        assert [facts.key for facts in store.list()] == ["x"]

    def test_replace_overwrites_and_delete_removes(self, store: Store) -> None:
        """The two verbs for what may change."""
        store.replace("catalog.yaml", b"1")
        store.replace("catalog.yaml", b"22")
        assert store.read("catalog.yaml") == b"22"
        store.delete("catalog.yaml")
        store.delete("catalog.yaml")
        assert list(store.list()) == []
        assert store.create("catalog.yaml", b"3")

    def test_an_absent_object_is_not_found(self, store: Store) -> None:
        """By every way of reading, and the message names the key."""
        with pytest.raises(NotFoundError) as caught:
            store.read("no/such")
        assert "no/such" in str(caught.value)
        with pytest.raises(NotFoundError):
            store.head("no/such")
        with pytest.raises(NotFoundError):
            list(store.stream("no/such"))

    def test_a_folder_is_not_an_object(self, store: Store) -> None:
        """Only whole keys name objects."""
        store.create("a/b", b"1")
        with pytest.raises(NotFoundError):
            store.head("a")

    def test_read_refuses_more_than_its_limit(self, store: Store) -> None:
        """So that a hostile store cannot fill the memory."""
        store.create("big", b"12345")
        assert store.read("big", limit=5) == b"12345"
        with pytest.raises(InvalidError, match="5 bytes are more than the 4"):
            store.read("big", limit=4)

    def test_stream_starts_anywhere(self, store: Store) -> None:
        """Beginning, middle, end and past the end."""
        data = bytes(range(256)) * (5 * MIB // 256)
        store.create("big", data)
        for start in (0, 1, 4 * MIB - 1, 4 * MIB, len(data) - 1, len(data), len(data) + 9):
            assert b"".join(store.stream("big", start=start)) == data[start:], start

    def test_stream_yields_blocks_of_bounded_size(self, store: Store) -> None:
        """Memory stays small whatever the object's size."""
        store.create("big", bytes(9 * MIB))
        assert max(len(block) for block in store.stream("big")) <= 4 * MIB

    def test_an_empty_object_is_an_object(self, store: Store) -> None:
        """Zero bytes are stored like any others."""
        assert store.create("empty", b"")
        assert (store.read("empty"), list(store.stream("empty"))) == (b"", [])

    def test_list_yields_keys_in_order_with_sizes(self, store: Store) -> None:
        """A folder sorts by its whole keys: 'a-b' comes before 'a/b'."""
        for number, key in enumerate(["b", "a/b", "a-b", "a.b", "a/a/a", "aa", "A"]):
            store.create(key, bytes(number))
        listed = [(facts.key, facts.size) for facts in store.list()]
        assert [key for key, _ in listed] == ["A", "a-b", "a.b", "a/a/a", "a/b", "aa", "b"]
        assert dict(listed)["aa"] == 5

    def test_list_takes_the_beginning_of_a_key(self, store: Store) -> None:
        """A folder, a part of a name, or nothing that exists."""
        for key in (
            "d/claims/1.0.0.json",
            "d/claims/1.0.0.2.json",
            "d/claims/1.0.01.json",
            "e",
        ):
            store.create(key, b"")
        found = [facts.key for facts in store.list("d/claims/1.0.0.")]
        assert found == ["d/claims/1.0.0.2.json", "d/claims/1.0.0.json"]
        assert len(list(store.list("d/"))) == 3
        assert list(store.list("nothing/")) == []

    def test_folders_are_the_first_parts_of_keys_that_have_several(self, store: Store) -> None:
        """What may be a dataset, without listing what lies in it."""
        assert store.lists
        for key in ("b/x", "a-b/x/y", "a/x", "a/y", "file"):
            store.create(key, b"1")
        assert store.folders() == ("a", "a-b", "b")

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_odd_but_allowed_keys_survive(self, store: Store, key: str) -> None:
        """Blanks, other scripts and signs that URLs escape."""
        assert store.create(key, b"odd")
        assert store.read(key) == b"odd"
        assert [facts.key for facts in store.list()] == [key]

    @pytest.mark.parametrize("key", ESCAPES)
    def test_keys_that_leave_the_store_are_refused(self, store: Store, key: str) -> None:
        """By every verb that takes a key."""
        with pytest.raises(InvalidError):
            store.create(key, b"")
        with pytest.raises(InvalidError):
            store.read(key)
        with pytest.raises(InvalidError):
            store.replace(key, b"")
        with pytest.raises(InvalidError):
            store.delete(key)

    def test_the_view_for_arrays_reads_below_a_prefix(self, store: Store) -> None:
        """What Zarr and the streaming engine read through."""
        store.create("d/v1.0.0/data/a.zarr/zarr.json", b"{}")
        view = store.objects("d/v1.0.0/data/a.zarr")
        assert bytes(obstore.get(view, "zarr.json").bytes()) == b"{}"
