"""The cloud mask benchmark: model, losses, scores and baselines, and that it learns."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.classification import BinaryAccuracy, BinaryF1Score, BinaryJaccardIndex

import scidata
from scidata.benchmarks import load_task
from scidata.benchmarks.cloudmask import Clouds, collate, day_of, predict
from scidata.benchmarks.cloudmask_baselines import fit
from scidata.benchmarks.harness import run
from scidata.benchmarks.segmentation import MaskScores, weighted_bce
from scidata.benchmarks.task import Batch
from scidata.benchmarks.unet import UNet
from scidata.building import build
from scidata.datasets.cloudmask import mini
from scidata.publishing import publish


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published cloudmask-mini of small scenes, 24 of 60 by 75 pixels."""
    folder = tmp_path_factory.mktemp("clouds")
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(mini.SIZES, "tiny", (60, 75))
        build("cloudmask-mini", None, folder / "staged")
    publish(folder / "staged", folder / "store", version="1.0.0")
    return folder / "store"


def opened(store: Path) -> Clouds:
    task = load_task("cloudmask")
    profile = task.profile("mini")
    found: Clouds = task.setup(
        dataset=scidata.open("cloudmask-mini", store),
        profile=profile,
        settings=profile.settings,
    )
    return found


def test_the_model_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in UNet(9).parameters()) == 1_948_609


def test_the_model_takes_a_few_steps_at_full_patch_size() -> None:
    torch.manual_seed(0)
    model = UNet(9)
    images = torch.randn(1, 9, 256, 256)
    cloud = (images[:, 7] < 0).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        found = weighted_bce(model(images), cloud, 1.0)
        torch.autograd.backward(found)
        optimizer.step()
        losses.append(found.item())
    assert min(losses[1:]) < losses[0]


def test_the_skip_connections_reach_from_every_pixel_to_its_own_prediction() -> None:
    torch.manual_seed(0)
    model = UNet(2, width=4)
    images = torch.randn(1, 2, 16, 16, requires_grad=True)
    torch.autograd.backward(model(images)[0, 5, 9])
    assert images.grad is not None
    assert (images.grad[0, :, 5, 9] != 0).all()


def test_the_weighted_loss_is_the_published_formula_and_plain_at_weight_one() -> None:
    torch.manual_seed(1)
    logits, target = 3 * torch.randn(4, 8, 8), (torch.rand(4, 8, 8) < 0.4).float()
    x, y, beta = logits.double().numpy(), target.double().numpy(), 0.5
    formula = (1 - y) * x + (1 + (beta - 1) * y) * (
        np.log1p(np.exp(-np.abs(x))) + np.maximum(-x, 0)
    )
    assert float(weighted_bce(logits, target, beta)) == pytest.approx(formula.mean(), rel=1e-5)
    plain = functional.binary_cross_entropy_with_logits(logits, target)
    assert torch.allclose(weighted_bce(logits, target, 1.0), plain)
    assert math.isfinite(float(weighted_bce(1e6 * logits, target, 1.0)))


def test_scores_are_those_of_torchmetrics_over_the_whole_set() -> None:
    torch.manual_seed(2)
    scores = MaskScores(beta=0.5)
    logits, target = torch.randn(6, 8, 8), (torch.rand(6, 8, 8) < 0.3).long()
    truth, day = (torch.rand(6, 8, 8) < 0.5).long(), torch.tensor([1, 0, 1, 0, 0, 1])
    for part in (slice(0, 1), slice(1, 6)):
        scores.update(logits[part], target[part], day[part], truth[part])
    found = scores.compute()
    chosen = {"": day >= 0, ", day": day == 1, ", night": day == 0}
    for suffix, at in chosen.items():
        for name, metric in (
            ("accuracy", BinaryAccuracy(threshold=0.5)),
            ("IoU", BinaryJaccardIndex()),
            ("F1", BinaryF1Score()),
        ):
            probabilities = logits[at].sigmoid()
            assert found[name + suffix] == pytest.approx(
                float(metric(probabilities, target[at]))
            )
            metric.reset()
            there = float(metric(probabilities, truth[at]))
            assert found[f"{name} against the truth{suffix}"] == pytest.approx(there)
    plain = functional.binary_cross_entropy_with_logits(logits, target.float())
    assert found["BCE"] == pytest.approx(float(plain), rel=1e-5)


def test_a_batch_that_is_all_night_has_no_score_by_day() -> None:
    scores = MaskScores(beta=0.5)
    scores.update(torch.ones(2, 4, 4), torch.ones(2, 4, 4), torch.zeros(2))
    found = scores.compute()
    assert math.isnan(found["accuracy, day"])
    assert (found["accuracy"], found["accuracy, night"]) == (1.0, 1.0)
    assert "accuracy against the truth" not in found


