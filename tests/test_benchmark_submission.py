"""Submissions: an honest one passes, and whatever was forged, edited or left out is named."""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from scidata.benchmarks import check_submission, harness, predictions, run_task, submit
from scidata.benchmarks.folders import read_files
from scidata.benchmarks.leaderboard import collect, markdown, ranked, write
from scidata.benchmarks.predictions import Predictions, parse, to_bytes
from scidata.benchmarks.submission import manifest
from scidata.cli import cli
from scidata.errors import ConflictError, IntegrityError, InvalidError, NotFoundError
from scidata.reservation import KnownDoi
from tests.windows import publish_quakes

SMALL = {"epochs": 2, "batch_size": 28, "stride": 4, "score_stride": 4}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_quakes(tmp_path_factory.mktemp("quakes"))


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "first"
    run_task("tevolop", dataset="quakes@1.0.0", store=store, out=out, settings=SMALL)
    return out


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 4))
def test_predictions_survive_the_round_trip(samples: int, axes: int, width: int) -> None:
    found = Predictions(
        dimensions=("location", "time", "level")[:axes],
        ids=np.arange(samples * axes).reshape(samples, axes),
        values=np.ones((samples, width), np.float32),
    )
    again = parse(to_bytes(found))
    assert again.dimensions == found.dimensions
    assert np.array_equal(again.ids, found.ids)
    assert np.array_equal(again.values, found.values)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_predictions_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, TypeError, LookupError)):
        parse(data)


