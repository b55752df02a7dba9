"""Running a benchmark: the same numbers from the same seed, interrupted or not."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from scidata.benchmarks import TASKS, load_task, plan_task, run_task, training
from scidata.cli import cli
from scidata.datasets.tevolop.fortnights import AHEAD, BACK
from scidata.datasets.tevolop.splits import WINDOW, by_time
from scidata.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    StorageError,
)
from tests.windows import publish_quakes

SMALL = {"epochs": 2, "batch_size": 28, "stride": 4, "score_stride": 4}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_quakes(tmp_path_factory.mktemp("quakes"))


@pytest.fixture(scope="module")
def first(store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("run") / "first"
    return out, _run(store, out)


def _run(store: Path, out: Path, **settings: object) -> dict[str, Any]:
    return run_task(
        "tevolop", dataset="quakes@1.0.0", store=store, out=out, settings={**SMALL, **settings}
    )


def test_the_result_says_what_was_run_on_what_by_what(
    first: tuple[Path, dict[str, Any]], store: Path
) -> None:
    out, result = first
    assert json.loads((out / "result.json").read_text()) == result
    assert result["schema"] == "scidata-result/2"
    commit = json.loads((store / "quakes" / "versions" / "1.0.0.json").read_text())
    assert result["dataset"]["digest"] == commit["digest"]
    manifest = (store / "quakes" / "v1.0.0" / "manifest-sha256.txt").read_text()
    digest = result["splits"]["train"]["digest"].removeprefix("sha256:")
    assert f"{digest}  data/splits/time/train.txt" in manifest
    assert result["hyperparameters"]["epochs"] == 2
    assert result["parameters"] == 65_560
    assert len(result["curve"]) == 2
    assert set(result["seconds"]) == {"build", "train", "evaluate", "score"}
    assert result["samples_per_second"] > 0
    assert result["code"]["scidata"]
    assert result["hardware"]["torch"] == torch.__version__


def test_every_score_stands_beside_its_baselines(first: tuple[Path, dict[str, Any]]) -> None:
    scores = first[1]["scores"]
    assert set(scores) == {"train", "validation", "test"}
    for part in scores.values():
        assert set(part) == {"model", "persistence", "climatology", "seasonal", "smoothed rate"}
        for found in part.values():
            assert {"NNSE", "NNSE, summed", "2 weeks", "2 weeks, summed", "series"} <= set(
                found
            )
            assert len(found) == 2 * (10 + 1) + 1


def test_the_result_names_neither_the_machine_nor_its_user(
    first: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import getpass
    import socket

    text = json.dumps(first[1]["hardware"]) + json.dumps(first[1]["code"])
    assert socket.gethostname() not in text
    monkeypatch.setenv("LOGNAME", "somebody")
    assert getpass.getuser() not in text
    assert "environ" not in text


def test_the_same_seed_gives_the_same_numbers(
    first: tuple[Path, dict[str, Any]], store: Path, tmp_path: Path
) -> None:
    again = _run(store, tmp_path / "again")
    assert again["scores"] == first[1]["scores"]
    assert _curve(again) == _curve(first[1])
    other = _run(store, tmp_path / "other", seed=1)
    assert _curve(other) != _curve(first[1])


def _curve(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What is the same in equal runs: all but the time it took."""
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in result["curve"]]


@dataclass
class _Interruption:
    """Press Ctrl-C after so many steps."""

    left: int

    def __call__(self, done: int, total: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def test_an_interrupted_run_continues_to_the_same_result(
    first: tuple[Path, dict[str, Any]], store: Path, tmp_path: Path
) -> None:
    batches = plan_task("tevolop", dataset="quakes@1.0.0", store=store, settings=SMALL)[
        "batches"
    ]
    with pytest.raises(KeyboardInterrupt):
        run_task(
            "tevolop",
            dataset="quakes@1.0.0",
            store=store,
            out=tmp_path,
            settings=SMALL,
            progress=_Interruption(batches // 2 + 3),
        )
    assert (tmp_path / "checkpoint.pt").exists()
    assert not (tmp_path / "result.json").exists()
    trained: list[int] = []
    result = run_task(
        "tevolop",
        dataset="quakes@1.0.0",
        store=store,
        out=tmp_path,
        settings=SMALL,
        progress=lambda done, total: trained.append(done),
    )
    assert trained[0] == batches // 2 + 1  # and one of evaluating
    assert result["scores"] == first[1]["scores"]
    assert _curve(result) == _curve(first[1])


def test_a_finished_run_is_returned_without_training(
    first: tuple[Path, dict[str, Any]], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.Training, "run", None)
    assert _run(store, first[0]) == first[1]


def test_a_folder_with_another_run_is_refused_and_kept(
    first: tuple[Path, dict[str, Any]], store: Path
) -> None:
    before = (first[0] / "result.json").read_bytes()
    with pytest.raises(ConflictError, match="seed 0 instead of 7"):
        _run(store, first[0], seed=7)
    assert (first[0] / "result.json").read_bytes() == before


def test_a_damaged_checkpoint_is_named_with_its_remedy(
    first: tuple[Path, dict[str, Any]], store: Path, tmp_path: Path
) -> None:
    data = (first[0] / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(InvalidError, match="the checkpoint is damaged"):
        _run(store, tmp_path)


def test_a_checkpoint_that_would_run_code_is_refused(store: Path, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "owned",))

    torch.save({"identity": Attack()}, tmp_path / "checkpoint.pt")
    with pytest.raises(InvalidError, match="the checkpoint is damaged"):
        _run(store, tmp_path)
    assert not (tmp_path / "owned").exists()


def test_settings_that_do_not_exist_or_are_out_of_range_are_named(
    store: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="no setting epoch; did you mean epochs"):
        _run(store, tmp_path, epoch=1)
    with pytest.raises(
        InvalidError, match=r"epochs 0 is out of range: more than 0, .*; stride -1"
    ) as caught:
        _run(store, tmp_path, epochs=0, stride=-1)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", 10**23), ("learning_rate", float("nan")), ("clip", float("inf")),
     ("threads", 1_000_000), ("epochs", 10**12)],
)  # fmt: skip
def test_settings_that_torch_cannot_take_are_refused(
    store: Path, tmp_path: Path, name: str, value: float
) -> None:
    with pytest.raises(InvalidError, match=f"{name} .* is out of range"):
        _run(store, tmp_path, **{name: value})


