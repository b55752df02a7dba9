"""What the harness gives every task: settings, devices, early ends, and what a result tells."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner

import scidata
from scidata.benchmarks import load_task, torchrun
from scidata.benchmarks.harness import plan, run
from scidata.benchmarks.settings import Settings, nearest, read_settings
from scidata.benchmarks.task import Profile, Target
from scidata.benchmarks.training import learning_rate, optimizer_of
from scidata.cli import cli
from scidata.dataset import Dataset
from scidata.errors import InvalidError, NotFoundError
from tests import tasks
from tests.windows import publish_quakes

BASE = Settings(model="images", epochs=2, batch_size=4, learning_rate=1.0)


@pytest.fixture(scope="module")
def quakes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return scidata.open("quakes", publish_quakes(tmp_path_factory.mktemp("quakes")))


def _run(
    quakes: Dataset,
    out: Path,
    profile: Profile | None = None,
    **changed: Any,  # Any: settings
) -> dict[str, Any]:
    return run(tasks.TASK, profile or tasks.profile(), quakes, out, changed=changed)


def test_a_model_learns_and_stands_beside_its_baseline(quakes: Dataset, tmp_path: Path) -> None:
    result = _run(quakes, tmp_path, epochs=20)
    losses = [entry["loss"] for entry in result["curve"]]
    assert losses[-1] < losses[0] / 4
    scores = result["scores"]["test"]
    assert scores["model"]["MSE"] < scores["nothing"]["MSE"] / 4
    assert scores["model"]["samples"] == scores["model"]["distinct"]


def test_the_curve_is_in_the_result_and_a_picture_beside_it(
    quakes: Dataset, tmp_path: Path
) -> None:
    result = _run(quakes, tmp_path)
    assert [entry["epoch"] for entry in result["curve"]] == [1, 2, 3]
    assert all(entry["validation"]["MSE"] > 0 for entry in result["curve"])
    assert result["curve"][-1]["validation"] == result["scores"]["validation"]["model"]
    assert (tmp_path / "curve.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_what_the_machine_does_not_tell_is_absent_and_not_zero(
    quakes: Dataset, tmp_path: Path
) -> None:
    result = _run(quakes, tmp_path, device="cpu")
    assert "energy_joules" not in result
    assert "peak_device_memory_bytes" not in result
    assert result["peak_memory_bytes"] > 2**20
    assert 0 <= result["stall_share"] <= 1
    assert result["samples_per_second"] > 0
    assert result["hardware"]["device"] == "cpu"


def test_training_ends_at_the_target_and_says_when(quakes: Dataset, tmp_path: Path) -> None:
    easy = tasks.profile(target=Target(value=1e9, source="the tests"))
    result = _run(quakes, tmp_path / "a", easy, stop_at_target=True)
    assert (result["ended"], len(result["curve"])) == ("target", 1)
    assert result["target"]["reached"]
    assert 0 < result["target"]["seconds"] < 60
    hard = tasks.profile(target=Target(value=-1.0, source="the tests"))
    result = _run(quakes, tmp_path / "b", hard, stop_at_target=True)
    assert (result["ended"], len(result["curve"])) == ("epochs", 3)
    assert result["target"] == {
        "value": -1.0,
        "source": "the tests",
        "reached": False,
        "seconds": None,
    }


def test_training_that_gets_no_better_ends_and_the_best_weights_are_scored(
    quakes: Dataset, tmp_path: Path
) -> None:
    # It jumps away from what it learnt: the rate is far too high after the first epoch.
    changed: dict[str, Any] = {
        "epochs": 9,
        "patience": 2,
        "optimizer": "sgd",
        "learning_rate": 0.9,
        "clip": 3,
    }
    best = _run(quakes, tmp_path / "best", keep="best", **changed)
    curve = [entry["validation"]["MSE"] for entry in best["curve"]]
    assert best["ended"] == "patience"
    assert len(curve) < 9
    assert best["best"] == {"epoch": curve.index(min(curve)) + 1, "MSE": min(curve)}
    assert best["scores"]["validation"]["model"]["MSE"] == min(curve)
    last = _run(quakes, tmp_path / "last", **changed)
    assert last["scores"]["validation"]["model"]["MSE"] == curve[-1] > min(curve)


def test_evaluations_can_be_rare_or_none_but_never_skip_the_end(
    quakes: Dataset, tmp_path: Path
) -> None:
    rare = _run(quakes, tmp_path / "rare", evaluate_every=2)
    assert ["validation" in entry for entry in rare["curve"]] == [False, True, True]
    none = _run(quakes, tmp_path / "none", evaluate_every=0)
    assert not any("validation" in entry for entry in none["curve"])
    assert none["scores"] == rare["scores"]


# torch.compile uses what torch calls deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "changed",
    [
        {"precision": "bf16"},
        {"channels_last": True},
        pytest.param({"compile": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_options_of_the_machine_change_the_score_by_rounding_only(
    quakes: Dataset, tmp_path: Path, changed: dict[str, Any]
) -> None:
    plain = _run(quakes, tmp_path / "plain", device="cpu")
    other = _run(quakes, tmp_path / "other", device="cpu", **changed)
    score = plain["scores"]["test"]["model"]["MSE"]
    assert other["scores"]["test"]["model"]["MSE"] == pytest.approx(score, rel=0.05)
    assert other["hyperparameters"] == plain["hyperparameters"] | changed


def test_bfloat16_is_really_used(quakes: Dataset, tmp_path: Path) -> None:
    plain = _run(quakes, tmp_path / "plain", device="cpu")
    other = _run(quakes, tmp_path / "bf16", device="cpu", precision="bf16")
    assert other["curve"][0]["loss"] != plain["curve"][0]["loss"]


def test_the_earthquake_model_runs_in_bfloat16(quakes: Dataset, tmp_path: Path) -> None:
    task = load_task("tevolop")
    changed = {"epochs": 1, "batch_size": 28, "stride": 4, "score_stride": 4}
    result = run(
        task,
        task.profile("mini"),
        quakes,
        tmp_path,
        changed={**changed, "precision": "bf16", "device": "cpu"},
    )
    assert result["scores"]["test"]["model"]["NNSE"] > 0


def test_a_device_that_is_not_there_is_named(quakes: Dataset, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(InvalidError, match="there is no such device"):
        _run(quakes, tmp_path, device="cuda")


def test_a_loss_that_is_no_number_ends_the_run(quakes: Dataset, tmp_path: Path) -> None:
    task = dataclasses.replace(tasks.TASK, loss=tasks.diverging)
    with pytest.raises(InvalidError, match="the loss is not a number in epoch 1"):
        run(task, tasks.profile(), quakes, tmp_path, changed={})
    assert not (tmp_path / "result.json").exists()


def test_a_batch_that_is_more_than_the_training_part_is_refused(
    quakes: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(InvalidError, match="batch_size 1000 is more than the 84 samples") as e:
        _run(quakes, tmp_path, batch_size=1000)
    assert e.value.fix == "--set batch_size=84"


def test_a_model_that_does_not_exist_is_named(quakes: Dataset) -> None:
    with pytest.raises(NotFoundError, match="no model 'vgg' of images; there are images"):
        plan(tasks.TASK, tasks.profile(), quakes, changed={"model": "vgg"})


def test_a_profile_that_freezes_lets_only_the_machine_be_changed(quakes: Dataset) -> None:
    frozen = tasks.TASK.profile("fixed-model")
    machine = {"device": "cpu", "seed": 3, "precision": "bf16", "threads": 2, "epochs": 3}
    assert plan(tasks.TASK, frozen, quakes, changed=machine)["hyperparameters"]["seed"] == 3
    with pytest.raises(InvalidError, match="the profile fixed-model freezes learning_rate"):
        plan(tasks.TASK, frozen, quakes, changed={"learning_rate": 0.1})


@pytest.mark.parametrize(
    ("name", "value", "parsed"),
    [("epochs", "7", 7), ("epochs", 7.0, 7), ("learning_rate", "1e-3", 1e-3),
     ("learning_rate", 1, 1.0), ("compile", "true", True), ("compile", False, False),
     ("precision", 32, "32"), ("model", "normalised", "normalised")],
)  # fmt: skip
def test_a_setting_is_read_as_its_field_wants_it(name: str, value: object, parsed: Any) -> None:
    found = getattr(BASE.changed({name: value}), name)
    assert (found, type(found)) == (parsed, type(parsed))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("epochs", "7.5", "is not a whole number"), ("epochs", True, "is not a whole number"),
     ("learning_rate", "fast", "is not a number"), ("compile", "perhaps", "true or false"),
     ("precision", "16", "is not 32 or bf16"), ("momentum", 2, "out of range"),
     ("learning_rate", "nan", "out of range"), ("model", 3, "is not text")],
)  # fmt: skip
def test_a_setting_of_another_kind_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        BASE.changed({name: value})


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("lr", "learning_rate"), ("epoch", "epochs"), ("batchsize", "batch_size")],
)
def test_an_unknown_setting_is_refused_with_the_nearest_known(wrong: str, right: str) -> None:
    with pytest.raises(NotFoundError, match=f"no setting {wrong}; did you mean {right}"):
        BASE.changed({wrong: 1})
    assert nearest("zzz", ["epochs"]) == ""


def test_the_settings_of_a_run_are_a_file_that_gives_the_same_run(
    quakes: Dataset, tmp_path: Path
) -> None:
    first = _run(quakes, tmp_path / "first", learning_rate=0.02, seed=5)
    settings: dict[str, Any] = dict(read_settings(tmp_path / "first" / "settings.yaml"))
    again = _run(quakes, tmp_path / "again", **settings)
    assert again["identity"] == first["identity"]
    assert again["scores"] == first["scores"]


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", "epochs: [1]", "a: b: c", "!!python/object:os.system x", "\x00"]
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InvalidError, match="is not a mapping of settings"):
        read_settings(tmp_path / "c.yaml")
    with pytest.raises(NotFoundError, match="cannot read"):
        read_settings(tmp_path / "none.yaml")


def test_on_the_command_line_the_profile_the_file_and_the_options_are_in_that_order(
    quakes: Dataset, tmp_path: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump({"epochs": 7, "batch_size": 14, "decay": 0.5}))
    store = quakes.store.url.removeprefix("file://")
    words = ["bench", "run", "tevolop", "--dataset", "quakes", "--store", store, "--dry-run"]
    words += ["--config", str(config), "--set", "batch_size=21", "--set", "epochs=8"]
    shown = CliRunner().invoke(cli, [*words, "--epochs", "9"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)["hyperparameters"]
    assert (found["epochs"], found["batch_size"], found["decay"]) == (9, 21, 0.5)
    refused = CliRunner().invoke(cli, [*words, "--set", "epochs"])
    assert refused.exit_code == 2


def test_the_learning_rate_rises_and_falls_as_the_settings_say() -> None:
    settings = BASE.changed({"epochs": 10, "warmup": 2, "decay": 0.1})
    rates = [learning_rate(settings, epochs) for epochs in (0, 1, 2, 10, 11)]
    assert rates[0] == 0
    assert rates[1] == pytest.approx(rates[2] / 2, rel=0.1)
    assert rates[3:] == [pytest.approx(0.1)] * 2


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)],
)
def test_the_optimizer_is_the_one_that_the_settings_name(name: str, kind: type) -> None:
    made = optimizer_of(
        torch.nn.Linear(1, 1), BASE.changed({"optimizer": name, "momentum": 0.5})
    )
    assert type(made) is kind
    assert made.param_groups[0].get("momentum", 0.5) == 0.5


def test_every_task_has_named_sources_and_a_mini_and_a_reference_profile() -> None:
    from scidata.benchmarks import TASKS

    for name in TASKS:
        task = load_task(name)
        assert task.name == name
        assert task.source
        assert {"mini", "reference"} <= set(task.profiles)
        for profile in task.profiles.values():
            assert profile.settings.model in task.models
            assert profile.target is None or profile.target.source
            assert profile.frozen == (profile.name == "fixed-model")


def test_only_torchrun_makes_a_process_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert torchrun.is_first()
    assert torchrun.settings() == {}
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert not torchrun.is_first()
    assert torchrun.settings() == {"devices": 4}