def test_a_run_keeps_what_it_predicted_of_every_scored_part(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    assert set(result["predictions"]) == set(result["scores"])
    for part, kept in result["predictions"].items():
        data = (run / kept["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == kept["sha256"]
        found = predictions.read(run / kept["path"], sha256=kept["sha256"])
        assert len(found.rows()) == result["splits"][part]["scored_samples"]


@pytest.fixture(scope="module")
def submitted(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("submissions")
    return Path(submit(run, org="Institute", system="One node", out=out)["folder"])


def _rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    result = json.loads((folder / "result.json").read_text())
    change(result)
    (folder / "result.json").write_text(json.dumps(result))


@pytest.mark.parametrize(
    ("spoil", "said", "fix"),
    [
        (
            lambda f: _rewrite(f, lambda r: r["scores"]["test"]["model"].update(NNSE=None)),
            "NNSE of test cannot be computed from what was scored",
            "the same run would give the same: run it on a longer dataset",
        ),
        (
            lambda f: (f / "result.json").unlink(),
            "the run has not ended",
            "continue it: repeat its scidata bench run",
        ),
        (
            lambda f: _rewrite(f, lambda r: r.pop("hyperparameters")),
            "is not a result: KeyError 'hyperparameters'",
            "into another --out",
        ),
    ],
)
def test_a_run_that_cannot_be_submitted_is_told_what_helps(
    run: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str, fix: str
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / "checkpoint.pt").touch()
    spoil(copy)
    with pytest.raises((InvalidError, NotFoundError), match=said) as caught:
        submit(copy, org="Institute", system="One node", out=tmp_path / "out")
    assert fix in caught.value.fix
    assert not (tmp_path / "out").exists()


@pytest.fixture
def folder(submitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(submitted, tmp_path / "copy"))


def _seal(folder: Path) -> None:
    """Do what a forger does last: write the manifest anew."""
    paths = (p for p in folder.rglob("*") if p.is_file() and p.name != "manifest-sha256.txt")
    files = {str(p.relative_to(folder)): p.read_bytes() for p in paths}
    (folder / "manifest-sha256.txt").write_bytes(manifest(files))


def _edit(folder: Path, change: Callable[[dict[str, Any]], object], *names: str) -> None:
    for name in names or ("result.json", "submission.json"):
        document = json.loads((folder / name).read_text())
        change(document)
        (folder / name).write_text(json.dumps(document))


def _forge_log(folder: Path, key: str, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "result-1.txt"
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        event = json.loads(line.removeprefix(":::MLLOG "))
        if event["key"] == key:
            change(event)
            lines[number] = f":::MLLOG {json.dumps(event)}"
    path.write_text("\n".join(lines) + "\n")


def test_an_honest_submission_passes(submitted: Path, store: Path) -> None:
    assert submitted.parts[-4:] == ("institute", "tevolop", "one-node", "mini-seed0")
    found = check_submission(submitted, store=store)
    assert found["org"] == "Institute"
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", "manifest-sha256.txt"], cwd=submitted, check=False
    )
    assert done.returncode == 0


def test_a_submission_holds_no_place_of_the_machine(submitted: Path, run: Path) -> None:
    for path in submitted.rglob("*"):
        if path.is_file():
            assert str(run.parent).encode() not in path.read_bytes()
            assert str(Path.home()).encode() + b"/" not in path.read_bytes()


def _forge_score(folder: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["scores"]["test"]["model"]["NNSE"] += 0.05

    _edit(folder, change)
    _forge_log(
        folder, "result", lambda e: change({"scores": {"test": {"model": e["value"]["test"]}}})
    )


def _forge_baseline(folder: Path) -> None:
    _edit(folder, lambda d: d["scores"]["test"]["persistence"].update(NNSE=0.01))


def _forge_digest(folder: Path) -> None:
    digest = "sha256:" + "0" * 64
    _edit(folder, lambda d: d["dataset"].update(digest=digest))
    _forge_log(folder, "dataset", lambda e: e["value"].update(digest=digest))


def _forge_split(folder: Path) -> None:
    _edit(folder, lambda d: d["splits"]["test"].update(digest="sha256:" + "0" * 64))


def _forge_predictions(folder: Path) -> None:
    path = folder / "predictions" / "test.safetensors"
    found = parse(path.read_bytes())
    data = to_bytes(replace(found, values=found.values + np.float32(0.01)))
    path.write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    _edit(folder, lambda d: d["predictions"]["test"].update(sha256=sha256))


def _forge_nothing(folder: Path) -> None:
    _edit(folder, lambda d: d["scores"]["test"]["persistence"].update(NNSE=None))


def _leave_out_baseline(folder: Path) -> None:
    _edit(folder, lambda d: d["scores"]["test"].pop("persistence"))


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (_forge_score, "test/model/NNSE: .* is claimed"),
        (_forge_baseline, "test/persistence/NNSE: .* is claimed"),
        (_forge_digest, "the version has sha256"),
        (_forge_split, "its splits are not those of the version"),
        (_forge_predictions, "test/model/.* is claimed"),
        (_forge_nothing, "test/persistence/NNSE: None is claimed"),
        (_leave_out_baseline, "test/persistence/.*: only one of claim and recomputation"),
    ],
)
def test_a_forgery_contradicts_the_data(
    forge: Callable[[Path], None], said: str, folder: Path, store: Path
) -> None:
    forge(folder)
    _seal(folder)
    with pytest.raises(IntegrityError, match=said):
        check_submission(folder, store=store)


@pytest.mark.parametrize(
    ("key", "change", "code"),
    [
        ("seed", {"value": 7}, "log-claim"),
        ("eval_accuracy", {"value": 0.99}, "log-claim"),
        ("run_stop", {"metadata": {"file": "x", "lineno": 1}}, "mllog-rule"),
        ("submission_org", {"value": "Another"}, "log-claim"),
        ("epoch_stop", {"key": "epoch_end"}, "mllog-rule"),
    ],
)
def test_an_edited_log_is_caught(
    key: str, change: dict[str, Any], code: str, folder: Path, store: Path
) -> None:
    _forge_log(folder, key, lambda event: event.update(change))
    _seal(folder)
    with pytest.raises(InvalidError) as caught:
        check_submission(folder, store=store)
    assert code in {problem.code for problem in caught.value.problems}


def test_a_leak_that_is_kept_quiet_is_caught(folder: Path, store: Path) -> None:
    _edit(folder, lambda d: d.update(leaks=["none that matters"]))
    _seal(folder)
    with pytest.raises(InvalidError) as caught:
        check_submission(folder, store=store)
    assert "leaking-split" in {problem.code for problem in caught.value.problems}


def _last_window_first(train: Any, test: Any) -> Any:  # Any: streams
    """Let the test part begin a step after the training part ends: windows of 26 overlap."""
    start = train.axes["time"].starts[-1:] + 1
    axis = replace(test.axes["time"], starts=start)
    return SimpleNamespace(source=test.source, axes={**test.axes, "time": axis})


@pytest.mark.parametrize("leak", [lambda train, test: train, _last_window_first])
def test_a_split_whose_parts_share_samples_or_time_is_caught(
    leak: Callable[[Any, Any], Any], folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = harness.prepare

    def leaking(*given: Any, **named: Any) -> Any:  # Any: as prepare has them
        job, streams = found(*given, **named)
        return job, {**streams, "test": leak(streams["train"], streams["test"])}

    monkeypatch.setattr("scidata.benchmarks.checking.prepare", leaking)
    with pytest.raises(InvalidError) as caught:
        check_submission(folder, store=store)
    assert "leaking-split" in {problem.code for problem in caught.value.problems}


def _leave_out_test(folder: Path) -> None:
    for name in ("scores", "predictions"):
        _edit(folder, lambda d, name=name: d[name].pop("test"))  # type: ignore[misc]
    _forge_log(folder, "result", lambda e: e["value"].pop("test"))
    (folder / "predictions" / "test.safetensors").unlink()


def _leave_out_settings(folder: Path) -> None:
    (folder / "settings.yaml").unlink()


def _predict_one_less(folder: Path) -> None:
    path = folder / "predictions" / "test.safetensors"
    found = parse(path.read_bytes())
    data = to_bytes(replace(found, ids=found.ids[1:], values=found.values[1:]))
    path.write_bytes(data)
    new = {"sha256": hashlib.sha256(data).hexdigest(), "samples": len(found.ids) - 1}
    _edit(folder, lambda d: d["predictions"]["test"].update(new))


def _claim_one_less(folder: Path) -> None:
    _edit(folder, lambda d: d["predictions"]["test"].update(samples=1))


def _of_another_system(folder: Path) -> None:
    _edit(folder, lambda d: d.update(system_name="Two"), "system.json")


def _of_another_asset(folder: Path) -> None:
    _edit(folder, lambda d: d["dataset"].update(asset="other"), "result.json")


def _of_other_settings(folder: Path) -> None:
    _edit(folder, lambda d: d.update(identity="other"), "result.json")


def _of_fewer_epochs(folder: Path) -> None:
    _edit(folder, lambda d: d["curve"].pop(), "result.json")


def _name_a_home(folder: Path) -> None:
    (folder / "README.md").write_text("See /home/somebody/run.")


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (_leave_out_test, "its parts are not train, validation, test"),
        (_leave_out_settings, "a submission needs it"),
        (_predict_one_less, "predictions of .* samples"),
        (_claim_one_less, "1 predictions are claimed"),
        (_of_another_system, "submitter and system differ"),
        (_of_another_asset, "its dataset is not the submission's"),
        (_of_other_settings, "its identity is not that of these settings"),
        (_of_fewer_epochs, "its epochs are not those of the curve"),
        (_name_a_home, "it names a home folder"),
    ],
)
def test_what_is_left_out_or_does_not_fit_is_named(
    forge: Callable[[Path], None], said: str, folder: Path, store: Path
) -> None:
    forge(folder)
    _seal(folder)
    with pytest.raises(InvalidError, match=said):
        check_submission(folder, store=store)


def test_a_leaderboard_takes_the_doi_from_the_store_and_marks_another_claim(
    run: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(run, org="Institute", system="A", out=tmp_path, doi="10.1234/claimed")
    assert "10.1234/claimed (unverified)" in markdown(collect(tmp_path))
    assert "10.1234" not in markdown(collect(tmp_path, store)).replace(
        "(10.1234/claimed is claimed)", ""
    )
    known = KnownDoi(doi="10.1234/true", concept="10.1234/all", findable=True)
    monkeypatch.setattr("scidata.benchmarks.checking.known_doi", lambda *_: known)
    board = collect(tmp_path, store)
    assert "10.1234/true (10.1234/claimed is claimed)" in markdown(board)
    assert board["tables"][0]["entries"][0]["doi"] == "10.1234/true"


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_changed_byte_of_any_file_is_caught(submitted: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(p for p in submitted.rglob("*") if p.is_file())))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[place] ^ data.draw(st.integers(1, 255))
    try:
        path.write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
        with pytest.raises((IntegrityError, InvalidError)):
            read_files(submitted)
    finally:
        path.write_bytes(whole)


def test_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "extra").symlink_to("/etc/passwd")
    with pytest.raises(InvalidError, match="a link or no plain file"):
        read_files(folder)


def test_predictions_may_lie_elsewhere(run: Path, store: Path, tmp_path: Path) -> None:
    made = submit(run, org="Institute", system="B", out=tmp_path, by_reference=True)
    folder = Path(made["folder"])
    assert not (folder / "predictions").exists()
    assert check_submission(folder, store=store, predictions=run / "predictions")
    with pytest.raises(NotFoundError, match="--predictions"):
        check_submission(folder, store=store, predictions=tmp_path)


def _board(submitted: Path, store: Path | None) -> dict[str, Any]:
    return collect(submitted.parents[3], store)


def test_a_leaderboard_marks_what_nobody_checked(submitted: Path, store: Path) -> None:
    for given_store, checked in ((None, False), (store, True)):
        board = _board(submitted, given_store)
        (table,) = board["tables"]
        assert table["digest"].startswith("sha256:")
        (entry,) = table["entries"]
        assert entry["checked"] is checked
        assert set(entry["baselines"]) == {
            "persistence",
            "climatology",
            "seasonal",
            "smoothed rate",
        }
        assert ("unchecked" in markdown(board)) is not checked


@pytest.mark.parametrize("higher", [True, False])
def test_a_leaderboard_is_ordered_by_the_direction_of_its_metric(higher: bool) -> None:
    entries = [{"score": s, "path": str(s)} for s in (0.2, None, 0.9, 0.5)]
    found = [entry["score"] for entry in ranked(entries, higher_is_better=higher)]
    assert found == ([0.9, 0.5, 0.2, None] if higher else [0.2, 0.5, 0.9, None])


def test_what_cannot_be_checked_is_refused_with_its_reason(
    folder: Path, store: Path, tmp_path: Path
) -> None:
    _forge_score(folder)
    _seal(folder)
    place = tmp_path / "all" / "institute" / "tevolop" / "one-node" / "mini-seed0"
    shutil.copytree(folder, place)
    board = collect(tmp_path / "all", store)
    assert not board["tables"]
    assert "is claimed" in board["refused"][0]["reason"]


def test_the_page_escapes_names_and_keeps_the_policy_of_the_site(
    submitted: Path, tmp_path: Path
) -> None:
    board = _board(submitted, None)
    board["tables"][0]["entries"][0]["org"] = "<script>alert(1)</script>|a\\|b"
    write(board, tmp_path)
    text = (tmp_path / "leaderboard" / "index.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "Content-Security-Policy" in text
    assert (tmp_path / "leaderboard" / "site.css").is_file()
    listed = (tmp_path / "leaderboard.md").read_text()
    # A sign that begins a cell, or would undo what escapes it, is escaped itself.
    assert r"| \<script\>alert(1)\</script\>\|a\\\|b |" in listed


def test_the_commands_submit_check_and_list(run: Path, store: Path, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path), "--org", "Institute", "--system", "One"]
    made = CliRunner().invoke(cli, ["bench", "submit", str(run), *out, "--json"])
    folder = json.loads(made.stdout)["folder"]
    with pytest.raises(ConflictError):
        CliRunner().invoke(cli, ["bench", "submit", str(run), *out], catch_exceptions=False)
    checked = CliRunner().invoke(cli, ["bench", "check", folder, "--store", str(store)])
    assert "sound: scored again on quakes@1.0.0" in checked.stdout
    listed = CliRunner().invoke(cli, ["bench", "leaderboard", str(tmp_path)])
    assert "unchecked" in listed.stdout


def test_a_check_can_train_again(submitted: Path, store: Path) -> None:
    assert check_submission(submitted, store=store, rerun=True)["rerun"]


def test_the_workflow_pins_its_actions_and_may_only_read() -> None:
    path = Path(__file__).parent.parent / ".github" / "workflows" / "submissions.yml"
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["check"]["steps"]
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
        # What a pull request says may not become part of a command.
        assert "${{" not in step.get("run", "")
    assert "scidata bench check" in "".join(step.get("run", "") for step in steps)