def test_the_thresholds_are_those_that_are_right_most_often() -> None:
    torch.manual_seed(3)
    kelvin = 260 + 40 * torch.rand(8, 16, 16)
    bright = torch.rand(8, 16, 16)
    day = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0])
    lit = day.reshape(-1, 1, 1) == 1
    cloud = torch.where(lit, (kelvin < 270) | (bright > 0.8), kelvin < 280)
    found = fit([(bright, kelvin, day, cloud)])
    assert found.right == 1.0
    assert found.bright == pytest.approx(0.8, abs=0.02)
    assert list(found.cold) == pytest.approx([280, 270], abs=1)
    assert ((found.mask(bright, kelvin, day) > 0) == cloud).all()
    assert found.share == pytest.approx(float(cloud.float().mean()))
    half = fit([(bright, kelvin, torch.ones(8), torch.rand(8, 16, 16) < 0.3)])
    assert (half.majority(kelvin) < 0).all()


def test_empty_borders_are_no_cloud_to_the_thresholds() -> None:
    kelvin = torch.full((1, 4, 4), 285.0)
    kelvin[:, :, 0] = 0
    cloud = torch.zeros(1, 4, 4)
    cloud[:, :, 1] = 1
    found = fit([(torch.zeros(1, 4, 4), kelvin - 10 * cloud, torch.zeros(1), cloud)])
    assert found.right == 1.0
    assert (found.mask(torch.zeros(1, 4, 4), kelvin, torch.zeros(1))[:, :, 0] < 0).all()


def test_inputs_are_scaled_as_published_and_whole_numbers(store: Path) -> None:
    setup = opened(store)
    samples = next(iter(setup.stream("train")))
    samples["bts"][0, 1, 2, 3] = math.nan
    batch = collate(setup, samples)
    (images,) = batch.inputs
    assert images.shape[1:] == (9, 8, 8)
    assert torch.equal(images[1, 0], samples["refs"][1, 0] - 0.5)
    assert torch.equal(images[1, 7], (samples["bts"][1, 1] - 270) / 22)
    assert images[0, 7, 2, 3] == 0
    assert set(batch.target.flatten().tolist()) <= {0.0, 1.0}
    assert torch.equal(day_of(samples), samples["day"])


def test_whole_scenes_are_predicted_in_overlapping_patches(store: Path) -> None:
    setup = opened(store)

    class Marks(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            assert images.shape[-2:] == (8, 8)
            return images[:, 7]

    images = torch.randn(2, 9, 60, 75)
    batch = Batch((images,), torch.zeros(2, 60, 75), {})
    assert torch.equal(predict(setup, Marks(), batch), images[:, 7])


def _run(store: Path, out: Path, **changed: Any) -> dict[str, Any]:
    task = load_task("cloudmask")
    settings = {"epochs": 6, "batch_size": 32, "width": 8, "threads": 1, **changed}
    return run(
        task,
        task.profile("mini"),
        scidata.open("cloudmask-mini", store),
        out,
        changed=settings,
    )


@pytest.mark.slow
def test_a_small_run_learns_and_names_its_baselines(store: Path, tmp_path: Path) -> None:
    result = _run(store, tmp_path / "run")
    losses = [entry["loss"] for entry in result["curve"]]
    assert losses[-1] < 0.9 * losses[0]
    test = result["scores"]["test"]
    assert set(test) == {"model", "majority", "threshold", "label"}
    assert test["model"]["accuracy"] > test["majority"]["accuracy"]
    assert test["label"]["accuracy"] == 1.0
    assert 0.8 < test["label"]["accuracy against the truth"] < 1.0
    assert result["splits"]["test"]["scored_samples"] == 6  # whole scenes
    again = _run(store, tmp_path / "again")
    assert again["scores"] == result["scores"]


@pytest.mark.slow
def test_real_scenes_of_other_sensors_run(shared_data: Path, tmp_path: Path) -> None:
    task = load_task("cloudmask")
    for name, channels in (("aatsr", 7), ("landsat8", 10)):
        source = shared_data / "cloudmask" / name
        build(f"cloudmask-{name}", source, tmp_path / name)
        publish(tmp_path / name, tmp_path / "store", version="1.0.0")
        result = run(
            task,
            task.profile(name),
            scidata.open(f"cloudmask-{name}", tmp_path / "store"),
            tmp_path / f"run-{name}",
            changed={"epochs": 2, "width": 8},
        )
        assert result["parameters"] == sum(p.numel() for p in UNet(channels, 8).parameters())
        assert set(result["scores"]["test"]) == {"model", "majority", "threshold"}
        assert result["leaks"]
