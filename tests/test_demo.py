"""The demo goes the whole way, leaves an ordinary store behind, and can be repeated."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.demonstration import SCIDATA, Demonstration

pytestmark = pytest.mark.slow

# Stands for a machine without a network: every connection fails at once.
OFFLINE = """
import socket
def refuse(*arguments):
    raise OSError("the demo opened a connection")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = refuse
"""


def test_the_demo_leaves_what_its_help_and_the_readme_name(
    demonstration: Demonstration,
) -> None:
    folder = demonstration.folder
    for path in (
        "staged/tevolop/record.yaml",
        "staged/tevolop/data/events.parquet",
        "store/index.yaml",
        "store/catalog.json",
        "store/tevolop/versions/1.0.0.json",
        "store/tevolop/v1.0.0/manifest-sha256.txt",
        "store/tevolop/v1.0.0/meta/datacite.json",
        "run/result.json",
    ):
        assert (folder / path).is_file(), path


def test_the_demo_prints_what_it_made(demonstration: Demonstration) -> None:
    printed = demonstration.printed
    commit = json.loads(
        (demonstration.folder / "store/tevolop/versions/1.0.0.json").read_text()
    )
    assert printed["schema"] == "scidata-demo/1"
    assert printed["digest"] == commit["digest"]
    assert (printed["files"], printed["bytes"]) == (commit["files"], commit["bytes"])
    assert printed["verified"] >= printed["files"]
    assert Path(printed["preview"]).is_file()
    times = (demonstration.folder / "staged/tevolop/data/splits/time/train.txt").read_text()
    arrays = demonstration.folder / "staged/tevolop/data/fortnights.zarr/location/zarr.json"
    (locations,) = json.loads(arrays.read_text())["shape"]
    assert printed["samples"] == len(times.splitlines()) * locations


def test_the_network_learns_more_than_persistence_knows(demonstration: Demonstration) -> None:
    for row in demonstration.printed["scores"]:
        assert row["model_averaged"] > row["persistence_averaged"], row


def test_coreutils_accept_what_the_demo_published(demonstration: Demonstration) -> None:
    digest = demonstration.printed["digest"].removeprefix("sha256:")
    manifest = "manifest-sha256.txt"
    check = f"echo '{digest}  {manifest}' | sha256sum -c && sha256sum --quiet -c {manifest}"
    subprocess.run(
        ["bash", "-ec", check],
        cwd=demonstration.folder / "store/tevolop/v1.0.0",
        check=True,
        capture_output=True,
    )


def test_an_interrupted_demo_continues_offline_to_the_same_digest(
    demonstration: Demonstration, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(OFFLINE)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [str(SCIDATA), "demo", "--out", str(tmp_path / "demo"), "--quiet"]
    first = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "demo/store/tevolop/claims").exists() and first.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    again = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert demonstration.printed["digest"] in again.stdout
    third = subprocess.run(
        [*command, "--json"], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(third.stdout)["published"] is False


def test_a_folder_that_holds_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    precious = tmp_path / "staged/tevolop/precious.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    done = subprocess.run(
        [SCIDATA, "demo", "--out", tmp_path, "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7
    assert "Traceback" not in done.stderr
    assert precious.read_text() == "mine"


def test_a_demo_whose_store_was_damaged_does_not_say_that_it_is_sound(
    demonstration: Demonstration, tmp_path: Path
) -> None:
    shutil.copytree(demonstration.folder, tmp_path / "demo")
    table = tmp_path / "demo/store/tevolop/v1.0.0/data/events.parquet"
    data = bytearray(table.read_bytes())
    data[len(data) // 2] ^= 1
    table.write_bytes(data)
    done = subprocess.run(
        [str(SCIDATA), "demo", "--out", str(tmp_path / "demo")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "damaged: data/events.parquet" in done.stderr
    assert "sound" not in done.stdout
