"""Outside judges of a published version: coreutils, bagit, the AWS command line, rclone."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import scidata
from scidata.publishing import Published, PublishOptions, publish
from scidata.publishing.plain import plain_commands
from scidata.resolve import resolve
from scidata.storage import open_store
from scidata.verifying import verify

SCIDATA = [sys.executable, "-c", "from scidata.cli import main; main()"]
RECOMPUTE = "find data -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"


@pytest.fixture
def published(staged: Path, tmp_path: Path) -> Published:
    return publish(staged, tmp_path / "store", version="1.0.0")


@pytest.fixture
def bag(published: Published, tmp_path: Path) -> Path:
    return tmp_path / "store" / published.commit.dataset / published.commit.prefixes[0]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_coreutils_recompute_the_digest_of_a_version(bag: Path, published: Published) -> None:
    recomputed = shell(RECOMPUTE, bag).stdout.split()[0]
    assert f"sha256:{recomputed}" == published.commit.digest


def test_coreutils_find_the_version_sound_and_a_changed_byte_unsound(bag: Path) -> None:
    assert shell("sha256sum --quiet -c manifest-sha256.txt", bag).returncode == 0
    assert shell("sha256sum --quiet -c tagmanifest-sha256.txt", bag).returncode == 0
    table = bag / "data" / "table.parquet"
    data = bytearray(table.read_bytes())
    data[100] ^= 1
    table.write_bytes(data)
    unsound = shell("sha256sum --quiet -c manifest-sha256.txt", bag)
    assert unsound.returncode == 1
    assert "data/table.parquet: FAILED" in unsound.stdout


def test_bagit_finds_the_version_a_valid_bag_and_a_missing_file_invalid(bag: Path) -> None:
    command = f"{sys.executable} -m bagit --validate ."
    assert shell(command, bag).returncode == 0
    (bag / "data" / "table.parquet").unlink()
    assert shell(command, bag).returncode == 1


def test_the_printed_commands_fetch_and_check_a_version_from_a_folder(
    published: Published, tmp_path: Path
) -> None:
    commands = plain_commands(open_store(tmp_path / "store").url, published.commit)
    done = shell(" && ".join(commands), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "manifest-sha256.txt: OK" in done.stdout


@pytest.mark.slow
def test_the_printed_commands_fetch_and_check_a_version_from_s3(
    staged: Path, s3_url: str, tmp_path: Path
) -> None:
    commit = publish(staged, s3_url, version="1.0.0").commit
    done = shell(" && ".join(plain_commands(s3_url, commit)), tmp_path)
    assert done.returncode == 0, done.stderr
    assert verify(tmp_path / "tiny-1.0.0", s3_url).damage == ()


@pytest.mark.slow
def test_the_printed_commands_notice_an_older_version_that_sync_left_in_the_folder(
    bare: Path, s3_url: str, tmp_path: Path
) -> None:
    first = publish(bare, s3_url, version="1.0.0").commit
    (bare / "data" / "one.txt").write_text("one b\n")  # as long as before
    second = publish(bare, s3_url, version="1.1.0").commit
    assert shell(" && ".join(plain_commands(s3_url, first)), tmp_path).returncode == 0
    (tmp_path / "bare-1.0.0").rename(tmp_path / "bare-1.1.0")
    done = shell(" && ".join(plain_commands(s3_url, second)), tmp_path)
    assert done.returncode == 1
    assert "manifest-sha256.txt: FAILED" in done.stdout


@pytest.mark.slow
def test_a_server_that_ignores_conditions_is_refused_then_accepted_for_a_single_writer(
    staged: Path, rclone_url: str, tmp_path: Path
) -> None:
    command = [*SCIDATA, "publish", str(staged), "--version", "1.0.0", "--store", rclone_url]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 6, refused.stderr
    assert "overwrites an existing object" in refused.stderr
    assert "--single-writer" in refused.stderr
    accepted = subprocess.run([*command, "--single-writer"], capture_output=True, check=False)
    assert accepted.returncode == 0, accepted.stderr
    commit = resolve("tiny@1.0.0", rclone_url)
    assert commit.unsafe_store
    assert verify("tiny@1.0.0", rclone_url).damage == ()
    # It also answers a range with the whole object.
    wave = scidata.open("tiny@1.0.0", rclone_url).to_xarray("array")["wave"].values
    local = xr.open_zarr(staged / "data" / "array.zarr")["wave"].values
    assert np.array_equal(wave, local, equal_nan=True)
    done = shell(" && ".join(plain_commands(rclone_url, commit)), tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_wrong_endpoint_ends_with_exit_code_6_and_names_it(bare: Path, s3_url: str) -> None:
    done = subprocess.run(
        [*SCIDATA, "publish", str(bare), "--version=1.0.0", f"--store={s3_url}"],
        env=os.environ | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )
    assert done.returncode == 6
    assert "http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_large_file_reaches_s3_in_parts_and_verifies(bare: Path, s3_url: str) -> None:
    with (bare / "data" / "large.bin").open("wb") as file:
        file.truncate(70 * 2**20)
    publish(bare, s3_url, version="1.0.0", options=PublishOptions())
    assert verify("bare@1.0.0", s3_url).damage == ()