def test_files_of_a_run_that_are_folders_are_named(store: Path, tmp_path: Path) -> None:
    for name in ("result.json", "checkpoint.pt"):
        (tmp_path / name / name).mkdir(parents=True)
        with pytest.raises(StorageError, match=f"cannot read {name}"):
            _run(store, tmp_path / name)


def test_a_result_that_nests_without_end_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("[" * 100_000)
    with pytest.raises(InvalidError, match=r"result\.json is not a result"):
        _run(store, tmp_path)


def test_a_checkpoint_of_another_model_is_damaged(
    first: tuple[Path, dict[str, Any]], store: Path, tmp_path: Path
) -> None:
    content = torch.load(first[0] / "checkpoint.pt", weights_only=True)
    torch.save({**content, "model": {}}, tmp_path / "checkpoint.pt")
    with pytest.raises(InvalidError, match="the checkpoint is damaged"):
        _run(store, tmp_path)


def test_a_folder_that_cannot_be_written_is_found_before_training(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.Training, "run", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        _run(store, tmp_path / "file" / "run")


def test_reference_refuses_a_version_without_the_published_asset(
    store: Path, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError, match="fortnights-published"):
        run_task(
            "tevolop", profile="reference", dataset="quakes", store=store, out=tmp_path / "r"
        )


def test_strict_refuses_statistics_that_know_held_out_times(
    store: Path, tmp_path: Path
) -> None:
    from scidata.publishing import publish

    staged = tmp_path / "staged"
    shutil.copytree(store.parent / "quakes", staged)
    file = staged / "data" / "statistics.json"
    file.write_text(file.read_text().replace("time/train", "all"))
    publish(staged, tmp_path / "store", version="1.0.0")
    with pytest.raises(InvalidError, match="over 'all'"):
        run_task("tevolop", dataset="quakes", store=tmp_path / "store", out=tmp_path / "r")
    with pytest.raises(NotFoundError, match="no dataset 'cloudmask-mini'") as caught:
        run_task("cloudmask", store=tmp_path / "store", out=tmp_path / "r")
    assert "it holds quakes; " in caught.value.fix
    assert "scidata build cloudmask-mini, then scidata publish" in caught.value.fix


@given(st.integers(200, 3000))
def test_no_training_target_reaches_into_what_held_out_inputs_hold(count: int) -> None:
    split = by_time(count)
    if split is None:
        return
    reach = max(length + delay for length, delay in AHEAD)
    last_target = split.train[-1] + reach
    first_input = split.validation[0] - (WINDOW - 1) - (max(BACK) - 1)
    assert last_target < first_input
    assert split.validation[-1] < split.test[0]


def test_the_command_prints_a_table_and_json_gives_the_same(
    first: tuple[Path, dict[str, Any]], store: Path
) -> None:
    options = ["bench", "run", "tevolop", "--dataset", "quakes@1.0.0", "--store", str(store)]
    options += ["--out", str(first[0]), "--epochs", "2", "--set", "batch_size=28"]
    options += ["--set", "stride=4", "--set", "score_stride=4"]
    shown = CliRunner().invoke(cli, options)
    assert shown.exit_code == 0, shown.output
    assert "2 weeks, summed" in shown.stdout
    assert "persistence" in shown.stdout
    printed = CliRunner().invoke(cli, [*options, "--json"])
    assert json.loads(printed.stdout) == first[1]


def test_a_dry_run_says_what_would_run_and_writes_nothing(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["bench", "run", "tevolop", "--dataset", "quakes", "--store", str(store)]
    options += ["--set", "batch_size=30"]
    shown = CliRunner().invoke(cli, [*options, "--out", str(out), "--dry-run"])
    plan = json.loads(shown.stdout)
    assert plan["schema"] == "scidata-run-plan/1"
    assert plan["splits"]["train"]["samples"] == 6 * 5
    assert plan["parameters"] == 65_560
    assert not out.exists()


def test_list_names_every_profile_and_its_rules() -> None:
    shown = CliRunner().invoke(cli, ["bench", "list"])
    assert shown.exit_code == 0
    profiles = [(name, profile) for name in TASKS for profile in load_task(name).profiles]
    assert [tuple(line.split()[:2]) for line in shown.stdout.splitlines()[1:]] == profiles


def test_damaged_bytes_get_no_score(store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "store")
    arrays = tmp_path / "store/quakes/v1.0.0/data/fortnights.zarr"
    # Another variable's numbers decode without a complaint: only the digest tells.
    shutil.copyfile(arrays / "magnitude/c/0/0", arrays / "depth/c/0/0")
    with pytest.raises(IntegrityError, match="depth/c/0/0"):
        _run(tmp_path / "store", tmp_path / "run")
    assert not (tmp_path / "run" / "result.json").exists()
