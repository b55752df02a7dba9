"""Runs that are killed, and runs of two processes: the same samples, the same scores."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import scidata
from scidata.benchmarks import check_log
from scidata.benchmarks.harness import run
from scidata.dataset import Dataset
from scidata.errors import ConflictError, InvalidError, StorageError
from tests import tasks
from tests.watchdog import watched
from tests.windows import publish_quakes

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures(watched.__name__)]

# Kills its own process, with threads of streams at work, after so many checkpoints.
DYING = """
import os, signal, sys
from scidata.benchmarks.runs import Checkpoints
from scidata.cli import main
saved = 0
def save(self, content, whole=Checkpoints.save):
    global saved
    whole(self, content)
    saved += 1
    if saved == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
Checkpoints.save = save
main(sys.argv[2:])
"""
SETTINGS = ["epochs=2", "batch_size=14", "stride=4", "score_stride=4", "checkpoint_every=2"]
SCIDATA = [sys.executable, "-c", "from scidata.cli import main; main()"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_quakes(tmp_path_factory.mktemp("quakes"))


@pytest.fixture(scope="module")
def quakes(store: Path) -> Dataset:
    return scidata.open("quakes", store)


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")


def _words(store: Path, out: Path) -> list[str]:
    words = ["bench", "run", "tevolop", "--dataset", "quakes@1.0.0", "--store", str(store)]
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    return [*words, "--out", str(out), *settings, "--json", "--quiet"]


def _same(result: dict[str, Any]) -> Any:
    """What is the same in equal runs: all but times and speeds."""
    curve = [{k: v for k, v in entry.items() if k != "seconds"} for entry in result["curve"]]
    return [result["scores"], curve, result["identity"], result["best"]]


@pytest.fixture(scope="module")
def whole(store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of a run that nobody disturbed: two epochs of six steps."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = subprocess.run([*SCIDATA, *_words(store, out)], capture_output=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("checkpoints", [1, 3, 4], ids=["first", "epoch", "second"])
def test_a_killed_run_ends_as_if_it_had_not_been(
    store: Path, whole: dict[str, Any], tmp_path: Path, checkpoints: int
) -> None:
    words = _words(store, tmp_path / "run")
    dying = [sys.executable, "-c", DYING, str(checkpoints), *words]
    killed = subprocess.run(dying, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "run/result.json").exists()
    done = subprocess.run([*SCIDATA, *words], capture_output=True, check=True)
    assert _same(json.loads(done.stdout)) == _same(whole)
    log = tmp_path / "run/mllog.txt"
    assert check_log(log)["epochs"] == 2
    assert log.read_text().count('"resumed"') == 1


def test_dropout_and_running_means_survive_a_resume(quakes: Dataset, tmp_path: Path) -> None:
    changed = {"model": "normalised", "checkpoint_every": 2, "keep": "best"}
    whole = run(tasks.TASK, tasks.profile(), quakes, tmp_path / "whole", changed=changed)

    def stop(done: int, total: int) -> None:
        if done >= total // 2:
            raise KeyboardInterrupt

    out = tmp_path / "cut"
    with pytest.raises(KeyboardInterrupt):
        run(tasks.TASK, tasks.profile(), quakes, out, changed=changed, progress=stop)
    held = torch.load(out / "checkpoint.pt", weights_only=True)
    assert held["stream"] is not None, "it stopped at the end of an epoch"
    again = run(tasks.TASK, tasks.profile(), quakes, out, changed=changed)
    assert _same(again) == _same(whole)


@pytest.fixture(scope="module")
def spawned(store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of two processes that the command started."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    words = [*_words(store, tmp_path_factory.mktemp("spawned") / "run"), "--devices", "2"]
    done = subprocess.run([*SCIDATA, *words], capture_output=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.fixture(scope="module")
def two(quakes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result of two processes, each with half of every batch."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    out = tmp_path_factory.mktemp("two") / "run"
    return run(tasks.TASK, tasks.profile(), quakes, out, changed=_all(devices=2))


def _all(**changed: object) -> dict[str, object]:
    """Settings whose one batch is the whole epoch: its order does not matter then."""
    return {"batch_size": 84, "epochs": 4, "device": "cpu", **changed}


def test_two_processes_train_on_what_one_does_and_score_the_same(
    quakes: Dataset, two: dict[str, Any], tmp_path: Path
) -> None:
    one = run(tasks.TASK, tasks.profile(), quakes, tmp_path, changed=_all())
    for mine, theirs in zip(one["curve"], two["curve"], strict=True):
        assert theirs["samples"] == mine["samples"]
        assert theirs["loss"] == pytest.approx(mine["loss"], rel=1e-5)
    for part, found in one["scores"].items():
        for name, scores in found.items():
            assert two["scores"][part][name] == pytest.approx(scores, rel=1e-5), (part, name)
    assert two["hardware"]["devices"] == 2


def test_two_processes_score_every_sample_once(two: dict[str, Any]) -> None:
    for part, found in two["scores"].items():
        count = two["splits"][part]["scored_samples"]
        for scores in found.values():
            assert scores["samples"] == scores["distinct"] == count


def test_two_processes_that_were_killed_end_as_if_they_had_not_been(
    store: Path, spawned: dict[str, Any], tmp_path: Path
) -> None:
    words = [*_words(store, tmp_path / "killed"), "--devices", "2"]
    # The first process of the two dies, which saves checkpoints: it runs this program, too.
    program = tmp_path / "dying.py"
    program.write_text(
        DYING.replace("main(sys.argv", "if __name__ == '__main__': main(sys.argv")
    )
    killed = subprocess.run(
        [sys.executable, program, "4", *words], capture_output=True, check=False
    )
    assert killed.returncode == StorageError.exit_code, killed.stderr
    done = subprocess.run([*SCIDATA, *words], capture_output=True, check=True)
    assert _same(json.loads(done.stdout)) == _same(spawned)


def test_torchrun_gives_what_devices_gives(
    store: Path, spawned: dict[str, Any], tmp_path: Path
) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    torchrun += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--no-python"]
    scidata_words = [str(Path(sys.executable).parent / "scidata")]
    done = subprocess.run(
        [*torchrun, *scidata_words, *_words(store, tmp_path / "below")],
        capture_output=True,
        check=True,
    )
    # One document: the second process prints nothing.
    assert _same(json.loads(done.stdout)) == _same(spawned)


def test_a_mistake_in_another_process_is_told_as_one_of_this(
    store: Path, quakes: Dataset, tmp_path: Path
) -> None:
    changed = _all(devices=2, batch_size=83)
    with pytest.raises(InvalidError, match="batch_size 83 cannot be shared by 2 devices"):
        run(tasks.TASK, tasks.profile(), quakes, tmp_path / "odd", changed=changed)
    out = tmp_path / "run"
    run(tasks.TASK, tasks.profile(), quakes, out, changed=_all(epochs=1))
    (out / "result.json").unlink()
    with pytest.raises(ConflictError, match="the checkpoint of another run"):
        run(tasks.TASK, tasks.profile(), quakes, out, changed=_all(epochs=1, devices=2))


def test_a_process_that_dies_is_told_with_what_to_do(
    quakes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StorageError, match="a training process ended") as caught:
        run(tasks.DYING, tasks.profile(), quakes, tmp_path, changed=_all(devices=2))
    assert "run the same command again" in caught.value.fix


def test_a_task_that_cannot_travel_is_refused_before_any_process_starts(
    quakes: Dataset, tmp_path: Path
) -> None:
    import dataclasses

    alone = dataclasses.replace(tasks.TASK, schedule=lambda settings, epochs, seen: 0.1)
    with pytest.raises(InvalidError, match="cannot be sent to other processes"):
        run(alone, tasks.profile(), quakes, tmp_path, changed=_all(devices=2))
