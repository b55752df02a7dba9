"""A pull brings right bytes or none, resumes, and never leaves its folder."""

import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bagit
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scidata.digest import Digest
from scidata.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from scidata.fetch import PART, Fetch, fetch
from scidata.hashing import Meter
from scidata.parallel import each
from scidata.pull import plan_pull, pull
from scidata.resolve import resolve
from scidata.storage import open_store
from scidata.storage.base import Store
from scidata.storage.local import LocalStore
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import Crash, Fault, FaultyStore
from scidata.verify import verify
from scidata.version import commit_bytes
from tests.samples import write_staged
from tests.versions import Counting, write_version

MANIFEST = "manifest-sha256.txt"
TABLE = "data/table.parquet"
CHUNK = "data/array.zarr/wave/c/1/0/0"
BIG = "data/big.bin"
BIG_BYTES = 24 * 2**20


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in a folder with tiny 1.0.0 and 1.1.0; in the latter one file is 24 MiB."""
    root = tmp_path_factory.mktemp("published")
    staged = write_staged(root / "staged")
    write_version(LocalStore(root / "store"), staged, "1.0.0")
    (staged / BIG).write_bytes(os.urandom(BIG_BYTES))
    write_version(LocalStore(root / "store"), staged, "1.1.0")
    return root / "store"


@pytest.fixture
def memory(published: Path) -> Store:
    """The same versions in memory, where tests may damage them."""
    store = MemoryStore()
    for facts in LocalStore(published).list():
        store.create(facts.key, published / facts.key)
    return store


def files(folder: Path) -> dict[str, bytes]:
    paths = [p for p in folder.rglob("*") if p.is_file()]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


def test_a_pulled_version_is_the_published_bag_byte_for_byte(
    published: Path, tmp_path: Path
) -> None:
    pulled = pull("tiny@1.0.0", tmp_path / "out", published)
    assert files(tmp_path / "out") == files(published / "tiny/v1.0.0")
    assert (pulled.fetched, pulled.partial, pulled.name) == (11, False, "tiny@1.0.0")
    bagit.Bag(str(tmp_path / "out")).validate()
    assert verify(tmp_path / "out", published).sound


def test_pulling_again_fetches_nothing(published: Path, tmp_path: Path) -> None:
    first = pull("tiny@1.0.0", tmp_path / "out", published)
    again = pull("tiny@1.0.0", tmp_path / "out", published)
    assert (again.fetched, again.files, again.bytes) == (0, first.files, first.bytes)


def test_a_file_of_the_right_size_and_time_is_not_taken_for_right(
    published: Path, tmp_path: Path
) -> None:
    pull("tiny@1.0.0", tmp_path / "out", published)
    there = tmp_path / "out" / CHUNK
    stamp = there.stat()
    there.write_bytes(bytes(stamp.st_size))
    os.utime(there, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    again = pull("tiny@1.0.0", tmp_path / "out", published)
    assert again.replaced == (CHUNK,)
    assert verify(tmp_path / "out", published).sound


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_pull_repairs_any_damage_of_a_copy(
    published: Path, tmp_path: Path, data: st.DataObject
) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    for file in sorted(p for p in out.rglob("*") if p.is_file()):
        act = data.draw(st.sampled_from(["keep", "keep", "delete", "flip", "truncate"]))
        if act == "delete" and file.name != MANIFEST:
            file.unlink()
        elif act == "flip" and file.name != MANIFEST:
            whole = file.read_bytes()
            file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
        elif act == "truncate" and file.name != MANIFEST:
            file.write_bytes(file.read_bytes()[:3])
    pull("tiny@1.0.0", out, published)
    assert files(out) == files(published / "tiny/v1.0.0")


def test_a_damaged_manifest_is_repaired_too(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    (out / MANIFEST).write_bytes((out / MANIFEST).read_bytes()[:-1])
    pull("tiny@1.0.0", out, published)
    assert verify(out, published).sound


def test_a_partial_copy_is_no_bag_and_lists_what_it_holds(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pulled = pull("tiny@1.0.0", out, published, assets=["table"], globs=["data/splits/*"])
    assert pulled.partial
    assert pulled.files == 3
    with pytest.raises(bagit.BagError):
        bagit.Bag(str(out))
    listed = [
        line.split("  ")[1]
        for line in (out / "partial-sha256.txt").read_text().split("\n")[:-1]
    ]
    assert listed == sorted(
        [TABLE, "data/splits/sample/train.txt", "data/splits/sample/validation.txt"]
    )
    check = ["sha256sum", "--quiet", "-c", "partial-sha256.txt"]
    subprocess.run(check, cwd=out, check=True)
    found = verify(out, published)
    assert found.sound
    assert "a partial copy: 3 of 11 files of the version" in found.notes
    (out / TABLE).unlink()
    assert [d.path for d in verify(out).damage] == [TABLE]


def test_a_partial_copy_grows_until_it_is_whole(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published, assets=["table"])
    grown = pull("tiny@1.0.0", out, published, assets=["array"])
    assert grown.partial
    assert verify(out).sound
    whole = pull("tiny@1.0.0", out, published)
    assert (whole.partial, whole.fetched) == (False, 3)
    assert files(out) == files(published / "tiny/v1.0.0")


def test_a_whole_copy_stays_whole_when_part_of_it_is_pulled_again(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    assert not pull("tiny@1.0.0", out, published, assets=["table"]).partial
    assert files(out) == files(published / "tiny/v1.0.0")


def test_an_unknown_asset_is_answered_with_those_that_exist(
    published: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="no asset 'tables'") as caught:
        pull("tiny@1.0.0", tmp_path / "out", published, assets=["tables"])
    assert "table" in caught.value.fix
    with pytest.raises(NotFoundError, match="matches"):
        pull("tiny@1.0.0", tmp_path / "out", published, globs=["*.nc"])
    assert not (tmp_path / "out").exists()


def test_the_plan_writes_nothing_and_says_what_the_pull_then_does(
    published: Path, tmp_path: Path
) -> None:
    plan = plan_pull("tiny@1.0.0", tmp_path / "out", published, assets=["array"])
    assert not (tmp_path / "out").exists()
    pulled = pull("tiny@1.0.0", tmp_path / "out", published, assets=["array"])
    assert (len(plan.fetches), plan.bytes) == (pulled.fetched, pulled.fetched_bytes)


def test_a_folder_that_holds_another_version_is_refused_by_name(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    before = files(out)
    with pytest.raises(ConflictError, match=r"holds tiny@1\.0\.0, not tiny@1\.1\.0"):
        pull("tiny@1.1.0", out, published)
    assert files(out) == before


def test_a_folder_with_other_files_is_refused(published: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConflictError, match="is not empty"):
        pull("tiny@1.0.0", tmp_path, published)
    with pytest.raises(ConflictError, match="is not a folder"):
        pull("tiny@1.0.0", tmp_path / "thesis.txt", published)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    (out / "data/mine.txt").write_text("mine")
    with pytest.raises(ConflictError, match=r"data/mine\.txt"):
        pull("tiny@1.0.0", out, published)


@pytest.mark.parametrize("link", ["data", "data/array.zarr", TABLE, "meta", TABLE + PART])
def test_a_link_in_the_destination_is_never_followed(
    published: Path, tmp_path: Path, link: str
) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    shutil.copytree(published / "tiny/v1.0.0", out)
    outside.mkdir()
    if (out / link).is_dir():
        shutil.rmtree(out / link)
    else:
        (out / link).unlink(missing_ok=True)
    (out / link).symlink_to(outside)
    with pytest.raises(ConflictError, match=re.escape(repr(link))):
        pull("tiny@1.0.0", out, published)
    assert list(outside.iterdir()) == []


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
        start = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        for begin in range(start, len(data), 2**18):
            block = data[begin : begin + 2**18]
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
    def handler(*arguments: object) -> Throttled:
        return Throttled(*arguments, directory=str(folder))  # type: ignore[arg-type] # passed on

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def command(*arguments: str | Path) -> list[str]:
    program = [sys.executable, "-c", "from scidata.cli import main; main()"]
    return program + [str(argument) for argument in arguments]


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


def test_a_version_on_s3_is_pulled_and_its_progress_told(
    published: Path, s3_url: str, tmp_path: Path
) -> None:
    store = open_store(s3_url)
    for facts in LocalStore(published).list("tiny/"):
        store.create(facts.key, published / facts.key)
    told: list[tuple[int, int]] = []
    pulled = pull(
        "tiny",
        tmp_path / "out",
        s3_url,
        progress=lambda done, total: told.append((done, total)),
    )
    assert pulled.name == "tiny@1.1.0"
    assert told[-1] == (pulled.bytes, pulled.bytes)
    assert files(tmp_path / "out") == files(published / "tiny/v1.1.0")


def test_the_verb_names_the_folder_after_the_version(published: Path, tmp_path: Path) -> None:
    arguments = ("pull", "tiny@1.0.0", "--store", published, "--json")
    dry = subprocess.run(
        command(*arguments, "--dry-run"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(dry.stdout)["fetched"] == 11
    assert list(tmp_path.iterdir()) == []
    done = subprocess.run(
        command(*arguments), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    document = json.loads(done.stdout)
    assert document["schema"] == "scidata-pull/1"
    assert document["destination"] == "tiny-1.0.0"
    assert verify(tmp_path / "tiny-1.0.0", published).sound


def test_the_verb_exits_with_7_for_a_folder_of_another_version(
    published: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pull("tiny@1.0.0", out, published)
    arguments = command("pull", "tiny", "--store", published, "--out", out)
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert "one folder for each version" in done.stderr
