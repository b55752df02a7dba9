"""The space-group benchmark: models, scores and baselines, and that it learns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, top_k_accuracy_score
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

import scidata
from scidata.benchmarks import load_task
from scidata.benchmarks.harness import run
from scidata.benchmarks.resnet import CLASSES, OneByOne, ResNet, SmallNet
from scidata.benchmarks.stemdl import Centroids, Crystals, SpaceGroupScores
from scidata.benchmarks.task import Batch
from scidata.building import build
from scidata.datasets.stemdl.published import write_batch
from scidata.publishing import publish
from tests.patterns import facts_of, intensity_of

NAME = "stemdl-classification"


def batch_of(target: Tensor) -> Batch:
    return Batch((), target, {})


def scored(logits: Tensor, target: Tensor, size: int = 32) -> dict[str, float]:
    known = torch.zeros(CLASSES, dtype=torch.bool)
    known[1:41] = True
    scores = SpaceGroupScores(known)
    for start in range(0, len(target), size):
        part = slice(start, start + size)
        scores.update(logits[part], batch_of(target[part]))
    return scores.compute()


@pytest.fixture(scope="module")
def guesses() -> tuple[Tensor, Tensor]:
    """Logits of 500 samples in 40 classes, right about every third time."""
    random = torch.Generator().manual_seed(0)
    target = torch.randint(1, 41, (500,), generator=random)
    target[:200] = 14
    logits = torch.rand(500, CLASSES, generator=random)
    logits[:, 41:] = 0
    logits[torch.arange(500), target] += 0.9
    return logits, target


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published archive of small patterns: brighter in a place that tells the group."""
    folder = tmp_path_factory.mktemp("groups")
    material = 0
    for role, count in (("train", 30), ("dev", 6), ("test", 6)):
        samples: dict[str, Any] = {}
        for _ in range(count):
            for energy in (100, 110):
                facts = facts_of(material, energy)
                intensity = intensity_of(material, energy, 32) * 1e-3
                place = 4 + 8 * (material % 3)
                intensity[:, place : place + 4] = 1e6
                samples[f"sample_{material}_{energy}"] = (intensity, facts)
            material += 1
        write_batch(folder / f"in/{role}/batch_{role}_0.h5", samples)
    build(NAME, folder / "in", folder / "staged")
    publish(folder / "staged", folder / "store", version="1.0.0")
    return folder / "store"


def opened(store: Path, **settings: Any) -> Crystals:
    task = load_task(NAME)
    profile = task.profile("strict")
    found: Crystals = task.setup(
        dataset=scidata.open(NAME, store),
        profile=profile,
        settings=profile.settings.changed(settings),
    )
    return found


def test_both_published_models_have_their_numbers_of_parameters() -> None:
    assert sum(p.numel() for p in ResNet(1).parameters()) == 23_975_079
    assert sum(p.numel() for p in ResNet(3).parameters()) == 23_981_351
    task = load_task(NAME)
    assert sum(p.numel() for p in OneByOne(ResNet(1)).parameters()) == 23_975_079
    assert {"resnet50-one-by-one", "resnet50-channels"} <= task.models.keys()


def test_the_reference_model_takes_a_few_steps_at_full_size() -> None:
    torch.manual_seed(0)
    model = ResNet(3)
    images, target = torch.randn(4, 3, 128, 128), torch.tensor([2, 14, 62, 225])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=5e-5)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        found = nn.functional.cross_entropy(model(images), target)
        found.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        losses.append(found.item())
    assert losses[-1] < losses[0]


def test_projections_one_by_one_are_averaged_as_logits_and_drawn_in_training() -> None:
    torch.manual_seed(0)
    model = OneByOne(SmallNet(1, 4), dropout=0.0, erase=0.0)
    images = torch.randn(5, 3, 32, 32)
    model.eval()
    each = torch.stack([model.net(images[:, n : n + 1]) for n in range(3)])
    assert torch.allclose(model(images), each.mean(dim=0), atol=1e-5)
    assert torch.allclose(model(images), model(images[:, [2, 0, 1]]), atol=1e-5)
    seen: list[Tensor] = []
    model.train()
    model.net = nn.Sequential()
    for _ in range(20):
        seen.append(model(images))
    drawn = torch.stack(seen)[:, :, 0]
    assert all(
        any(torch.equal(one, images[sample, n]) for n in range(3))
        for one_round in drawn
        for sample, one in enumerate(one_round)
    )
    assert len({float(one[0, 0, 0]) for one in drawn}) == 3


def test_an_erased_rectangle_covers_between_2_and_33_percent() -> None:
    torch.manual_seed(0)
    model = OneByOne(nn.Identity(), erase=0.8)
    share = (model._erased(torch.ones(2000, 64, 64)) == 0).float().mean(dim=(1, 2))
    assert 0.75 < float((share > 0).float().mean()) < 0.85
    assert float(share[share > 0].min()) > 0.005
    assert float(share.max()) < 0.36


