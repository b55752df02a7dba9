"""STEMDL, reconstruction: the projected potential from diffraction patterns.

Question  Can a network get the potential back that gave a raster of diffraction patterns?
Dataset   stemdl-reconstruction (published, LMDB) and stemdl-reconstruction-mini (simulated); a
          sample is a pattern for each position of the probe, and one image of the potential.
Model     the FC-DenseNet of the benchmark, 215,500,288 parameters; with less growth for mini.
Metric    mean absolute error; beside it relative L1, PSNR, SSIM, Fourier-ring correlation.
Target    none is published.
Source    arXiv:1909.11150 and its code, nlaanait/stemdl; the benchmark's branch of sciml-bench.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import isqrt
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanAbsoluteError
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from scidata.benchmarks.densenet import FCDenseNet
from scidata.benchmarks.image_scores import RelativeL1, RingCorrelation
from scidata.benchmarks.metrics import Measures
from scidata.benchmarks.settings import Settings, setting
from scidata.benchmarks.task import Batch, Forecaster, Profile, Samples, Setup, Task
from scidata.errors import InvalidError

CBED, POTENTIAL = "cbed", "2d_potential"


@dataclass(frozen=True, kw_only=True)
class RasterSettings(Settings):
    """How patterns are shown to the model, and its size, besides what every task has."""

    growth: int = setting(256, most=1024)
    """Channels that a dense layer adds."""
    dropout: float = setting(0.5, zero=True, most=0.99)
    view: Literal["probes", "raster"] = "probes"
    """probes: positions are channels of an image of the detector, as published. raster: parts
    of the detector are channels of an image of the positions."""
    bins: int = setting(8, most=64)
    """Of view raster: parts on a side of the detector."""
    scaling: Literal["none", "root"] = "none"
    """root: the square root of the patterns, brought to mean 0 and deviation 1, and the
    potential in standard deviations about its mean. none: both as they are, as published."""
    score_batch_size: int = 32


@dataclass(frozen=True, kw_only=True)
class Rasters(Setup):
    """The opened version, and what its training part says."""

    settings: RasterSettings

    @cached_property
    def seen(self) -> "Seen":
        """Of the training part."""
        stream = self.stream("train")
        held = Seen()
        for samples in stream:
            held.add(samples)
        stream.close()
        return held

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Offset and factor between the model's potential and the real one."""
        if self.settings.scaling == "none":
            return 0.0, 1.0
        return self.seen.scale

    @property
    def span(self) -> float:
        """Range of the training potential, for scores relative to it."""
        low, high = self.seen.extremes
        return max(high - low, 1e-6)

    @cached_property
    def bright_field(self) -> "BrightField":
        """Fitted to the training part."""
        disc = self.seen.disc
        stream = self.stream("train")
        found = BrightField(disc)
        for samples in stream:
            found.add(samples)
        stream.close()
        return found

    @property
    def channels(self) -> int:
        """Of the model's images."""
        probes, side, _ = self.seen.shape
        if self.settings.view == "probes":
            return probes
        side_of(probes)
        if side % self.settings.bins:
            raise InvalidError(
                f"{side} pixels have no {self.settings.bins} equal parts on a side",
                where="settings",
                fix="choose a divisor: --set bins=8",
            )
        return self.settings.bins**2


