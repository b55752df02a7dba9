"""Delta versions: only new bytes are sent, and everybody reads them as any other version."""

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bagit
import intake
import numpy as np
import pytest
import zarr
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scidata
from scidata.cli.publish import command as publish_command
from scidata.digest import Digest
from scidata.errors import ConflictError, IntegrityError, InvalidError, ScidataError
from scidata.mirroring import mirror
from scidata.publishing import PublishOptions, Surroundings, plan_publish, publish
from scidata.publishing.plain import plain_commands
from scidata.publishing.plan import Plan
from scidata.pulling import pull
from scidata.purging import purge
from scidata.repairing import repair
from scidata.resolve import resolve
from scidata.storage import StoreLike, open_store
from scidata.storage.base import ObjectFacts, Store
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import Crash, FaultyStore
from scidata.verifying import verify
from tests.samples import write_bare
from tests.servers import folder_server
from tests.versions import Counting

DELTA = PublishOptions(layout="delta")
SHARD = "data/array.zarr/wave/c/0/0/0"


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Stage these files in place of whatever was staged there."""
    if not folder.exists():
        write_bare(folder)
    shutil.rmtree(folder / "data")
    for name, data in files.items():
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


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


@pytest.fixture
def changed(staged: Path, tmp_path: Path) -> Path:
    """The tiny dataset with one shard changed, a file renamed, one removed and one new."""
    folder = tmp_path / "changed"
    shutil.copytree(staged, folder)
    wave = zarr.open_group(str(folder / "data/array.zarr"), mode="r+")["wave"]
    assert isinstance(wave, zarr.Array)
    wave[:8] = np.float32(7)
    (folder / "data" / "extra").mkdir(exist_ok=True)
    (folder / "data" / "extra" / "notes & more.txt").write_text("ü\n")
    return folder


def publish_both(store: StoreLike, staged: Path, changed: Path, **options: str) -> None:
    (staged / "data" / "extra").mkdir(exist_ok=True)
    (staged / "data" / "extra" / "old name.txt").write_text("renamed\n")
    (staged / "data" / "extra" / "removed.txt").write_text("removed\n")
    (changed / "data" / "extra" / "new name.txt").write_text("renamed\n")
    publish(staged, store, version="1.0.0")
    publish(
        changed,
        store,
        version="1.1.0",
        options=PublishOptions(layout="delta", **options),  # type: ignore[arg-type]  # texts
    )


def payload_of(folder: Path) -> dict[str, bytes]:
    found = (p for p in (folder / "data").rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


# Laws

_NAMES = st.sampled_from(
    ["a.bin", "b.bin", "d/a.bin", "d/b.bin", "e/x.bin", "e/x y.bin", "z.bin"]
)
_BYTES = st.sampled_from([b"", b"1", b"2", b"3" * 1000, b"4" * 1000])
_TREES = st.dictionaries(_NAMES, _BYTES, min_size=1)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees=st.lists(_TREES, min_size=2, max_size=4))
def test_a_delta_sends_the_new_bytes_alone_and_is_the_version_that_was_staged(
    tmp_path_factory: pytest.TempPathFactory, trees: list[dict[str, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("trees")
    store, full, seen = Sent(MemoryStore()), MemoryStore(), set[bytes]()
    for number, files in enumerate(trees):
        staged = write_files(folder / "staged", files)
        before, version = store.payload, f"1.{number}.0"
        done = publish(
            staged, store, version=version, options=DELTA if number else PublishOptions()
        )
        new = sum(len(data) for data in files.values() if data not in seen)
        prefixes = set(done.commit.prefixes)
        assert store.payload - before == done.commit.new_bytes
        parents = set(trees[number - 1].values()) if number else set[bytes]()
        most = sum(len(data) for data in files.values() if data not in parents)
        assert store.payload - before <= most
        assert store.payload - before >= new
        seen |= set(files.values())
        whole = publish(staged, full, version=version, options=PublishOptions(layout="full"))
        assert whole.commit.digest == done.commit.digest
        assert whole.commit.prefixes == (f"v{version}",)
        assert prefixes <= {f"v1.{n}.0" for n in range(number + 1)}
        assert verify(f"bare@{version}", store).damage == ()
        out = folder / f"out-{number}"
        pull(f"bare@{version}", out, store)
        assert payload_of(out) == {f"data/{name}": data for name, data in files.items()}
        assert bagit.Bag(str(out)).is_valid()
        overlaid: dict[str, bytes] = {}
        for prefix in done.commit.prefixes:
            base = f"bare/{prefix}/"
            overlaid |= {f.key.removeprefix(base): store.read(f.key) for f in store.list(base)}
        said = overlaid.get("PARTIAL-VERSION.txt", b"").decode().splitlines()
        gone = {line.removeprefix("remove  ") for line in said if line.startswith("remove  ")}
        left = {p: d for p, d in overlaid.items() if p.startswith("data/") and p not in gone}
        assert left == payload_of(out)
        shutil.rmtree(out)


def test_what_is_inherited_lies_under_its_own_path_and_what_moved_is_copied(
    staged: Path, changed: Path, tmp_path: Path
) -> None:
    store = Sent(open_store(tmp_path / "store"))
    publish_both(store, staged, changed)
    commit = resolve("tiny@1.1.0", store)
    sent = [r for r in store.requests if r.startswith("create tiny/v1.1.0/data/")]
    assert sorted(sent) == sorted(
        f"create tiny/v1.1.0/{path}" for path in (SHARD, "data/extra/notes & more.txt")
    )
    copied = {r.removeprefix("copy tiny/v1.1.0/") for r in store.requests if r[:4] == "copy"}
    # The array lies whole in the new prefix, so that plain readers open it there.
    assert "data/extra/new name.txt" in copied
    assert all(p.startswith(("data/array.zarr/", "data/extra/new name")) for p in copied)
    hrefs = {asset.key: asset.href for asset in commit.assets}
    assert hrefs["array"] == "v1.1.0/data/array.zarr"
    assert hrefs["table"] == "v1.0.0/data/table.parquet"
    assert hrefs["splits"] == "v1.0.0/data/splits"
    assert (commit.prefixes, commit.new_files) == (("v1.0.0", "v1.1.0"), 2)


def test_a_reverted_file_is_copied_from_the_version_that_had_it(tmp_path: Path) -> None:
    store = Sent(MemoryStore())
    dones = []
    for number, data in enumerate((b"first", b"second", b"first")):
        staged = write_files(tmp_path / "staged", {"a.bin": data, "kept.bin": b"kept"})
        options = DELTA if number else None
        dones.append(publish(staged, store, version=f"1.{number}.0", options=options))
    assert (dones[-1].copied, dones[-1].commit.new_bytes) == (1, 0)
    assert dones[-1].commit.prefixes == ("v1.0.0", "v1.2.0")
    assert verify("bare@1.2.0", store).damage == ()


# Which layout


@pytest.mark.parametrize(
    ("version", "layout"), [("1.0.1", "delta"), ("1.1.0", "delta"), ("2.0.0", "full")]
)
def test_minor_versions_and_patches_are_deltas_where_that_saves_much(
    bare: Path, version: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    small = plan_publish(bare, store, version=version)
    assert isinstance(small, Plan)
    assert small.inherited == {}
    monkeypatch.setattr("scidata.publishing.inheritance.WORTH_FILES", 2)
    much = plan_publish(bare, store, version=version)
    assert isinstance(much, Plan)
    assert len(much.inherited) == (2 if layout == "delta" else 0)
    assert len(much.copied) == (0 if layout == "delta" else 2)


def test_a_full_version_copies_inside_the_store_what_older_ones_have(bare: Path) -> None:
    store = Sent(MemoryStore())
    publish(bare, store, version="1.0.0")
    before = store.payload
    done = publish(bare, store, version="2.0.0")
    assert (done.copied, store.payload - before) == (2, 0)
    assert done.commit.prefixes == ("v2.0.0",)


def test_a_version_with_the_data_of_its_parent_says_so_and_no_layout_wins_silently(
    bare: Path, tmp_path: Path
) -> None:
    first = publish(bare, tmp_path / "store", version="1.0.0")
    assert first.commit.repeated is None
    to_store = ["--store", str(tmp_path / "store"), "--version", "1.0.1"]
    both = CliRunner().invoke(publish_command, [str(bare), *to_store, "--delta", "--full"])
    assert (both.exit_code, "not both" in both.output) == (2, True)
    for more in (["--dry-run"], []):
        said = CliRunner().invoke(publish_command, [str(bare), *to_store, "--delta", *more])
        assert "bare@1.0.0: no file is new, changed or gone" in said.output


def test_a_parent_is_chosen_or_refused(bare: Path) -> None:
    store = MemoryStore()
    with pytest.raises(InvalidError, match="no version yet"):
        publish(bare, store, version="1.0.0", options=DELTA)
    publish(bare, store, version="1.0.0")
    publish(bare, store, version="1.1.0")
    older = PublishOptions(parent="1.0.0", layout="delta")
    done = publish(bare, store, version="1.2.0", options=older)
    assert done.commit.parent is not None
    assert (done.commit.parent.version, done.commit.prefixes[0]) == ("1.0.0", "v1.0.0")
    with pytest.raises(InvalidError, match="not an older version") as caught:
        publish(bare, store, version="1.3.0", options=PublishOptions(parent="0.9.0"))
    assert "1.2.0, 1.1.0, 1.0.0" in caught.value.fix


def test_a_damaged_parent_stops_a_delta_and_no_full_version(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    store.delete("bare/v1.0.0/manifest.parquet")
    with pytest.raises(IntegrityError, match=r"manifest\.parquet"):
        publish(bare, store, version="1.1.0", options=DELTA)
    assert publish(bare, store, version="1.1.0").copied == 0
    assert verify("bare@1.1.0", store).damage == ()


def test_a_delta_is_not_committed_on_files_that_the_store_has_lost(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    (bare / "data" / "one.txt").write_text("changed\n")
    store.delete("bare/v1.0.0/data/deep/two.txt")
    with pytest.raises(IntegrityError, match=r"on which bare@1\.1\.0 would rely") as caught:
        publish(bare, store, version="1.1.0", options=DELTA)
    assert [d.path for d in caught.value.damage] == ["bare/v1.0.0/data/deep/two.txt"]
    with pytest.raises(IntegrityError, match="does not hold"):
        publish(write_bare(bare.parent / "again"), store, version="1.0.0")


# Faults


def test_a_crash_at_any_operation_of_a_delta_is_resumed_to_identical_bytes(
    bare: Path, tmp_path: Path
) -> None:
    (bare / "data" / "moved.txt").write_text("moved\n")
    after = tmp_path / "after"
    shutil.copytree(bare, after)
    (after / "data" / "moved.txt").rename(after / "data" / "deep" / "here.txt")
    (after / "data" / "one.txt").write_text("other\n")

    def begun() -> MemoryStore:
        store = MemoryStore()
        publish(bare, store, version="1.0.0")
        return store

    def contents(store: MemoryStore) -> dict[str, bytes]:
        keys = [facts.key for facts in store.list("bare/v")]
        steady = [k for k in keys if "/meta/" not in k and not k.endswith((".md", ".json"))]
        # What holds the time of the claim differs, and with it the list of tag files.
        mutable = ("bag-info.txt", "tagmanifest-sha256.txt")
        return {k: store.read(k) for k in steady if not k.endswith(mutable)}

    undisturbed, counting = begun(), FaultyStore(begun())
    digest = publish(after, undisturbed, version="1.1.0", options=DELTA).commit.digest
    publish(after, counting, version="1.1.0", options=DELTA)
    for fault in ("crash-before", "crash-after"):
        for at in range(1, counting.count + 1):
            store = begun()
            faulty = FaultyStore(store, at=at, fault=fault)
            with pytest.raises(Crash):
                publish(after, faulty, version="1.1.0", options=DELTA)
            resumed = publish(after, store, version="1.1.0", options=DELTA)
            assert resumed.commit.digest == digest, (fault, at)
            assert contents(store) == contents(undisturbed), (fault, at)
            assert verify("bare@1.1.0", store).damage == (), (fault, at)


def test_whoever_continues_a_delta_inherits_what_the_first_claim_said(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    at_commit = FaultyStore(store, at=1, only=("create",), key="versions/1.2.0.json")
    with pytest.raises(Crash):
        publish(bare, at_commit, version="1.2.0", options=DELTA)
    publish(bare, store, version="1.1.0")
    resumed = publish(bare, store, version="1.2.0")
    assert resumed.commit.prefixes == ("v1.0.0", "v1.2.0")
    assert verify("bare@1.2.0", store).damage == ()


@pytest.mark.parametrize(
    "other",
    [
        PublishOptions(layout="full"),
        PublishOptions(parent="1.0.0"),
        PublishOptions(fetch_from="https://example.org/mirror"),
    ],
    ids=["layout", "parent", "address"],
)
def test_an_upload_goes_on_as_it_was_begun_or_not_at_all(
    bare: Path, other: PublishOptions
) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    publish(bare, store, version="1.1.0")
    at_commit = FaultyStore(store, at=1, only=("create",), key="versions/1.2.0.json")
    with pytest.raises(Crash):
        publish(bare, at_commit, version="1.2.0", options=DELTA)
    before = [facts.key for facts in store.list()]
    for act in (publish, plan_publish):
        with pytest.raises(ConflictError, match="so it cannot go on with --") as caught:
            act(bare, store, version="1.2.0", options=other)
        assert "leave out --" in caught.value.fix
    assert [facts.key for facts in store.list()] == before
    planned = plan_publish(bare, store, version="1.2.0")
    assert isinstance(planned, Plan)
    done = publish(bare, store, version="1.2.0")
    assert done.commit.model_copy(update={"commit_id": ""}) == planned.commit.model_copy(
        update={"commit_id": ""}
    )
    assert publish(bare, store, version="1.2.0", options=other).already


def test_nothing_is_committed_that_relies_on_a_version_purged_meanwhile(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    with pytest.raises(Crash):
        publish(
            bare,
            FaultyStore(store, at=1, only=("create",), key="/claims/", fault="crash-after"),
            version="1.1.0",
            options=DELTA,
        )
    # Killed between its status and its first deletion: every file is still there.
    with pytest.raises(Crash):
        purge("bare@1.0.0", "r", FaultyStore(store, at=1, only=("delete",), key="/data/"))
    with pytest.raises(ConflictError, match=r"bare@1\.0\.0, on which bare@1\.1\.0 would rely"):
        publish(bare, store, version="1.1.0")
    assert "bare/versions/1.1.0.json" not in {facts.key for facts in store.list()}
    assert publish(bare, store, version="1.2.0").commit.parent is None


def test_what_a_store_cannot_copy_is_sent(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    refusing = FaultyStore(store, at=1, fault="refused", only=("copy",))
    done = publish(bare, refusing, version="2.0.0")
    assert done.copied == 1
    assert verify("bare@2.0.0", store).damage == ()


def test_a_copy_whose_answer_is_lost_is_no_conflict(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    lossy = FaultyStore(store, at=1, fault="lost-response", only=("copy",))
    publish(bare, lossy, version="2.0.0")
    assert verify("bare@2.0.0", store).damage == ()


class Lagging(FaultyStore):
    """Whose listings do not show some keys for a while."""

    hidden: str
    looks: int

    def list(self, prefix: str = "") -> Iterator[ObjectFacts]:
        shown = list(super().list(prefix))
        if any(self.hidden in facts.key for facts in shown) and self.looks > 0:
            self.looks -= 1
            shown = [facts for facts in shown if self.hidden not in facts.key]
        return iter(shown)


def lagging(store: Store, hidden: str, looks: int) -> Lagging:
    found = Lagging(store)
    found.hidden, found.looks = hidden, looks
    return found


@pytest.mark.parametrize("hidden", ["v1.0.0/data/deep/two.txt", "v1.1.0/data/one.txt"])
def test_a_listing_that_lags_behind_is_looked_at_again(bare: Path, hidden: str) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    (bare / "data/one.txt").write_text("changed\n")
    slow = lagging(store, hidden, 1)
    publish(bare, slow, version="1.1.0", options=DELTA)
    assert slow.looks == 0
    assert verify("bare@1.1.0", store).damage == ()


def test_what_a_listing_hides_for_long_is_never_committed_on(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    (bare / "data/one.txt").write_text("changed\n")
    hiding = lagging(store, "v1.0.0/data/deep/two.txt", 99)
    with pytest.raises(IntegrityError, match="does not hold 1 of the 1 objects"):
        publish(bare, hiding, version="1.1.0", options=DELTA)
    assert publish(bare, store, version="1.1.0").commit.prefixes == ("v1.0.0", "v1.1.0")


def test_a_version_that_a_listing_hides_is_not_published_over(bare: Path) -> None:
    store = MemoryStore()
    publish(bare, store, version="1.0.0")
    (bare / "data/one.txt").write_text("changed\n")
    publish(bare, store, version="1.1.0", options=DELTA)
    before = {facts.key: store.read(facts.key) for facts in store.list("bare/v")}
    (bare / "data/one.txt").write_text("other\n")
    with pytest.raises(ScidataError):
        publish(bare, lagging(store, "versions/1.1.0", 99), version="1.1.0")
    assert {facts.key: store.read(facts.key) for facts in store.list("bare/v")} == before
    # A parent that is not seen yet is not inherited from; the version is sound all the same.
    done = publish(bare, lagging(store, "versions/1.1.0", 1), version="1.2.0", options=DELTA)
    assert done.commit.parent is not None
    assert done.commit.parent.version == "1.0.0"
    assert verify("bare@1.2.0", store).damage == ()


# Judges


@pytest.fixture
def both(staged: Path, changed: Path, tmp_path: Path) -> Path:
    publish_both(tmp_path / "store", staged, changed)
    return tmp_path / "store"


def test_the_printed_commands_lay_the_prefixes_of_a_folder_over_each_other(
    both: Path, changed: Path, tmp_path: Path
) -> None:
    commit = resolve("tiny@1.1.0", both)
    commands = plain_commands(open_store(both).url, commit)
    done = shell(" && ".join(commands), tmp_path)
    assert done.returncode == 0, done.stderr
    assert payload_of(tmp_path / "tiny-1.1.0") == payload_of(changed)
    assert bagit.Bag(str(tmp_path / "tiny-1.1.0")).is_valid()


@pytest.mark.slow
def test_the_printed_commands_lay_the_prefixes_of_a_bucket_over_each_other(
    s3_url: str, s3_endpoint: str, staged: Path, changed: Path, tmp_path: Path
) -> None:
    publish_both(s3_url, staged, changed)
    commit = resolve("tiny@1.1.0", s3_url)
    commands = plain_commands(s3_url, commit, endpoint_url=s3_endpoint)
    assert commands[0].startswith("aws s3 cp --recursive")
    done = shell(" && ".join(commands), tmp_path)
    assert done.returncode == 0, done.stderr
    assert payload_of(tmp_path / "tiny-1.1.0") == payload_of(changed)
    text = open_store(s3_url).read("tiny/v1.1.0/PARTIAL-VERSION.txt").decode()
    assert "remove  data/extra/old name.txt" in text


@pytest.mark.slow
def test_bdbag_resolves_a_delta_from_a_web_server(
    staged: Path, changed: Path, tmp_path: Path
) -> None:
    with folder_server(tmp_path / "store") as url:
        publish_both(tmp_path / "store", staged, changed, fetch_from=url)
        shutil.copytree(tmp_path / "store/tiny/v1.1.0", tmp_path / "bag")
        for step in (["--resolve-fetch", "all"], ["--validate", "full"]):
            done = subprocess.run(
                [str(Path(sys.executable).with_name("bdbag")), *step, "bag"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    assert payload_of(tmp_path / "bag") == payload_of(changed)


def test_the_addresses_in_fetch_txt_are_absolute_and_escaped(both: Path) -> None:
    lines = (both / "tiny/v1.1.0/fetch.txt").read_text().splitlines()
    files = {line.split(" ", 2)[2]: line.split(" ", 2)[0] for line in lines}
    assert "data/table.parquet" in files
    assert all(url.startswith("file://localhost/") for url in files.values())
    assert bagit.Bag(str(both / "tiny/v1.1.0")).missing_optional_tagfiles() is not None


def test_plain_readers_open_a_delta(
    both: Path, s3_url: str, s3_endpoint: str, staged: Path, changed: Path
) -> None:
    publish_both(s3_url, staged, changed)
    for where in (both, s3_url):
        catalog: Any = intake.open_catalog(f"{where}/tiny/catalog-1.1.0.yaml")
        assert (catalog["array"].read()["wave"][:8] == 7).all()
        assert len(catalog["table"].read()) == 24
        assert len(catalog["split-sample-train"].read()) == 16
        found = scidata.open("tiny@1.1.0", where)
        assert (found.to_xarray("array")["wave"][:8] == 7).all()


def test_an_array_that_lost_a_chunk_is_not_read_where_the_chunk_still_lies(
    staged: Path, tmp_path: Path
) -> None:
    publish(staged, tmp_path / "store", version="1.0.0")
    shutil.rmtree((staged / SHARD).parents[1])  # "c/0": no folder may be empty
    publish(staged, tmp_path / "store", version="1.1.0", options=DELTA)
    catalog: Any = intake.open_catalog(str(tmp_path / "store/tiny/catalog-1.1.0.yaml"))
    assert (catalog["array"].read()["wave"][:8] == 0).all()
    assert (
        scidata.open("tiny@1.1.0", tmp_path / "store").to_xarray("array")["wave"][:8] == 0
    ).all()


def test_damage_to_a_file_that_two_versions_share_is_named_in_both_and_mended_in_both(
    bare: Path, tmp_path: Path
) -> None:
    root = tmp_path / "store"
    for version in ("1.0.0", "2.0.0"):  # the second is full, by copies in the store
        publish(bare, root, version=version)
    mirror([], root, to=tmp_path / "mirror")
    with (root / "bare/v1.0.0/data/one.txt").open("r+b") as file:
        file.write(b"rot")
    for name in ("bare@1.0.0", "bare@2.0.0"):
        assert [d.path for d in verify(name, root).damage] == ["data/one.txt"]
        assert repair(name, tmp_path / "mirror", root, replace_damaged=True).sound
        assert verify(name, root).damage == ()


# What is remembered


def settled() -> datetime:
    """A time at which whatever was written until now counts as written long ago."""
    return datetime.now(UTC) + timedelta(minutes=1)


def opened_by(
    staged: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    rehash: bool = False,
    now: Callable[[], datetime] = settled,
) -> set[str]:
    """Publish nothing, and say which staged files were hashed for it."""
    hashed: list[str] = []

    def hash_each(files, **rest):  # type: ignore[no-untyped-def]  # as the original
        for key, path in files:
            hashed.append(key)
            yield from original([(key, path)], **rest)

    from scidata import hashing

    original = hashing.hash_each
    options = PublishOptions(rehash=rehash, surroundings=Surroundings(now=now))
    with monkeypatch.context() as patch:
        patch.setattr(hashing, "hash_each", hash_each)
        plan_publish(staged, MemoryStore(), version="1.0.0", options=options)
    return set(hashed)


def test_files_that_did_not_change_are_not_read_again(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {"data/one.txt", "data/deep/two.txt"}
    assert opened_by(bare, monkeypatch) == both
    assert opened_by(bare, monkeypatch) == set()
    assert opened_by(bare, monkeypatch, rehash=True) == both
    (bare / "data/one.txt").write_text("ONE a\n")  # of the same size
    assert opened_by(bare, monkeypatch) == {"data/one.txt"}
    (bare / "data/one.txt").replace(bare / "data/three.txt")
    assert opened_by(bare, monkeypatch) == {"data/three.txt"}


def test_a_file_that_was_written_just_now_is_read_again(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def just_now() -> datetime:
        return datetime.now(UTC)

    # Another write within the clock's resolution would leave no trace, whatever its mtime says.
    os.utime(bare / "data/one.txt", (1e9, 1e9))
    for _ in range(2):
        assert len(opened_by(bare, monkeypatch, now=just_now)) == 2


def test_a_file_that_was_exchanged_for_another_is_read(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(bare / "data/one.txt", (1e9, 1e9))
    opened_by(bare, monkeypatch)
    (bare / "other").write_text("ONE a\n")
    os.utime(bare / "other", (1e9, 1e9))
    (bare / "other").replace(bare / "data/one.txt")  # same size and time, another inode
    assert opened_by(bare, monkeypatch) == {"data/one.txt"}


def test_other_bytes_under_the_old_time_are_read_and_never_inherited(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, name = MemoryStore(), bare / "data/one.txt"
    os.utime(name, (1e9, 1e9))
    later = PublishOptions(layout="delta", surroundings=Surroundings(now=settled))
    publish(bare, store, version="1.0.0", options=replace(later, layout=None))
    assert opened_by(bare, monkeypatch) == set()
    with name.open("r+") as file:  # same file, same size
        file.write("ONE")
    os.utime(name, (1e9, 1e9))
    done = publish(bare, store, version="1.1.0", options=later)
    assert done.commit.new_files == 1
    assert store.read("bare/v1.1.0/data/one.txt") == b"ONE a\n"


@pytest.mark.parametrize("damage", [b"", b"x", b"cut", b"list"])
def test_a_damaged_memory_counts_as_none(
    bare: Path, isolated_user: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    opened_by(bare, monkeypatch)
    (memory,) = isolated_user.rglob("*.json.z")
    whole = memory.read_bytes()
    spoilt = {b"cut": whole[:-3], b"list": zlib.compress(b'{"files": [1]}')}
    memory.write_bytes(spoilt.get(damage, damage))
    assert len(opened_by(bare, monkeypatch)) == 2
    assert opened_by(bare, monkeypatch) == set()
