"""Delta versions: only new bytes are sent, and whether one is made."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import bagit
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scidata.cli.publish import command as publish_command
from scidata.errors import InvalidError
from scidata.publishing import PublishOptions, plan_publish, publish
from scidata.publishing.plan import Plan
from scidata.pulling import pull
from scidata.storage.memory import MemoryStore
from scidata.verifying import verify
from tests.samples import write_bare
from tests.versions import DELTA, Sent, payload_of


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
