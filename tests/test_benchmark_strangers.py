"""Folders of strangers: what is read of them, and which windows two parts of a split share."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scidata.benchmarks.checking import touched
from scidata.benchmarks.folders import read_files, read_json, read_submission
from scidata.benchmarks.leaderboard import collect
from scidata.benchmarks.predictions import Keeper
from scidata.benchmarks.submission import manifest
from scidata.benchmarks.task import Batch
from scidata.errors import IntegrityError, InvalidError, StorageError
from scidata.loaders.plan import Axis
from scidata.record import Samples
from scidata.record.parts import Window

SCORES = {"test": {"model": {"NNSE": 0.5}}}
SUBMISSION = {
    "schema": "scidata-submission/1",
    "org": "Institute",
    "system": "One",
    "descriptor": "mini",
    "task": "tevolop",
    "profile": "mini",
    "division": "open",
    "created": "2026-11-25T00:00:00Z",
    "dataset": {"name": "q@1.0.0", "digest": "sha256:" + "0" * 64, "asset": None, "doi": None},
    "metric": "NNSE",
    "higher_is_better": True,
    "scores": SCORES,
    "splits": {"test": {"name": "time/test", "digest": "sha256:" + "0" * 64}},
    "quirks": [],
    "leaks": [],
    "predictions": {},
}


def _written(folder: Path, text: str, **others: bytes) -> Path:
    files = {"submission.json": text.encode(), **others}
    folder.mkdir(parents=True)
    for path, data in files.items():
        (folder / path).write_bytes(data)
    (folder / "manifest-sha256.txt").write_bytes(manifest(files))
    return folder


@given(
    length=st.integers(12, 60),
    size=st.integers(1, 5),
    lead=st.integers(0, 3),
    windowed=st.booleans(),
    data=st.data(),
)
def test_touched_are_the_steps_of_all_windows_and_up_to_their_targets(
    length: int, size: int, lead: int, *, windowed: bool, data: st.DataObject
) -> None:
    size, lead = (size, lead) if windowed else (1, 0)
    places = st.sets(st.integers(0, length - size - lead))
    starts = sorted(data.draw(places))
    windows = (Window(dimension="time", size=size),) if windowed else ()
    each = ("place",) if windowed else ("time",)
    samples = Samples(asset="a", each=each, windows=windows, lead=lead, inputs=("x",))
    stream: Any = SimpleNamespace(
        source=SimpleNamespace(dimension="time", samples=samples),
        axes={"time": Axis("time", length, np.array(starts, np.int64), size)},
    )
    expected = {at for start in starts for at in range(start, start + size + lead)}
    assert set(np.flatnonzero(touched(stream)).tolist()) == expected


def test_predictions_that_cannot_be_written_are_no_traceback(tmp_path: Path) -> None:
    keeper = Keeper(("row",))
    batch = Batch((), torch.zeros(2), {"row": torch.arange(2)})
    keeper.take(torch.zeros(2), batch)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot write"):
        keeper.write(tmp_path / "file" / "test.safetensors", first=True, world_size=1)


@pytest.mark.parametrize(
    "change",
    [
        {"org": "In\x1b[2Jstitute"},
        {"scores": {"test": {"model": {"NNSE": float("nan")}}}},
        {"scores": {"test": {"model": {"NNSE": float("inf")}}}},
        {"leaks": ["none"] * 101},
        {"higher_is_better": "yes, always"},
        {"rank": 1},
    ],
)
def test_a_description_that_would_mislead_is_refused(
    change: dict[str, object], tmp_path: Path
) -> None:
    folder = _written(tmp_path / "a", json.dumps({**SUBMISSION, **change}))
    with pytest.raises(InvalidError):
        read_submission(read_files(folder))
    assert read_submission(read_files(_written(tmp_path / "b", json.dumps(SUBMISSION))))


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2}', "[" * 100_000, '{"a": ' + "9" * 9_000_000 + "}", "[]"]
)
def test_json_that_readers_would_not_agree_on_is_refused(text: str, tmp_path: Path) -> None:
    folder = _written(tmp_path / "a", text)
    with pytest.raises(InvalidError, match="no JSON object"):
        read_json(read_files(folder), "submission.json")


@pytest.mark.parametrize("name", ["tool.exe", "data.tar.gz", "model.pt", "plain"])
def test_what_is_no_part_of_a_submission_is_refused(name: str, tmp_path: Path) -> None:
    folder = _written(tmp_path / "a", "{}", **{name: b"1"})
    with pytest.raises(InvalidError, match="which is none of"):
        read_files(folder)


def _sparse(folder: Path, *mebibytes: int) -> None:
    for number, size in enumerate(mebibytes):
        with (folder / f"{number}.pdf").open("wb") as file:
            file.truncate(size * 2**20)


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (lambda f: [(f / f"{n}.txt").touch() for n in range(101)], "more than 100 files"),
        (lambda f: (f / "a/b/c").mkdir(parents=True), "a folder that deep"),
        (lambda f: (f / "more").symlink_to("/etc"), "a link or no plain file"),
        (lambda f: _sparse(f, 65), r"'0\.pdf': 68,157,440 bytes"),
        (lambda f: _sparse(f, 40, 40), "with which all files take more"),
    ],
    ids=["many", "deep", "linked", "large", "large together"],
)
def test_a_folder_that_holds_too_much_is_refused_before_it_is_read(
    fill: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    folder = _written(tmp_path / "a", "{}")
    fill(folder)
    with pytest.raises(InvalidError, match=said):
        read_files(folder)


@pytest.mark.parametrize("path", ["submission.json", "../submission.json", "/etc/passwd"])
def test_a_manifest_that_lists_a_file_twice_or_outside_is_refused(
    path: str, tmp_path: Path
) -> None:
    folder = _written(tmp_path / "a", "{}")
    listed = folder / "manifest-sha256.txt"
    listed.write_text(f"{listed.read_text()}{'0' * 64}  {path}\n")
    with pytest.raises(InvalidError, match="the line"):
        read_files(folder)


def test_a_file_that_no_line_of_the_manifest_names_is_damage(tmp_path: Path) -> None:
    folder = _written(tmp_path / "a", "{}")
    (folder / "more.txt").write_text("")
    with pytest.raises(IntegrityError) as caught:
        read_files(folder)
    assert [(d.path, d.state) for d in caught.value.damage] == [("more.txt", "extra")]


def test_a_folder_behind_a_link_is_refused(tmp_path: Path) -> None:
    real = _written(tmp_path / "real" / "b" / "c" / "d", json.dumps(SUBMISSION))
    linked = tmp_path / "linked"
    linked.symlink_to(real)
    with pytest.raises(InvalidError, match="a link"):
        read_files(linked)
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "a").symlink_to(tmp_path / "real")
    assert "behind a link" in collect(tmp_path / "all")["refused"][0]["reason"]


def test_no_submission_can_turn_the_order_of_its_table(tmp_path: Path) -> None:
    for org, change in (("aaa", {"higher_is_better": False}), ("bbb", {}), ("ccc", {})):
        text = json.dumps({**SUBMISSION, "org": org, **change})
        _written(tmp_path / org / "tevolop" / "one" / "mini", text)
    shutil.copytree(tmp_path / "bbb/tevolop/one/mini", tmp_path / "bbb/tevolop/one/again")
    board = collect(tmp_path)
    (table,) = board["tables"]
    assert table["higher_is_better"]
    assert [entry["org"] for entry in table["entries"]] == ["bbb", "ccc"]
    reasons = [each["reason"] for each in board["refused"]]
    assert reasons == ["its metric is not NNSE", "it says that it lies at bbb/tevolop/one/mini"]


def _git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _judged(place: Path, added: tuple[str, ...]) -> list[tuple[int, str]]:
    """Run the workflow's own shell on a pull request; a `scidata` prints what it is given."""
    pull = place / "pull"
    pull.mkdir()
    _git(pull, "init", "-q")
    _git(pull, "commit", "-q", "--allow-empty", "-m", "base")
    base = _git(pull, "rev-parse", "HEAD")
    for path in added:
        (pull / path).parent.mkdir(parents=True, exist_ok=True)
        (pull / path).write_text("x")
    _git(pull, "add", "-A")
    _git(pull, "commit", "-q", "-m", "pull")
    stub = '#!/bin/sh\necho "$3|"\ncase "$3" in *bad*) exit 5; esac\n'
    (place / "scidata").write_text(stub)
    (place / "scidata").chmod(0o755)
    workflow = Path(__file__).parent.parent / ".github" / "workflows" / "submissions.yml"
    steps = yaml.safe_load(workflow.read_text())["jobs"]["check"]["steps"]
    environment = {**os.environ, "BASE": base, "PATH": f"{place}:{os.environ['PATH']}"}
    found = []
    for step in steps:
        if "BASE" in step.get("env", {}):
            done = subprocess.run(
                ["bash", "-eo", "pipefail", "-c", step["run"]],
                cwd=place, env=environment, check=False, capture_output=True, text=True,
            )  # fmt: skip
            found.append((done.returncode, done.stdout))
    return found


def test_the_workflow_checks_each_folder_once_and_fails_if_one_does(tmp_path: Path) -> None:
    odd = "submissions/a b/tevolop/$(touch x)/bad\nname"
    (alone, _), (code, said) = _judged(
        tmp_path, (f"{odd}/one.txt", f"{odd}/two/three.txt", "submissions/a/b/c/d/one.txt")
    )
    assert (alone, code) == (0, 1)
    assert said.count(f"pull/{odd}|") == 1
    assert said.count("pull/submissions/a/b/c/d|") == 1
    assert not (tmp_path / "x").exists()
    first, *_, last = [line for line in said.splitlines() if line.startswith("::")]
    assert last.endswith(f"{first.removeprefix('::stop-commands')}::")


def test_the_workflow_refuses_what_lies_beside_submissions(tmp_path: Path) -> None:
    found = _judged(tmp_path, ("submissions/a/b/c/d/one.txt", ".github/workflows/own.yml"))
    assert found[0][0] == 1