class Seen:
    """Means over samples."""

    def __init__(self) -> None:
        self.count = 0
        self.shape: tuple[int, int, int] = (0, 0, 0)
        self.pattern, self.potential, self.roots, self.squares = (
            torch.zeros(()) for _ in range(4)
        )
        self.extremes = math.inf, -math.inf
        """Lowest and highest potential."""

    def add(self, samples: Samples) -> None:
        """Take in samples."""
        cbed = samples[CBED].double()
        probes, side, _ = cbed.shape[1:]
        self.shape = probes, side, side
        self.count += len(cbed)
        self.pattern = self.pattern + cbed.mean(dim=1).sum(dim=0)
        potential = samples[POTENTIAL].double()
        self.potential = self.potential + potential.sum(dim=0)
        self.squares = self.squares + (potential**2).mean((1, 2, 3)).sum()
        low, high = self.extremes
        self.extremes = min(low, float(potential.min())), max(high, float(potential.max()))
        root = cbed.clamp(min=0).sqrt()
        moments = torch.stack([root.mean((1, 2, 3)), (root**2).mean((1, 2, 3))])
        self.roots = self.roots + moments.sum(dim=1)

    @property
    def mean_image(self) -> Tensor:
        """(1, H, H): of the potential."""
        return (self.potential / self.count).float()

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation of the potential."""
        mean = float(self.potential.mean()) / self.count
        return mean, max(float(self.squares) / self.count - mean**2, 1e-12) ** 0.5

    @property
    def disc(self) -> Tensor:
        """(H, H) bool: where the mean pattern has more than half its largest value."""
        return self.pattern > self.pattern.max() / 2

    @property
    def root_scale(self) -> tuple[float, float]:
        """Mean and standard deviation of the square root of the patterns."""
        mean, squares = (float(v) / self.count for v in self.roots)
        return mean, max((squares - mean**2) ** 0.5, 1e-6)


class BrightField:
    """The potential as a straight line of what falls into the undiffracted disc."""

    def __init__(self, disc: Tensor) -> None:
        self.disc = disc
        self.sums = torch.zeros(5, dtype=torch.float64)

    def add(self, samples: Samples) -> None:
        """Take in samples to fit."""
        image, potential = self._image(samples).double(), samples[POTENTIAL].double()
        n = torch.tensor(float(image.numel()), dtype=torch.float64)
        self.sums += torch.stack(
            [n, image.sum(), potential.sum(), (image**2).sum(), (image * potential).sum()]
        )

    def potential(self, samples: Samples) -> Tensor:
        """Give the potential: (B, 1, H, H)."""
        n, x, y, xx, xy = self.sums.tolist()
        slope = (n * xy - x * y) / max(n * xx - x * x, 1e-12)
        fitted: Tensor = slope * self._image(samples) + (y - slope * x) / n
        return fitted

    def _image(self, samples: Samples) -> Tensor:
        cbed = samples[CBED].float()
        inside = (cbed * self.disc.to(cbed.device)).mean((2, 3))
        return enlarged(raster_of(inside), samples[POTENTIAL].shape[-1])


def side_of(probes: int) -> int:
    """Return the positions on a side of a raster; `InvalidError` if it is not square."""
    side = isqrt(probes)
    if side * side != probes:
        raise InvalidError(
            f"{probes} positions of the probe are no square raster",
            where="samples",
            fix="--set view=probes, and leave the bright field out of the comparison",
        )
    return side


def raster_of(values: Tensor) -> Tensor:
    """Make an image of values by position: (B, P) or (B, P, C) to (B, C, n, n)."""
    held = values[..., None] if values.ndim == 2 else values  # noqa: PLR2004 - (B, P)
    side = side_of(held.shape[1])
    return held.transpose(1, 2).reshape(len(held), -1, side, side)


def enlarged(images: Tensor, side: int) -> Tensor:
    """Interpolate, the middle of a position on the middle of its square."""
    return functional.interpolate(
        images, size=(side, side), mode="bilinear", align_corners=False
    )


def collate(setup: Rasters, samples: Samples) -> Batch:
    """Show the patterns as the settings say; the target is the potential, scaled so too."""
    cbed, potential = samples[CBED].float(), samples[POTENTIAL].float()
    if setup.settings.scaling == "root":
        mean, deviation = setup.seen.root_scale
        cbed = (cbed.clamp(min=0).sqrt() - mean) / deviation
    if setup.settings.view == "raster":
        parts = functional.adaptive_avg_pool2d(cbed, setup.settings.bins).flatten(2)
        cbed = enlarged(raster_of(parts), potential.shape[-1])
    offset, factor = setup.scale
    return Batch((cbed,), (potential - offset) / factor, samples)


def loss(setup: Rasters, predicted: Tensor, batch: Batch) -> Tensor:
    """Mean absolute error, as published."""
    return functional.l1_loss(predicted, batch.target)


def measure(setup: Rasters, part: str) -> Measures:
    """Make the scores of a part, all of the potential in its own unit."""
    offset, factor = setup.scale
    scores = {
        "MAE": MeanAbsoluteError(),
        "relative L1": RelativeL1(),
        "PSNR": PeakSignalNoiseRatio(data_range=setup.span),
        "SSIM": StructuralSimilarityIndexMeasure(data_range=setup.span),
        "FRC": RingCorrelation(),
        "FRC, resolved": RingCorrelation(resolved=True),
    }
    return Measures(
        scores,
        lambda found, batch: (
            found.float() * factor + offset,
            batch.samples[POTENTIAL].float(),
        ),
    )


def baselines(setup: Rasters, part: str) -> Mapping[str, Forecaster]:
    """Give the mean training image; or a line of the bright field, enlarged."""
    offset, factor = setup.scale
    mean, bright = setup.seen.mean_image, setup.bright_field

    def mean_image(batch: Batch) -> Tensor:
        image = (mean.to(batch.target.device) - offset) / factor
        return image.expand_as(batch.target)

    return {
        "mean image": mean_image,
        "bright field": lambda batch: (bright.potential(batch.samples) - offset) / factor,
    }


def _model(setup: Rasters) -> nn.Module:
    return FCDenseNet(setup.channels, setup.settings.growth, setup.settings.dropout)


_UNKNOWN = "no material is named: whether one is in both parts cannot be known"
_HOMOLOGUES = "homologues of a test material, of the same structure, can train"
_PUBLISHED = RasterSettings(
    model="fc-densenet",
    epochs=10,
    batch_size=1,
    learning_rate=1e-4,
    weight_decay=1e-8,
    score_batch_size=1,
)
_MINI = RasterSettings(
    model="fc-densenet",
    growth=8,
    dropout=0.0,
    scaling="root",
    view="raster",
    epochs=24,
    evaluate_every=2,
    batch_size=4,
    learning_rate=3e-3,
    warmup=0.5,
    decay=0.02,
    threads=2,
)

TASK = Task(
    name="stemdl-reconstruction",
    title="The projected potential of a crystal, from a raster of diffraction patterns",
    dataset="stemdl-reconstruction",
    metric="MAE",
    unit="V angstrom",
    higher_is_better=False,
    source="MLCommons Science benchmark STEMDL; arXiv:1909.11150",
    setup=Rasters,
    models={"fc-densenet": _model},
    collate=collate,
    loss=loss,
    measure=measure,
    baselines=baselines,
    profiles={
        "mini": Profile(
            name="mini",
            description="Simulated rasters, materials apart, positions as an image: minutes",
            dataset="stemdl-reconstruction-mini",
            split="material",
            settings=_MINI,
            leaks=(_HOMOLOGUES,),
        ),
        "mini-probes": Profile(
            name="mini-probes",
            description="As mini, with positions as channels, as published",
            dataset="stemdl-reconstruction-mini",
            split="material",
            settings=replace(_MINI, view="probes"),
            leaks=(_HOMOLOGUES,),
        ),
        "reference": Profile(
            name="reference",
            description="Published parts, model and loss; no scaling, one sample a step",
            split="published",
            parts=("train", "evaluation"),
            validate="evaluation",
            settings=_PUBLISHED,
            quirks=("batch norm sees one sample a step", "neither array is scaled"),
            leaks=(_UNKNOWN, "what is kept and what is reported are judged on one part"),
        ),
        "fixed-model": Profile(
            name="fixed-model",
            description="As reference, everything fixed but the machine: to compare systems",
            split="published",
            parts=("train", "evaluation"),
            validate="evaluation",
            settings=_PUBLISHED,
            frozen=True,
            quirks=("batch norm sees one sample a step", "neither array is scaled"),
            leaks=(_UNKNOWN,),
        ),
    },
)
