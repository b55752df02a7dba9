"""Delta versions as everybody else reads them: by plain commands, BagIt, and catalogs."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import bagit
import intake
import numpy as np
import pytest
import zarr

import scidata
from scidata.mirroring import mirror
from scidata.publishing import PublishOptions, publish
from scidata.publishing.plain import plain_commands
from scidata.repairing import repair
from scidata.resolve import resolve
from scidata.storage import StoreLike, open_store
from scidata.verifying import verify
from tests.servers import folder_server
from tests.versions import DELTA, Sent, payload_of

SHARD = "data/array.zarr/wave/c/0/0/0"


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


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


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