def test_scores_equal_those_of_scikit_learn_and_torchmetrics_on_the_whole_set(
    guesses: tuple[Tensor, Tensor],
) -> None:
    logits, target = guesses
    found = scored(logits, target)
    predicted = logits.argmax(dim=1)
    labels = sorted(set(target.tolist()))
    assert found["F1"] == pytest.approx(
        f1_score(target, predicted, labels=labels, average="macro", zero_division=0)  # pyright: ignore[reportArgumentType]
    )
    assert found["F1, weighted"] == pytest.approx(
        f1_score(target, predicted, average="weighted", zero_division=0)  # pyright: ignore[reportArgumentType]
    )
    assert found["top-5"] == pytest.approx(
        top_k_accuracy_score(target, logits, k=5, labels=np.arange(CLASSES))
    )
    for k, name in ((1, "top-1"), (5, "top-5")):
        theirs = MulticlassAccuracy(CLASSES, top_k=k, average="micro")
        assert found[name] == pytest.approx(float(theirs(logits, target)))
    each = MulticlassF1Score(CLASSES, average="none")(logits, target)
    assert found["F1"] == pytest.approx(float(each[labels].mean()))
    assert found["F1, known classes"] == pytest.approx(float(each[1:41].mean()))


def test_the_mean_of_batches_is_another_number_and_size_of_batches_changes_no_score(
    guesses: tuple[Tensor, Tensor],
) -> None:
    logits, target = guesses
    found = scored(logits, target)
    batches = [
        f1_score(target[n : n + 32], logits[n : n + 32].argmax(dim=1), average="macro",
                 zero_division=0)  # pyright: ignore[reportArgumentType]
        for n in range(0, len(target), 32)
    ]  # fmt: skip
    assert found["F1, mean of batches"] == pytest.approx(np.mean(batches))
    assert abs(found["F1"] - found["F1, mean of batches"]) > 0.02
    assert scored(logits, target, size=64) == pytest.approx(found)


def test_the_majority_baseline_is_always_the_largest_class() -> None:
    found = Centroids()
    found.add(torch.zeros(6, 3, 32, 32), torch.tensor([14, 14, 14, 2, 2, 225]))
    top = found.majority(torch.zeros(4)).topk(3, dim=1).indices
    assert top.tolist() == [[14, 2, 225]] * 4


def test_patterns_are_scaled_by_those_that_train_in_whatever_split() -> None:
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 9 + 4
    found = Centroids()
    for part in (slice(0, 3), slice(3, 5)):
        found.add(images[part], torch.ones(len(images[part]), dtype=torch.long))
    wanted = float(images.mean()), float(images.std(unbiased=False))
    assert found.scale == pytest.approx(wanted, rel=1e-5)


def test_the_nearest_centroid_is_that_of_the_most_alike_mean() -> None:
    torch.manual_seed(0)
    found = Centroids()
    means = torch.rand(3, 3, 64, 64)
    label = torch.tensor([14, 2, 225]).repeat(8)
    found.add(means.repeat(8, 1, 1, 1) + 0.01 * torch.randn(24, 3, 64, 64), label)
    logits = found.nearest(means)
    assert logits.argmax(dim=1).tolist() == [14, 2, 225]
    assert torch.isneginf(logits[:, 1]).all()


def test_the_squared_loss_is_that_of_raw_logits_against_one_hot(store: Path) -> None:
    logits, target = torch.randn(4, CLASSES), torch.tensor([2, 14, 225, 2])
    setup = opened(store, objective="squared")
    wanted = torch.zeros(4, CLASSES)
    wanted[torch.arange(4), target] = 1
    found = load_task(NAME).loss(setup, logits, batch_of(target))
    assert float(found) == pytest.approx(float(((logits - wanted) ** 2).mean()))


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_small_network_learns_what_the_majority_cannot_know(
    store: Path, tmp_path: Path, precision: str
) -> None:
    task = load_task(NAME)
    profile = task.profile("strict")
    result = run(
        task,
        replace(profile, target=None),
        scidata.open(NAME, store),
        tmp_path / "out",
        changed={
            "model": "small", "width": 4, "epochs": 6, "batch_size": 8, "learning_rate": 3e-3,
            "warmup": 0, "device": "cpu", "precision": precision,
            "channels_last": precision == "bf16",
        },
    )  # fmt: skip
    scores = result["scores"]["test"]
    assert scores["model"]["F1"] > 0.9
    assert scores["majority"]["F1"] < 0.25
    assert scores["majority"]["top-1"] == pytest.approx(1 / 3, abs=0.01)
    assert {"model", "majority", "nearest centroid"} == set(scores)


def test_every_profile_says_what_leaks() -> None:
    task = load_task(NAME)
    assert {n for n, p in task.profiles.items() if p.split == "random"} == {
        "mini-leaky",
        "leaky-random",
    }
    for name, profile in task.profiles.items():
        assert bool(profile.leaks) == (profile.split == "random" or name == "mini")
