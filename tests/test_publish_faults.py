"""Publishing under faults: crashes at every operation, lost answers, kills, full disks."""

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from scidata.errors import ScidataError, StorageError
from scidata.publishing import publish
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import Crash, Fault, FaultyStore
from scidata.verifying import verify
from tests.samples import write_bare, write_staged

SCIDATA = [sys.executable, "-c", "from scidata.cli import main; main()"]
COMMIT = "bare/versions/1.0.0.json"
MUTABLE = {"index.yaml", "catalog.json", "bare/catalog.yaml", "bare/collection.json"}


def operations(bare: Path) -> int:
    """How many operations an undisturbed publication takes."""
    counting = FaultyStore(MemoryStore())
    publish(bare, counting, version="1.0.0")
    return counting.count


def payload(store: MemoryStore) -> dict[str, bytes]:
    return {f.key: store.read(f.key) for f in store.list("bare/v1.0.0/data/")}


def tag_names(store: MemoryStore) -> set[str]:
    return {f.key for f in store.list() if "/claims/" not in f.key and f.key not in MUTABLE}


def test_a_crash_at_any_operation_shows_no_version_and_is_resumed(bare: Path) -> None:
    undisturbed = MemoryStore()
    digest = publish(bare, undisturbed, version="1.0.0").commit.digest
    for fault in ("crash-before", "crash-after"):
        for at in range(1, operations(bare) + 1):
            memory = MemoryStore()
            faulty = FaultyStore(memory, at=at, fault=fault)
            with pytest.raises(Crash):
                publish(bare, faulty, version="1.0.0")
            if COMMIT in tag_names(memory):  # the crash came after the commit
                assert verify("bare@1.0.0", memory).damage == (), (fault, at)
            resumed = publish(bare, memory, version="1.0.0")
            assert resumed.commit.digest == digest, (fault, at)
            assert payload(memory) == payload(undisturbed), (fault, at)
            left = {k for k in tag_names(memory) if not k.startswith(".scidata-probe/")}
            assert left == tag_names(undisturbed), (fault, at)
            assert verify("bare@1.0.0", memory).damage == (), (fault, at)


def test_nothing_is_visible_before_the_commit(bare: Path) -> None:
    memory = MemoryStore()
    at_commit = FaultyStore(memory, at=1, fault="crash-before", only=("create",), key=COMMIT)
    with pytest.raises(Crash):
        publish(bare, at_commit, version="1.0.0")
    with pytest.raises(ScidataError, match="bare"):
        verify("bare@1.0.0", memory)
    before = {f.key for f in memory.list("bare/v1.0.0/")}
    publish(bare, memory, version="1.0.0")
    assert {f.key for f in memory.list("bare/v1.0.0/")} == before


def test_a_lost_answer_to_the_commit_is_a_success(bare: Path) -> None:
    memory = MemoryStore()
    lossy = FaultyStore(memory, at=1, fault="lost-response", only=("create",), key=COMMIT)
    published = publish(bare, lossy, version="1.0.0")
    assert not published.already
    assert verify("bare@1.0.0", memory).damage == ()


def test_a_commit_that_the_store_refuses_publishes_nothing(bare: Path) -> None:
    memory = MemoryStore()
    busy = FaultyStore(memory, at=1, fault="refused", only=("create",), key=COMMIT)
    with pytest.raises(StorageError, match="busy"):
        publish(bare, busy, version="1.0.0")
    assert COMMIT not in tag_names(memory)
    assert not publish(bare, memory, version="1.0.0").already


@pytest.mark.parametrize("fault", ["lost-response", "precondition"])
def test_no_lost_answer_or_groundless_refusal_of_an_upload_stops_publishing(
    bare: Path, fault: Fault
) -> None:
    for at in range(1, 13):
        memory = MemoryStore()
        faulty = FaultyStore(memory, at=at, fault=fault, only=("create",), key="/v1.0.0/")
        publish(bare, faulty, version="1.0.0")
        assert faulty.count >= at
        assert verify("bare@1.0.0", memory).damage == ()


@pytest.mark.parametrize("fault", ["cut", "flipped"])
def test_bytes_spoilt_once_on_their_way_back_do_not_stop_a_resumed_publication(
    bare: Path, fault: Fault
) -> None:
    class NoDigests(FaultyStore):
        """As a folder, or a server without metadata: bytes must be read to be compared."""

        def head(self, key: str):  # type: ignore[no-untyped-def]  # as the base's
            return replace(super().head(key), digest=None)

    memory = MemoryStore()
    at_commit = FaultyStore(memory, at=1, fault="crash-before", only=("create",), key=COMMIT)
    with pytest.raises(Crash):
        publish(bare, at_commit, version="1.0.0")
    spoiling = NoDigests(memory, at=3, fault=fault, only=("stream",))
    resumed = publish(bare, spoiling, version="1.0.0")
    assert spoiling.count > 3
    assert resumed.uploaded == 0
    assert verify("bare@1.0.0", memory).damage == ()


def test_failing_catalogs_are_a_warning_and_the_version_stands(bare: Path) -> None:
    memory = MemoryStore()
    faulty = FaultyStore(memory, at=1, fault="refused", only=("replace",))
    published = publish(bare, faulty, version="1.0.0")
    assert "scidata index" in published.warnings[0]
    assert verify("bare@1.0.0", memory).damage == ()


# Real processes and disks


