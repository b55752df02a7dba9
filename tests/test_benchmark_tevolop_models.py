"""The larger networks of the earthquake benchmark, the smoothed rate, and forecasts by lead."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

import scidata
from scidata.benchmarks import load_task, run_task
from scidata.benchmarks.baselines import LeastSquares, omori_weights
from scidata.benchmarks.science_transformer import ScienceTransformer
from scidata.benchmarks.scoring import Scorer
from scidata.benchmarks.temporal_fusion import TemporalFusion, Widths
from scidata.benchmarks.tevolop_leads import COLUMNS, Leads, collate
from tests.windows import arrays, publish_quakes

WINDOW = 26


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_quakes(tmp_path_factory.mktemp("quakes"))


@pytest.fixture(scope="module")
def leads(store: Path) -> Leads:
    task = load_task("tevolop-leads")
    profile = task.profile("mini")
    opened = scidata.open("quakes@1.0.0", store)
    setup: Leads = task.setup(dataset=opened, profile=profile, settings=profile.settings)
    return setup


def trained(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_the_networks_have_their_stated_numbers_of_parameters() -> None:
    assert trained(TemporalFusion(Widths(4, 24, 14, 4))) == 8_005_334
    assert trained(TemporalFusion(Widths(4, 23, 14, 4))) == 7_868_209
    assert trained(ScienceTransformer(27, 24, past_only=True)) == 4_096_280


def test_a_sequence_sees_nothing_of_those_that_end_later() -> None:
    torch.manual_seed(0)
    model = ScienceTransformer(27, 24, past_only=True).eval()
    inputs, time = torch.rand(WINDOW, 3, 27), torch.tensor([30, 31, 30])
    changed = inputs.clone()
    changed[:, 1] += 1
    before, after = model(inputs, time), model(changed, time)
    assert torch.allclose(before[[0, 2]], after[[0, 2]], atol=1e-6)
    model.past_only = False
    assert not torch.allclose(model(inputs, time)[0], model(changed, time)[0], atol=1e-6)


def test_no_lead_sees_what_is_known_only_of_later_leads() -> None:
    torch.manual_seed(0)
    model = TemporalFusion(Widths(4, 23, 14, 4)).eval()
    static, past, future = torch.rand(2, 4), torch.rand(WINDOW, 2, 23), torch.rand(5, 2, 14)
    changed = future.clone()
    changed[3:] += 1
    before, after = model(static, past, future), model(static, past, changed)
    assert before.shape == (2, 5, 4)
    assert torch.allclose(before[:, :3], after[:, :3], atol=1e-6)
    assert not torch.allclose(before[:, 3:], after[:, 3:], atol=1e-6)


def test_a_network_whose_companions_matter_is_scored_in_mixed_batches(store: Path) -> None:
    task = load_task("tevolop")
    opened, profile = scidata.open("quakes@1.0.0", store), task.profile("mini")

    def places(model: str) -> list[int]:
        changed = {"model": model, "score_stride": 1, "score_batch_size": 16}
        settings = profile.settings.changed(changed)
        setup = task.setup(dataset=opened, profile=profile, settings=settings)
        fabric = Fabric(accelerator="cpu", devices=1)
        scorer = Scorer(fabric, task, setup, task.model(setup), lambda: None)
        stream = scorer.stream("validation")
        found = next(iter(stream))["location"].tolist()
        stream.close()
        return [int(place) for place in found]

    assert len(set(places("lstm"))) < len(set(places("science-transformer")))
    assert places("science-transformer") == places("science-transformer")


def test_least_squares_finds_known_coefficients_and_leaves_out_what_is_missing() -> None:
    random = np.random.default_rng(0)
    features = np.column_stack([np.ones(50), random.normal(size=50)])
    observed = features @ np.array([[1.0, 2.0], [3.0, -1.0]])
    observed[7, 0] = np.nan
    fit = LeastSquares(2, 2)
    fit.add(features[:20], observed[:20])
    fit.add(features[20:], observed[20:])
    assert np.allclose(fit.solve(), [[1, 2], [3, -1]])


def test_omori_weights_sum_to_one_and_rise_towards_now() -> None:
    weights = omori_weights(26, days=14)
    assert weights.sum() == pytest.approx(1)
    assert (np.diff(weights) > 0).all()


def test_targets_by_lead_are_the_windows_that_end_there(leads: Leads) -> None:
    ahead = arrays(6, 330)["magnitude_ahead"].values
    samples = {"location": torch.tensor([0, 4]), "time": torch.tensor([40, 328])}
    found = leads.observed(samples).numpy()
    for lead in (1, 7, 26):
        assert found[0, lead - 1, 0] == ahead[0, 40 + lead - 1, 0]
        assert found[0, lead - 1, 3] == ahead[0, 40 + lead - 26, COLUMNS[3]]
    # Step 329 is the last, and nothing is known of what follows it.
    assert not np.isnan(found[1, 0, 0])
    assert np.isnan(found[1, 1:, 0]).all()


def test_the_future_holds_encodings_only_and_the_past_no_target(leads: Leads) -> None:
    samples = next(iter(leads.known()))
    batch = collate(leads, samples)
    changed = {**samples, "magnitude_ahead": samples["magnitude_ahead"] + 1}
    for one, two in zip(batch.inputs, collate(leads, changed).inputs, strict=True):
        assert torch.equal(one, two)
    assert [tuple(t.shape[::2]) for t in batch.inputs[1:]] == [(26, 23), (26, 14)]


@pytest.mark.parametrize(
    ("task", "model"), [("tevolop", "science-transformer"), ("tevolop-leads", "tft")]
)
def test_a_large_network_trains_a_step_and_is_scored_beside_its_baselines(
    store: Path, tmp_path: Path, task: str, model: str
) -> None:
    few: dict[str, Any] = {"epochs": 1, "batch_size": 8, "stride": 40, "score_stride": 20}
    settings = {**few, "model": model, "evaluate_every": 0}
    result = run_task(
        task, dataset="quakes@1.0.0", store=store, out=tmp_path / "run", settings=settings
    )
    found = result["scores"]["validation"]
    assert {"model", "persistence", "climatology", "smoothed rate"} <= found.keys()
    assert all(0 < scores["NNSE"] < 1 for scores in found.values())
