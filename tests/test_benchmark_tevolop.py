"""The earthquake benchmark: features, persistence, the model, and that it learns."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from scidata.benchmarks import load_task
from scidata.benchmarks.recurrent import SeluLstm, _Recurrence
from scidata.benchmarks.tevolop import Lstm, squared_error
from scidata.benchmarks.tevolop_features import (
    INPUTS,
    OUTPUTS,
    WINDOWS,
    Encoding,
    Scaling,
    features,
    persistence,
    season,
    wanted,
)
from scidata.errors import InvalidError, NotFoundError

PLACES, STEPS, WINDOW = 10, 100, 26


def _scaling() -> Scaling:
    bounds: dict[str, Any] = {"min": 1.0, "max": 3.0}
    names = ("magnitude", "depth", "multiplicity", "multiplicity_3p29")
    variables: dict[str, Any] = dict.fromkeys(names, bounds)
    variables["magnitude_back"] = {**bounds, "each": [bounds] * 5}
    variables["magnitude_ahead"] = {
        **bounds,
        "each": [{"min": 0.0, "max": k + 1.0} for k in range(10)],
    }
    return Scaling.of({"variables": variables}, np.array([[0, 35, 0, 0]]))


def _batch(seed: int = 0) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {
        "magnitude": torch.rand(3, WINDOW, generator=random),
        "depth": torch.rand(3, WINDOW, generator=random),
        "multiplicity": torch.rand(3, WINDOW, generator=random),
        "multiplicity_3p29": torch.rand(3, WINDOW, generator=random),
        "magnitude_back": torch.rand(3, WINDOW, 5, generator=random),
        "magnitude_ahead": torch.rand(3, 10, generator=random),
        "fault_label": torch.randint(0, 36, (3, 4), generator=random),
        "location": torch.tensor([0, 4, 9]),
        "time": torch.tensor([25, 60, 99]),
    }


def test_the_model_has_the_published_number_of_parameters() -> None:
    assert (INPUTS, OUTPUTS) == (27, 24)
    assert sum(p.numel() for p in Lstm().parameters()) == 65_560


def test_the_layer_equals_its_definition_step_by_step() -> None:
    torch.manual_seed(1)
    layer = SeluLstm(5, 3, dropout=0.0, recurrent_dropout=0.0).double()
    inputs = torch.randn(7, 2, 5, dtype=torch.double)
    h = c = torch.zeros(2, 3, dtype=torch.double)
    expected = []
    for x in inputs:
        i, f, o, g = (x @ layer.kernel + h @ layer.recurrent + layer.bias).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * torch.selu(g)
        h = o.sigmoid() * torch.selu(c)
        expected.append(h)
    assert torch.allclose(layer(inputs), torch.stack(expected))


def test_the_written_out_derivatives_equal_numerical_ones() -> None:
    torch.manual_seed(2)
    shapes = [(4, 2, 3), (3, 8), (2, 8), (8,)]
    arguments = [torch.randn(s, dtype=torch.double, requires_grad=True) for s in shapes]
    mask = torch.tensor([[1.25, 0.0], [1.25, 1.25]], dtype=torch.double)
    assert torch.autograd.gradcheck(_Recurrence.apply, (*arguments, mask))


def test_dropout_is_off_when_scoring() -> None:
    model = Lstm().eval()
    inputs = torch.rand(WINDOW, 4, INPUTS)
    assert torch.equal(model(inputs), model(inputs))
    model.train()
    assert not torch.equal(model(inputs), model(inputs))


def test_features_stand_in_the_published_order() -> None:
    batch, encoding = _batch(), Encoding(PLACES, STEPS)
    found = features(batch, _scaling(), encoding)
    assert found.shape == (WINDOW, 3, 27)
    assert torch.allclose(found[5, 1, :4], batch["fault_label"][1] / 35)
    assert torch.allclose(found[5, 1, 4], (batch["magnitude"][1, 5] - 1) / 2)
    assert torch.allclose(found[5, 1, 7], (batch["multiplicity_3p29"][1, 5] - 1) / 2)
    assert torch.allclose(found[5, 1, 8:13], (batch["magnitude_back"][1, 5] - 1) / 2)
    # Place 4 of 10; step 60 - 25 + 5 = 40 of 0…99.
    assert torch.allclose(found[5, 1, 13:16], torch.tensor([0.4, 0.5, 40 / 99]))
    u = 2 * 40 / 99 - 1
    assert float(found[5, 1, 16]) == pytest.approx((3 * u**2 - 1) / 2, abs=1e-6)
    assert float(found[5, 1, 19]) == pytest.approx(math.cos(2 * math.pi * 40 / 8), abs=1e-6)
    assert float(found[5, 1, 26]) == pytest.approx(math.sin(2 * math.pi * 40 / 64), abs=1e-6)


def test_what_is_missing_enters_as_the_smallest_value() -> None:
    batch = _batch()
    batch["depth"][0, 3] = torch.nan
    assert features(batch, _scaling(), Encoding(PLACES, STEPS))[3, 0, 5] == 0


def test_targets_are_scaled_by_window_and_encode_the_following_step() -> None:
    batch, encoding = _batch(), Encoding(PLACES, STEPS)
    found = wanted(batch, _scaling(), encoding)
    assert torch.allclose(found[:, :10], batch["magnitude_ahead"] / torch.arange(1.0, 11.0))
    following = encoding(batch["location"], batch["time"] + 1)
    assert torch.equal(found[:, 10:], following)


def test_scaling_is_undone_exactly() -> None:
    scaling, values = _scaling(), torch.rand(4, 10)
    back = scaling.restore("magnitude_ahead", scaling.scale("magnitude_ahead", values))
    assert torch.allclose(back, values)


def test_statistics_that_lack_a_variable_are_refused() -> None:
    with pytest.raises(InvalidError, match="depth"):
        Scaling.of({"variables": {"magnitude": {"min": 0, "max": 1}}}, np.zeros((1, 4)))


def test_the_loss_leaves_out_what_is_unknown_and_weighs_encodings_a_quarter() -> None:
    predicted, observed = torch.zeros(2, 24), torch.zeros(2, 24)
    observed[0, 0], observed[1, 23], observed[0, 1] = 3.0, 4.0, torch.nan
    assert float(squared_error(predicted, observed)) == pytest.approx((9 + 16 / 4) / 2)


def test_persistence_repeats_the_last_window_of_each_length() -> None:
    back = np.array([3.0, 3.5, 4.0, 4.5, 5.0])
    found = dict(zip(WINDOWS, persistence(np.array(2.0), back).tolist(), strict=True))
    assert found["2 weeks"] == 2.0
    assert [found[w] for w in ("4 weeks", "2 months", "3 months")] == [3.0, 3.5, 4.0]
    assert [found[w] for w in ("6 months", "1 year", "1 year after 1 year")] == [4.5, 5.0, 5.0]
    # Twice the energy, four times the energy.
    assert found["2 years"] == pytest.approx(math.log10(2 * 10**7.5) / 1.5)
    assert found["4 years"] == pytest.approx(math.log10(4 * 10**7.5) / 1.5)


def test_persistence_of_a_year_without_energy_is_no_energy() -> None:
    assert persistence(np.array(0.0), np.zeros(5)).tolist() == [0.0] * 10


def test_seasons_follow_the_calendar_for_seventy_years() -> None:
    dates = np.array(["1950-01-01", "2019-01-01", "2020-12-31", "2020-07-01"], "datetime64[D]")
    assert season(dates).tolist() == [0, 0, 25, 13]


def test_the_loss_falls_by_half_in_sixty_steps() -> None:
    torch.manual_seed(3)
    model, encoding, scaling = Lstm(), Encoding(PLACES, STEPS), _scaling()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for step in range(60):
        batch = _batch(step)
        # A known answer: every window ahead brings what the last fortnight brought.
        batch["magnitude_ahead"] = batch["magnitude"][:, -1:].expand(3, 10)
        optimizer.zero_grad()
        loss = squared_error(
            model(features(batch, scaling, encoding)), wanted(batch, scaling, encoding)
        )
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2


def test_a_task_or_profile_that_does_not_exist_is_named() -> None:
    with pytest.raises(NotFoundError, match=r"there are .*tevolop, tevolop-leads"):
        load_task("cloudmusk")
    with pytest.raises(
        NotFoundError, match="there are mini, simulated, strict, fixed-model, reference"
    ):
        load_task("tevolop").profile("quick")


def test_only_the_reference_profile_leaks_and_it_says_so() -> None:
    profiles = load_task("tevolop").profiles
    assert {name for name, p in profiles.items() if p.leaks} == {"reference"}
    assert {name for name, p in profiles.items() if p.quirks} == {"reference"}
    assert {p.split for n, p in profiles.items() if n != "reference"} == {"time"}