def start(staged: Path, url: str) -> subprocess.Popen[bytes]:
    command = [*SCIDATA, "publish", str(staged)]
    return subprocess.Popen(
        [*command, "--version", "1.0.0", "--store", url, "--quiet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_a_killed_process_leaves_no_version_and_the_next_one_continues(tmp_path: Path) -> None:
    staged = write_staged(tmp_path / "tiny")
    for number in range(400):
        (staged / "data" / f"many-{number % 2}").mkdir(exist_ok=True)
        (staged / "data" / f"many-{number % 2}" / f"{number}.bin").write_bytes(bytes(50_000))
    root = tmp_path / "store"
    process = start(staged, str(root))
    deadline = time.monotonic() + 60
    while len(list(root.glob("tiny/v1.0.0/data/many-*/*"))) < 50:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    there = len(list(root.glob("tiny/v1.0.0/data/many-*/*")))
    assert there < 400
    assert not (root / "tiny" / "versions").exists()
    resumed = publish(staged, root, version="1.0.0")
    assert resumed.skipped >= there
    assert resumed.uploaded + resumed.skipped == resumed.commit.files + len(resumed.commit.tags)
    assert verify("tiny@1.0.0", root).damage == ()


@pytest.mark.slow
def test_a_full_disk_stops_with_exit_code_6_and_leaves_no_partial_object(
    bare: Path, tmp_path: Path
) -> None:
    (bare / "data" / "big.bin").write_bytes(bytes(3_000_000))
    root = tmp_path / "store"

    def limit_file_size() -> None:  # as a disk that takes no more than one megabyte
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    command = [*SCIDATA, "publish", str(bare), "--version", "1.0.0"]
    done = subprocess.run(
        [*command, "--store", str(root)],
        preexec_fn=limit_file_size,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    assert b"larger than this disk" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not list(root.rglob("big.bin"))
    assert not (root / "bare" / "versions").exists()
    assert publish(bare, root, version="1.0.0").commit.files == 3


def test_a_disk_that_fills_up_is_a_storage_error(bare: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        (bare / "data" / "big.bin").write_bytes(os.urandom(400_000))
        with pytest.raises(StorageError, match="the disk is full") as caught:
            publish(bare, disk / "store", version="1.0.0")
        assert "free some space" in caught.value.fix
        assert not list((disk / "store").rglob("big.bin"))
        assert not (disk / "store" / "bare" / "versions").exists()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_read_only_folder_is_a_storage_error(bare: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        if os.geteuid() == 0:
            pytest.skip("this user may not mount a disk, and may write everywhere")
        disk.chmod(0o555)
    try:
        with pytest.raises(StorageError, match=r"read-only|permission is denied"):
            publish(bare, disk / "store", version="1.0.0")
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(disk)], check=True)


def test_where_no_folder_can_be_made_the_store_fails_and_nothing_is_said_to_be_absent(
    bare: Path,
) -> None:
    with pytest.raises(StorageError, match="no folder can be made") as caught:
        publish(bare, "/proc/scidata-store", version="1.0.0")
    assert caught.value.exit_code == 6


# A model: publish, crash, resume, two writers


class Publishing(RuleBasedStateMachine):
    """Whatever happens, a committed version keeps its digest and verifies."""

    contents = Bundle("contents")
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.committed: dict[str, str] = {}

    @rule(target=contents, text=st.sampled_from(["a", "b", "c"]))
    def stage(self, text: str) -> Path:
        path = self.folder / text
        return path if path.exists() else write_bare(path, text)

    @rule(staged=contents, version=st.sampled_from(["1.0.0", "1.0.1", "2.0.0"]))
    def publish(self, staged: Path, version: str) -> None:
        try:
            commit = publish(staged, self.store, version=version).commit
        except ScidataError:
            return
        assert self.committed.setdefault(version, commit.digest) == commit.digest

    @rule(
        staged=contents,
        version=st.sampled_from(["1.0.0", "1.0.1", "2.0.0"]),
        at=st.integers(1, 60),
        fault=st.sampled_from(
            ["crash-before", "crash-after", "lost-response", "refused", "precondition"]
        ),
    )
    def publish_with_a_fault(self, staged: Path, version: str, at: int, fault: Fault) -> None:
        faulty = FaultyStore(self.store, at=at, fault=fault)
        with suppress(ScidataError, Crash):
            publish(staged, faulty, version=version)

    @rule(one=contents, two=contents, at=st.integers(12, 40))
    def another_writer_comes_between(self, one: Path, two: Path, at: int) -> None:
        with suppress(ScidataError):
            publish(one, _Interleaved(self.store, at=at, other=two), version="2.0.0")

    @invariant()
    def committed_digests_never_change(self) -> None:
        for key in [f.key for f in self.store.list("bare/versions/")]:
            version = key.split("/")[-1].removesuffix(".json")
            found = verify(f"bare@{version}", self.store)
            assert found.damage == ()
            assert self.committed.setdefault(version, str(found.digest)) == str(found.digest)


class _Interleaved(FaultyStore):
    """At its n-th operation another writer publishes other data under the same number."""

    def __init__(self, store: MemoryStore, *, at: int, other: Path) -> None:
        super().__init__(store, at=at)
        self._other = other

    def _around(self, due, act):  # type: ignore[no-untyped-def]  # as the base's
        if due:
            with suppress(ScidataError):
                publish(self._other, self.store, version="2.0.0")
        return act()


def test_no_sequence_of_publishers_and_faults_harms_a_committed_version(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    class Machine(Publishing):
        folder = tmp_path_factory.mktemp("model")

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
