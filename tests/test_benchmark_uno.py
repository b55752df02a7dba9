"""The drug response benchmark: model, schedule, baselines and scores, and that it learns."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import scidata
from scidata.benchmarks import load_task
from scidata.benchmarks.task import Batch
from scidata.benchmarks.towers import Towers, drop_always
from scidata.benchmarks.training import training_stream
from scidata.benchmarks.uno import ResponseScores, collate, predict, rate
from scidata.benchmarks.uno_baselines import effects
from scidata.benchmarks.uno_setup import Responses, Scale, Trained, UnoSettings, _moments
from scidata.building import build
from scidata.datasets.candle_uno import hill
from scidata.datasets.candle_uno.simulate import pair, simulate
from scidata.publishing import publish


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uno")
    build("candle-uno-mini", None, folder / "staged")
    publish(folder / "staged", folder / "store", version="1.0.0")
    return folder / "store"


def opened(store: Path, **changed: object) -> Responses:
    task = load_task("candle-uno")
    profile = task.profile("mini")
    found: Responses = task.setup(
        dataset=scidata.open("candle-uno-mini", store),
        profile=profile,
        settings=profile.settings.changed(changed),
    )
    return found


def test_the_model_has_the_published_number_of_parameters() -> None:
    assert sum(p.numel() for p in Towers(942, 5270).parameters()) == 16_224_001


def test_dropout_is_off_when_the_model_is_evaluated_unless_asked_for() -> None:
    torch.manual_seed(0)
    model = Towers(5, 7, width=20, dropout=0.5).eval()
    inputs = torch.randn(4, 5), torch.randn(4, 7)
    assert torch.equal(model(*inputs), model(*inputs))
    drop_always(model)
    assert not torch.equal(model(*inputs), model(*inputs))


def test_the_published_warm_up_falls_by_whole_epochs_to_a_tenth() -> None:
    settings = UnoSettings(
        model="towers", epochs=50, batch_size=32, learning_rate=1e-3, published_rate=True
    )
    rates = [rate(settings, epochs, ()) for epochs in (0, 0.9, 1, 2, 5, 30)]
    assert rates == pytest.approx([1e-3, 1e-3, 8.2e-4, 6.4e-4, 1e-4, 1e-4])


def test_the_published_rate_is_halved_where_five_epochs_bring_nothing_down_to_a_least() -> None:
    settings = UnoSettings(
        model="towers", epochs=50, batch_size=32, learning_rate=1e-3, published_rate=True
    )
    better = [1 - 0.01 * epoch for epoch in range(10)]
    seen = [*better, *[better[-1] - 5e-5] * 40]  # better, but by too little
    rates = [rate(settings, epochs, seen[:epochs]) for epochs in (10, 14, 15, 20, 25, 45)]
    assert rates == pytest.approx([1e-4, 1e-4, 5e-5, 2.5e-5, 1.25e-5, 1e-5])
    warm = [rate(settings, epochs, [1.0] * epochs) for epochs in (5, 6)]
    assert warm == pytest.approx([1e-4, 5e-5])
    unseen = [rate(settings, epochs, [None] * epochs) for epochs in (6, 30)]
    assert unseen == pytest.approx([1e-4, 1e-4])


def test_the_published_rules_keep_the_order_of_rows(store: Path) -> None:
    task = load_task("candle-uno")
    for name in ("reference", "fixed-model"):
        profile = task.profile(name)
        assert any("same order" in quirk for quirk in profile.quirks)
        setup = task.setup(
            dataset=scidata.open("candle-uno-mini", store),
            profile=profile,
            settings=profile.settings,
        )
        stream = training_stream(task, setup, 0, 1)
        rows = torch.cat([samples["row"] for samples in stream])
        stream.close()
        assert torch.equal(rows, rows.sort().values)


def test_effects_of_cells_and_drugs_add_up() -> None:
    cell, drug = (a.ravel() for a in np.indices((40, 30)))
    seen = 3 + np.linspace(-1, 1, 40)[cell] + np.linspace(-2, 2, 30)[drug]
    mean, of_cell, of_drug = effects(cell, [drug], seen)
    assert mean + of_cell[cell] + of_drug[drug] == pytest.approx(seen, abs=0.15)


def test_features_are_scaled_by_what_trains(store: Path) -> None:
    setup = opened(store)
    stream = setup.stream("train")
    batch = collate(setup, next(iter(stream)))
    stream.close()
    assert [tensor.shape[1] for tensor in batch.inputs] == [942, 5270]
    assert all(tensor.abs().max() <= 10 for tensor in batch.inputs)
    rows = np.unique(setup.trained.cell)
    held = setup.dataset.to_xarray("cells")["expression"].values[rows]
    assert setup.features["expression"].mean.numpy() == pytest.approx(held.mean(0), abs=1e-5)


def test_the_mean_scores_the_variance_and_the_truth_scores_the_noise(store: Path) -> None:
    task = load_task("candle-uno")
    setup = opened(store)
    asked = task.baselines(setup, "test")
    scores = {name: task.measure(setup, "test") for name in asked}
    stream = setup.stream("test")
    for samples in stream:
        batch = collate(setup, samples)
        for name, forecaster in asked.items():
            scores[name].update(forecaster(batch), batch)
    stream.close()
    found = {name: score.compute() for name, score in scores.items()}
    assert found["mean"]["Pearson"] == 0  # of a constant, and no division by zero
    assert found["mean"]["R2"] == pytest.approx(0, abs=0.05)
    assert found["truth"]["MSE"] == pytest.approx(0.004, abs=0.001)
    assert found["drug mean"]["MSE"] < found["mean"]["MSE"]
    assert found["truth"]["known cells"] == 0
    assert found["truth"]["known drugs"] == 1


def test_a_mean_of_draws_differs_from_one_prediction(store: Path) -> None:
    setup = opened(store, draws=3, width=16)
    stream = setup.stream("test", batch_size=8)
    batch = collate(setup, next(iter(stream)))
    stream.close()
    torch.manual_seed(0)
    model = load_task("candle-uno").model(setup).eval()
    assert not torch.equal(predict(setup, model, batch), model(*batch.inputs))
    assert not model.training
    assert torch.equal(model(*batch.inputs), model(*batch.inputs))


def test_the_loss_falls_in_sixty_steps(store: Path) -> None:
    setup = opened(store, width=128, dropout=0.0)
    task = load_task("candle-uno")
    torch.manual_seed(0)
    model = task.model(setup)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4)
    stream = setup.stream("train", batch_size=64, shuffle=True, seed=0)
    losses = []
    for samples, _ in zip(stream, range(60), strict=False):
        batch = collate(setup, samples)
        optimizer.zero_grad()
        loss = task.loss(setup, model(*batch.inputs), batch)
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    stream.close()
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_two_drugs_share_a_tower_and_their_scaling(tmp_path: Path) -> None:
    build("candle-uno-pairs-mini", None, tmp_path / "staged")
    publish(tmp_path / "staged", tmp_path / "store", version="1.0.0")
    task = load_task("candle-uno")
    profile = task.profile("pairs")
    setup: Responses = task.setup(
        dataset=scidata.open("candle-uno-pairs-mini", tmp_path / "store"),
        profile=profile,
        settings=profile.settings.changed({"width": 16}),
    )
    held = setup.dataset.to_xarray("drugs")["descriptors"].values
    stream = setup.stream("test", batch_size=500)
    samples = next(iter(stream))
    stream.close()
    assert np.array_equal(samples["descriptors2"], held[samples["drug2_number"].numpy()])
    assert np.array_equal(samples["descriptors"], held[samples["drug_number"].numpy()])
    assert not (samples["drug_number"] == samples["drug2_number"]).any()
    assert torch.equal(setup.features["descriptors"].mean, setup.features["descriptors2"].mean)
    batch = collate(setup, samples)
    model = task.model(setup)
    assert model(*batch.inputs).shape == (500,)
    alone = Towers(942, 5270, width=16)
    more = sum(p.numel() for p in model.parameters()) - sum(
        p.numel() for p in alone.parameters()
    )
    assert more == 16 * 16  # of the trunk's first layer
    scores = {}
    for name, forecaster in task.baselines(setup, "test").items():
        measure = task.measure(setup, "test")
        measure.update(forecaster(batch), batch)
        scores[name] = measure.compute()
    assert scores["truth"]["MSE"] == pytest.approx(0.004, abs=0.001)
    assert scores["additive"]["MSE"] < scores["drug mean"]["MSE"] < scores["mean"]["MSE"]
    assert scores["mean"]["known drugs"] == 1


def test_effects_of_pairs_add_up_whichever_drug_comes_first() -> None:
    rng = np.random.default_rng(0)
    true = np.linspace(-1, 1, 20)
    cell, first, second = rng.integers(0, 20, (3, 4000))
    seen = 3 + true[cell] + true[first] + true[second]
    mean, of_cell, of_drug = effects(cell, [first, second], seen)
    found = mean + of_cell[cell] + of_drug[first] + of_drug[second]
    assert found == pytest.approx(seen, abs=0.1)


def test_effects_of_drugs_that_are_always_together_are_shared() -> None:
    cell = np.zeros(100, np.int64)
    first, second = np.repeat([0, 2], 50), np.repeat([1, 3], 50)
    _, _, of_drug = effects(cell, [first, second], np.repeat([1.0, -1.0], 50))
    assert of_drug == pytest.approx([0.5, 0.5, -0.5, -0.5], abs=0.05)


def test_a_pair_of_drugs_is_known_if_both_are() -> None:
    first, second = np.array([0, 1]), np.array([1, 2])
    trained = Trained(np.array([0, 1]), (first, second), np.zeros(2))
    setup: Any = SimpleNamespace(scale=(0.0, 1.0), trained=trained, drugs=("drug", "drug2"))
    scores = ResponseScores(setup)
    numbers = {"cell": [0, 5, 1, 1], "drug": [0, 0, 0, 9], "drug2": [2, 1, 9, 9]}
    samples = {f"{name}_number": torch.tensor(held) for name, held in numbers.items()}
    scores.update(torch.zeros(4), Batch((), torch.arange(4.0), samples))
    found = scores.compute()
    assert (found["known cells"], found["known drugs"]) == (0.75, 0.5)


def test_features_are_scaled_clipped_and_zero_where_there_is_none() -> None:
    mean, deviation = _moments(np.array([[1.0, 2.0, np.nan], [1.0, 4.0, 5.0]]))
    assert (mean.tolist(), deviation.tolist()) == ([1, 3, 5], [1, 1, 1])  # flat ones by 1
    scale = Scale("cell", torch.tensor(mean), torch.tensor(deviation))
    setup: Any = SimpleNamespace(features={"genes": scale})
    genes = torch.tensor([[2.0, 50.0, float("nan")], [1.0, -50.0, 6.0]])
    found = Responses.vector(setup, {"genes": genes}, "cell")
    assert found.tolist() == [[1, 10, 0], [0, -10, 1]]


def test_a_pair_leaves_what_both_drugs_leave_independently() -> None:
    drawn = simulate(1, cells=12, drugs=6)
    found = pair(drawn, 1, pairs=50)
    curves = zip(drawn.ec50, drawn.slope, drawn.einf, strict=True)
    alone = [float(hill.response(np.array(-6.4), *map(float, curve))) for curve in curves]
    at = {key: n for n, key in enumerate(zip(drawn.cell, drawn.drug, strict=True))}
    for cell, first, second, left in zip(
        found.cell, found.first, found.second, found.noiseless, strict=True
    ):
        assert first != second
        both = alone[at[cell, first]] * alone[at[cell, second]]
        assert left == pytest.approx(both, abs=1e-5)
