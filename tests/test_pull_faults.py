"""Whatever goes wrong, a pull brings right bytes or none, resumes, and stays in its folder."""

import errno
import functools
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bagit
import pytest

from scidata.digest import Digest
from scidata.errors import (
    IntegrityError,
    InvalidError,
    StorageError,
)
from scidata.hashing import Meter
from scidata.parallel import each
from scidata.pulling import durable, pull
from scidata.pulling.durable import Durable
from scidata.pulling.fetch import PART, Fetch, fetch
from scidata.resolve import read_manifest, resolve
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.testing.faults import Crash, Fault, FaultyStore
from scidata.verifying import verify
from scidata.version import commit_bytes
from tests.damage import (
    BIG,
    BIG_BYTES,
    CHUNK,
    MANIFEST,
    TABLE,
    command,
    files,
    in_memory,
    with_big_file,
)
from tests.servers import listening
from tests.versions import Counting


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tiny@1.0.0 and tiny@1.1.0; in the latter one file is 24 MiB."""
    return with_big_file(tmp_path_factory.mktemp("published"))


@pytest.fixture
def memory(published: Path, tmp_path: Path) -> Store:
    """The same versions in memory, where tests may damage them."""
    return in_memory(published, tmp_path)


def test_a_link_that_appears_while_a_file_is_fetched_is_not_written_through(
    memory: Store, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "file.part").symlink_to(tmp_path / "victim")
    item = Fetch(path="file", key="k", digest=Digest.of(b"theirs"), size=6)
    memory.create("k", b"theirs")
    with pytest.raises(StorageError, match="cannot write"):
        fetch(memory, item, tmp_path, Meter(0, None), threading.Event())
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_failure_stops_the_other_transfers_at_their_next_block() -> None:
    stop, begun = threading.Event(), threading.Event()

    def work(number: int) -> bool:
        if number == 0:
            begun.wait(10)
            raise StorageError("gone", where="here", fix="wait")
        begun.set()
        return stop.wait(10)

    began = time.monotonic()
    with pytest.raises(StorageError):
        list(each(work, range(2), stop=stop))
    assert time.monotonic() - began < 5


def test_a_manifest_path_that_leaves_the_folder_is_refused(
    memory: Store, tmp_path: Path
) -> None:
    """Everything agrees with everything else, but one path is an attack."""
    commit = resolve("tiny@1.0.0", memory)
    key = f"tiny/v1.0.0/{MANIFEST}"
    forged = memory.read(key).replace(b"data/table", b"data/../../table")
    digest = Digest.of(forged)
    memory.replace(key, forged)
    tag = commit.tags[f"v1.0.0/{MANIFEST}"].model_copy(
        update={"sha256": digest.hex, "size": len(forged)}
    )
    tags = {**commit.tags, f"v1.0.0/{MANIFEST}": tag}
    changed = commit.model_copy(update={"digest": str(digest), "tags": tags})
    memory.replace("tiny/versions/1.0.0.json", commit_bytes(changed))
    with pytest.raises(InvalidError, match="leaves its folder"):
        pull("tiny@1.0.0", tmp_path / "deep/out", memory)
    assert not (tmp_path / "deep").exists()
    with pytest.raises(InvalidError, match="leaves its folder"):
        verify("tiny@1.0.0", memory)


@pytest.mark.parametrize("vouched", [True, False])
def test_a_hostile_manifest_of_a_folder_is_invalid_if_its_digest_vouches_for_it_else_damage(
    memory: Store, tmp_path: Path, vouched: bool
) -> None:
    copy = pull("tiny@1.0.0", tmp_path / "copy", memory).destination
    forged = (copy / MANIFEST).read_bytes().replace(b"data/table", b"data/../../table")
    (copy / MANIFEST).write_bytes(forged)
    if vouched:
        facts = json.loads((copy / "meta/facts.json").read_bytes())
        facts["digest"] = str(Digest.of(forged))
        (copy / "meta/facts.json").write_text(json.dumps(facts))
        with pytest.raises(InvalidError, match="leaves its folder"):
            verify(copy)
        with pytest.raises(InvalidError, match="leaves its folder"):
            verify(copy, digest=Digest.of(forged))
    else:
        assert MANIFEST in {item.path for item in verify(copy).damage}
        assert MANIFEST in {item.path for item in verify(copy, memory).damage}


@pytest.mark.parametrize("verb", ["read", "stream"])
def test_a_byte_flipped_on_the_way_is_fetched_again(
    memory: Store, tmp_path: Path, verb: str
) -> None:
    key = BIG if verb == "stream" else CHUNK
    store = FaultyStore(memory, at=1, fault="flipped", only=(verb,), key=key)
    pull("tiny@1.1.0", tmp_path / "out", store)
    assert store.count == 2
    assert verify(tmp_path / "out", memory).sound


@pytest.mark.parametrize("verb", ["read", "stream"])
def test_a_body_that_is_cut_off_is_fetched_again(
    memory: Store, tmp_path: Path, verb: str
) -> None:
    key = BIG if verb == "stream" else CHUNK
    store = FaultyStore(memory, at=1, fault="cut", only=(verb,), key=key)
    pull("tiny@1.1.0", tmp_path / "out", store)
    assert verify(tmp_path / "out", memory).sound


@pytest.mark.parametrize("path", [CHUNK, BIG])
def test_an_object_that_stays_wrong_is_named_and_everything_else_arrives(
    memory: Store, tmp_path: Path, path: str
) -> None:
    key, out = f"tiny/v1.1.0/{path}", tmp_path / "out"
    right = memory.read(key)
    memory.replace(key, right[:-1] + bytes([right[-1] ^ 1]))
    memory.delete(f"tiny/v1.1.0/{TABLE}")
    with pytest.raises(IntegrityError) as caught:
        pull("tiny@1.1.0", out, memory)
    assert {(d.state, d.path) for d in caught.value.damage} == {
        ("bad", path),
        ("missing", TABLE),
    }
    assert not (out / path).exists()
    assert not (out / (path + PART)).exists()
    assert not (out / "bagit.txt").exists()
    # Mended, the same command fetches what was wrong, and nothing else.
    memory.replace(key, right)
    table = (pull("tiny@1.0.0", tmp_path / "old", memory).destination / TABLE).read_bytes()
    memory.create(f"tiny/v1.1.0/{TABLE}", table)
    assert pull("tiny@1.1.0", out, memory).fetched == 2
    assert verify(out, memory).sound


@pytest.mark.parametrize("size", [1, 9 * 2**20])
def test_an_object_larger_than_published_does_not_fill_the_disk(
    memory: Store, tmp_path: Path, size: int
) -> None:
    key = f"tiny/v1.1.0/{BIG}"
    memory.replace(key, memory.read(key) + bytes(size))
    with pytest.raises(IntegrityError, match=r"big\.bin") as caught:
        pull("tiny@1.1.0", tmp_path / "out", memory)
    assert caught.value.damage[0].found == f"more than {BIG_BYTES} bytes"


@pytest.mark.parametrize("fault", ["crash-before", "refused", "crash-after"])
@pytest.mark.parametrize("at", range(1, 24, 3))
def test_a_pull_that_fails_at_any_request_can_be_continued(
    memory: Store, tmp_path: Path, at: int, fault: Fault
) -> None:
    store = FaultyStore(memory, at=at, fault=fault)
    out = tmp_path / "out"
    with pytest.raises((Crash, StorageError)):
        pull("tiny@1.0.0", out, store)
    right = files_of(memory)
    for path, data in files(out).items() if out.exists() else ():
        assert path.endswith(PART) or data == right[path], path
    pull("tiny@1.0.0", out, memory)
    assert files(out) == right


def files_of(store: Store) -> dict[str, bytes]:
    prefix = "tiny/v1.0.0/"
    return {f.key.removeprefix(prefix): store.read(f.key) for f in store.list(prefix)}


def test_the_file_that_makes_the_folder_a_bag_comes_last(memory: Store, tmp_path: Path) -> None:
    store = FaultyStore(memory, at=1, fault="crash-before", key="bagit.txt")
    with pytest.raises(Crash):
        pull("tiny@1.0.0", tmp_path / "out", store)
    with pytest.raises(bagit.BagError):
        bagit.Bag(str(tmp_path / "out"))


def test_a_part_that_was_begun_is_continued_where_it_ends(
    published: Path, tmp_path: Path
) -> None:
    store, out = Counting(open_store(published)), tmp_path / "out"
    whole = (published / "tiny/v1.1.0" / BIG).read_bytes()
    (out / "data").mkdir(parents=True)
    shutil.copy(published / "tiny/v1.1.0" / MANIFEST, out)
    (out / (BIG + PART)).write_bytes(whole[:10_000_000])
    pull("tiny@1.1.0", out, store)
    assert f"stream tiny/v1.1.0/{BIG} from 10000000" in store.requests
    assert (out / BIG).read_bytes() == whole


@pytest.mark.parametrize("part", [b"wrong bytes", bytes(BIG_BYTES), bytes(BIG_BYTES + 1)])
def test_a_part_with_wrong_bytes_is_started_again(
    published: Path, tmp_path: Path, part: bytes
) -> None:
    out = tmp_path / "out"
    (out / "data").mkdir(parents=True)
    shutil.copy(published / "tiny/v1.1.0" / MANIFEST, out)
    (out / (BIG + PART)).write_bytes(part)
    pull("tiny@1.1.0", out, published)
    assert verify(out, published).sound


class Throttled(http.server.SimpleHTTPRequestHandler):
    """Serves a folder with ranges; slowly once `slow` is set. Counts the bytes of big files."""

    protocol_version = "HTTP/1.1"
    sent = 0
    slow = threading.Event()

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        first, _, last = (self.headers.get("Range") or "bytes=0-")[6:].partition("-")
        start, stop = int(first), min(int(last or len(data)) + 1, len(data))
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        for begin in range(start, stop, 2**18):
            block = data[begin : min(begin + 2**18, stop)]
            try:
                self.wfile.write(block)
            except OSError:  # the reader was killed
                return
            if len(data) == BIG_BYTES:
                type(self).sent += len(block)
                if self.slow.is_set():
                    time.sleep(0.02)

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def throttled(folder: Path) -> Iterator[str]:
    with listening(functools.partial(Throttled, directory=str(folder))) as url:
        yield url


def test_a_killed_pull_fetches_only_what_had_not_arrived(
    published: Path, tmp_path: Path
) -> None:
    out, part = tmp_path / "out", tmp_path / "out" / (BIG + PART)
    with throttled(published) as url:
        Throttled.sent = 0
        Throttled.slow.set()
        pulling = command("pull", "tiny@1.1.0", "--store", url, "--out", out)
        with subprocess.Popen(pulling, stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                if part.exists() and part.stat().st_size > BIG_BYTES // 3:
                    break
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        kept = part.stat().st_size
        assert BIG_BYTES // 3 < kept < BIG_BYTES
        assert not (out / BIG).exists()
        Throttled.slow.clear()
        time.sleep(0.2)  # the server notices that its reader is gone
        Throttled.sent = 0
        subprocess.run(pulling, check=True, stdout=subprocess.DEVNULL)
        assert Throttled.sent == BIG_BYTES - kept
    assert verify(out, published).sound


def test_a_full_disk_is_said_in_words_and_nothing_is_lost(
    published: Path, tmp_path: Path
) -> None:
    """A process may write 10 MB to a file: the next write fails as it does on a full disk."""
    out = tmp_path / "out"
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (10**7, 10**7)); "
    program = limit + "from scidata.cli import main; main()"
    arguments = ["pull", "tiny@1.1.0", "--store", str(published), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 6, done.stderr
    assert "free some space" in done.stderr
    assert (out / (BIG + PART)).stat().st_size == 10**7
    pull("tiny@1.1.0", out, published)
    assert verify(out, published).sound


def test_a_disk_that_is_too_small_is_noticed_before_anything_is_fetched(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=BIG_BYTES - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(StorageError, match="the disk has"):
        pull("tiny@1.1.0", tmp_path / "out", published)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_destination_is_a_storage_error(published: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="cannot write"):
        pull("tiny@1.0.0", tmp_path / "out", published)


def test_an_index_of_sizes_for_other_files_is_refused(memory: Store, tmp_path: Path) -> None:
    commit = resolve("tiny@1.0.0", memory)
    key = "v1.0.0/manifest.parquet"
    other = memory.read("tiny/v1.1.0/manifest.parquet")
    memory.replace(f"tiny/{key}", other)
    tag = commit.tags[key].model_copy(
        update={"sha256": Digest.of(other).hex, "size": len(other)}
    )
    changed = commit.model_copy(update={"tags": {**commit.tags, key: tag}})
    memory.replace("tiny/versions/1.0.0.json", commit_bytes(changed))
    with pytest.raises(InvalidError, match="lists other files"):
        pull("tiny@1.0.0", tmp_path / "out", memory)


@pytest.mark.parametrize("system", ["syncs a whole disk", "syncs files alone"])
def test_a_folder_becomes_a_bag_only_after_all_its_files_are_on_the_disk(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    out, synced = tmp_path / "out", set[str]()
    settle, sync = Durable.settle, os.fsync

    def noted(file: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{file}").readlink()))
        sync(file)

    def failing(disk: Durable, paths: Iterable[Path]) -> None:
        listed = list(paths)
        assert {path.relative_to(out).as_posix() for path in listed} == set(manifest)
        assert all(path.is_file() for path in listed)
        settle(disk, listed)
        if system == "syncs files alone":
            assert {str(path) for path in listed} <= synced
            assert str(out / "data") in synced
        raise OSError(errno.EIO, "Input/output error")

    manifest = read_manifest(open_store(published), resolve("tiny@1.1.0", published))
    if system == "syncs files alone":
        monkeypatch.setattr(durable, "_of_the_system", lambda name: None)
    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(Durable, "settle", failing)
    with pytest.raises(StorageError, match="Input/output error"):
        pull("tiny@1.1.0", out, published)
    assert not (out / "bagit.txt").exists()
    monkeypatch.undo()
    assert pull("tiny@1.1.0", out, published).fetched == 0
    assert verify(out, published).sound
