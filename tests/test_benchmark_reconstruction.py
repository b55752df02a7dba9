"""The reconstruction benchmark: topology, scores, baselines, and that it learns."""

from typing import cast

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from scidata.benchmarks import load_task
from scidata.benchmarks.densenet import FCDenseNet
from scidata.benchmarks.image_scores import RelativeL1, RingCorrelation, ring_correlation
from scidata.benchmarks.stemdl_reconstruction import (
    BrightField,
    Seen,
    enlarged,
    raster_of,
    side_of,
)
from scidata.errors import InvalidError


def images(seed: int, count: int = 3, side: int = 32) -> Tensor:
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(seed))


def test_the_published_model_has_its_number_of_parameters() -> None:
    with torch.device("meta"):
        model = FCDenseNet(256)
    weights = [p.numel() for p in model.parameters() if p.ndim == 4]
    wide = 256 + 256 + 1280 + 5632 + 6912 + 12800 + 4352 + 1024  # what the 5 by 5 ones see
    down, up = 512**2 + 1024**2 + 2048**2, 768**2 + 1024**2 + 512**2
    assert sum(weights) == wide * 256 * 25 + down + up + 256 == 215_482_624
    assert sum(p.numel() for p in model.parameters()) == 215_500_288


def test_a_small_model_keeps_the_size_of_images_and_learns_a_known_answer() -> None:
    torch.manual_seed(0)
    model = FCDenseNet(4, growth=4)
    shown = torch.rand(4, 4, 8, 8)
    wanted = shown[:, :1] - shown[:, 1:2]
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        found = (model(shown) - wanted).abs().mean()
        found.backward()
        optimizer.step()
        losses.append(found.item())
    assert model(shown).shape == wanted.shape
    assert losses[-1] < 0.6 * losses[0]


def test_ring_correlation_obeys_its_laws() -> None:
    first, second = images(0)[:, 0], images(1)[:, 0]
    one = torch.ones(3, 16, dtype=torch.float64)
    assert torch.allclose(ring_correlation(first, first), one)
    assert torch.allclose(ring_correlation(first, 3 * first + 7), one)
    assert torch.allclose(ring_correlation(first, -first), -one)
    both = ring_correlation(first, second)
    assert torch.allclose(both, ring_correlation(second, first))
    assert both.abs().max() <= 1
    assert abs(float(ring_correlation(images(2, 64)[:, 0], images(3, 64)[:, 0]).mean())) < 0.05
    assert (ring_correlation(first, torch.ones_like(first)) == 0).all()


def test_what_is_blurred_away_is_not_resolved() -> None:
    sharp = images(4).double()  # what single precision leaves would correlate
    spectrum = torch.fft.fft2(sharp)
    line = torch.fft.fftfreq(32, 1 / 32)
    low = torch.hypot(line[:, None], line[None]).round() <= 8
    blurred = torch.fft.ifft2(spectrum * low).real
    scores = RingCorrelation(), RingCorrelation(resolved=True)
    for score in scores:
        score.update(blurred, sharp)
    assert [float(score.compute()) for score in scores] == pytest.approx([0.5, 0.5], abs=1e-6)


def test_scores_are_those_of_scikit_image_on_the_whole_set() -> None:
    wanted, found = images(5, 4), images(6, 4)
    found = 0.7 * wanted + 0.3 * found
    similar = StructuralSimilarityIndexMeasure(data_range=1.0, return_full_image=True)
    noise, relative = PeakSignalNoiseRatio(data_range=1.0), RelativeL1()
    for part in (slice(0, 3), slice(3, 4)):
        for metric in (similar, noise, relative):
            metric.update(found[part], wanted[part])
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    each = [
        structural_similarity(a.numpy(), b.numpy(), data_range=1.0, **options)  # type: ignore[no-untyped-call]
        for a, b in zip(wanted[:, 0], found[:, 0], strict=True)
    ]
    score, everywhere = cast("tuple[Tensor, Tensor]", similar.compute())
    # scikit-image leaves five pixels of the border out of its mean; torchmetrics, none.
    assert float(everywhere[..., 5:-5, 5:-5].mean()) == pytest.approx(np.mean(each), abs=1e-4)
    assert float(score) == pytest.approx(float(everywhere.mean()), abs=1e-5)
    psnr = peak_signal_noise_ratio(wanted.numpy(), found.numpy(), data_range=1.0)  # type: ignore[no-untyped-call]
    assert float(noise.compute()) == pytest.approx(psnr, abs=1e-3)
    expected = float((found - wanted).abs().sum() / wanted.abs().sum())
    assert float(relative.compute()) == pytest.approx(expected, rel=1e-5)


def test_the_bright_field_finds_a_potential_that_is_a_line_of_it() -> None:
    disc = torch.zeros(8, 8, dtype=torch.bool)
    disc[3:5, 3:5] = True
    cbed = torch.rand(5, 4, 8, 8)
    inside = (cbed * disc).mean((2, 3))
    samples = {"cbed": cbed, "2d_potential": 40 - 300 * enlarged(raster_of(inside), 8)}
    found = BrightField(disc)
    found.add(samples)
    assert torch.allclose(found.potential(samples), samples["2d_potential"], atol=1e-2)


def test_a_raster_is_laid_out_row_by_row() -> None:
    assert raster_of(torch.arange(6.0).reshape(1, 6)[:, :4]).tolist() == [[[[0, 1], [2, 3]]]]
    with pytest.raises(InvalidError, match="6 positions of the probe are no square raster"):
        side_of(6)


def test_every_profile_names_its_model_and_metric() -> None:
    task = load_task("stemdl-reconstruction")
    assert set(task.profiles) == {"mini", "mini-probes", "reference", "fixed-model"}
    assert task.profile("reference").settings.to_json()["growth"] == 256
    assert not task.higher_is_better


def test_the_scale_is_that_of_all_samples_whatever_the_batches() -> None:
    torch.manual_seed(3)
    cbed, potential = torch.rand(7, 4, 8, 8), 50 * torch.randn(7, 1, 8, 8) + 9
    found = Seen()
    for part in (slice(0, 4), slice(4, 7)):
        found.add({"cbed": cbed[part], "2d_potential": potential[part]})
    wanted = float(potential.mean()), float(potential.std(unbiased=False))
    assert found.scale == pytest.approx(wanted, rel=1e-5)
    assert found.extremes == (float(potential.min()), float(potential.max()))
