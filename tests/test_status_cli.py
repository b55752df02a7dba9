"""What the command line says of statuses, purges, mirrors and remains, and where."""

import json
import subprocess
from pathlib import Path

import pytest

from scidata.publishing import publish
from tests.damage import command
from tests.samples import write_bare

NAME = "bare@1.0.0"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in a folder with bare 1.0.0, deprecated, and 1.1.0, withdrawn."""
    root = tmp_path_factory.mktemp("published")
    bare = write_bare(root / "bare")
    for version in ("1.0.0", "1.1.0"):
        publish(bare, root / "store", version=version)
    said = (("1.0.0", "deprecated"), ("1.1.0", "withdrawn"))
    for version, state in said:
        words = ["status", f"bare@{version}", state, "--reason", f"is {state}"]
        done = run(*words, "--store", root / "store")
        assert done.returncode == 0, done.stderr
    return root / "store"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


def test_list_has_a_column_of_states_and_warns_on_standard_error(root: Path) -> None:
    done = run("list", "bare", "--store", root)
    header, first, second = done.stdout.splitlines()
    assert header.split()[-2:] == ["STATUS", "DIGEST"]
    assert "deprecated" in first
    assert "withdrawn" in second
    assert done.stderr.count("warning: ") == 2
    newest = run("list", "--store", root).stdout.splitlines()[1]
    assert newest.split()[:2] == ["bare", "1.0.0"]


@pytest.mark.parametrize("words", [["show"], ["verify", "--fast"], ["pull", "--dry-run"]])
def test_every_reader_warns_once_and_goes_on(root: Path, words: list[str]) -> None:
    verb, *options = words
    done = run(verb, "bare@1.1.0", *options, "--store", root)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("bare@1.1.0 is withdrawn since") == 1


def test_json_stays_one_document_on_either_stream(root: Path) -> None:
    done = run("show", NAME, "--store", root, "--json")
    assert json.loads(done.stdout)["status"]["state"] == "deprecated"
    assert done.stderr.startswith("warning: ")
    done = run("pull", NAME, "--asset", "absent", "--store", root, "--json", "--out", "x")
    error = json.loads(done.stderr)
    assert error["kind"] == "not-found"
    assert "is deprecated" in error["warnings"][0]


def test_status_shows_the_history_and_refuses_half_a_command(root: Path) -> None:
    text = run("status", "bare@1.1.0", "--store", root).stdout
    assert "bare@1.1.0 is withdrawn" in text
    assert "is withdrawn" in text
    document = json.loads(run("status", "bare@1.1.0", "--store", root, "--json").stdout)
    assert [item["state"] for item in document["history"]] == ["withdrawn"]
    for words in (["withdrawn"], ["--reason", "r"], ["purged", "--reason", "r"]):
        assert run("status", NAME, *words, "--store", root).returncode == 2


def test_mirror_and_gc_as_json_name_what_they_did(root: Path, tmp_path: Path) -> None:
    words: list[str | Path] = [
        "mirror",
        "bare",
        "--store",
        root,
        "--to",
        tmp_path / "mirror",
        "--json",
    ]
    document = json.loads(run(*words).stdout)
    assert document["schema"] == "scidata-mirror/1"
    assert [item["name"] for item in document["versions"]] == [NAME, "bare@1.1.0"]
    assert run("mirror", "--to", tmp_path / "mirror").returncode == 2
    found = json.loads(run("gc", "--store", tmp_path / "mirror", "--json").stdout)
    assert (found["abandoned"], found["removed"]) == ([], [])
