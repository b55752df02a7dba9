"""CloudMask: which pixels of a satellite scene are cloud.

Question  Can a network tell cloud from clear sky, pixel by pixel, as the Bayesian test does?
Dataset   cloudmask (published SLSTR scenes), cloudmask-mini (simulated, with the truth), and
          two real scenes of other instruments. Patches train; whole test scenes are predicted
          in overlapping patches and stitched.
Model     the U-Net of the MLCommons Science benchmark, 1,948,609 parameters for nine channels.
Metric    accuracy of pixels against the label; beside it IoU, F1, plain and weighted cross-
          entropy; scores by day and by night, and against the truth where it is known.
Target    0.9 by the benchmark's policy; the label is itself a model's output.
Source    MLCommons Science policy 0.5; its reference code for model, patches and both losses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from scidata.benchmarks.cloudmask_baselines import Thresholds, fit
from scidata.benchmarks.segmentation import CLIP, MaskScores, weighted_bce
from scidata.benchmarks.settings import Settings, setting
from scidata.benchmarks.task import (
    Batch,
    Forecaster,
    Profile,
    Samples,
    Setup,
    Target,
    Task,
    Use,
)
from scidata.benchmarks.unet import UNet
from scidata.datasets.cloudmask.geometry import MARGIN, PATCH, Overlap
from scidata.errors import InvalidError
from scidata.loaders.opening import StreamOptions
from scidata.record import Samples as SampleRule

KELVIN_ZERO, KELVIN_STEP, REFLECTANCE_ZERO = 270.0, 22.0, 0.5
"""Of the reference code: (bt - 270) / 22 and reflectance - 0.5."""
RED_UM, INFRARED_UM = 0.659, 10.85
"""Channels that the threshold mask looks at."""


@dataclass(frozen=True, kw_only=True)
class CloudSettings(Settings):
    """The model's size and the weight of cloud, besides what every task has."""

    width: int = setting(32, most=512)
    """Channels of the model's first level."""
    beta: float = setting(0.5, most=100.0)
    """Weight of cloud in the weighted cross-entropy."""
    weighted: bool = setting(False)
    """Train on the weighted cross-entropy in place of the plain one."""
    score_batch_size: int = 8


@dataclass(frozen=True, kw_only=True)
class CloudProfile(Profile):
    """How parts are predicted, besides what every profile has."""

    whole: tuple[str, ...] = ("test",)
    """Parts that are predicted as whole scenes, in overlapping patches."""


@dataclass(frozen=True, kw_only=True)
class Clouds(Setup):
    """The opened version: its channels, its patch, and what training pixels say."""

    settings: CloudSettings
    profile: CloudProfile

    @cached_property
    def samples(self) -> SampleRule:
        """What the record says a sample is."""
        rule = self.dataset.record.samples
        if rule is None or rule.inputs != ("refs", "bts") or not rule.targets:
            raise InvalidError(
                "its samples are not refs and bts with a label",
                where=f"record of {self.dataset.name}",
                fix="build it with scidata build cloudmask or one of its relatives",
            )
        return rule

    @property
    def label(self) -> str:
        """Name of the variable that is learnt."""
        return self.samples.targets[0]

    @property
    def patch(self) -> int | None:
        """Pixels on a side of a training patch; None if samples are whole images."""
        return self.samples.windows[0].size if self.samples.windows else None

    @cached_property
    def wavelengths(self) -> tuple[list[float], list[float]]:
        """In um, of the channels of reflectance and of brightness temperature."""
        arrays = self.dataset.to_xarray(self.samples.asset)
        refs, bts = (arrays[f"{name}_wavelength"].values for name in ("refs", "bts"))
        return refs.tolist(), bts.tolist()

    @cached_property
    def seen(self) -> tuple[int, int]:
        """Numbers of the channels that the threshold mask looks at."""
        reds, infrareds = self.wavelengths
        return (
            int(np.argmin(np.abs(np.array(reds) - RED_UM))),
            int(np.argmin(np.abs(np.array(infrareds) - INFRARED_UM))),
        )

    @cached_property
    def thresholds(self) -> Thresholds:
        """Set by the training part."""
        stream = self.stream("train", shuffle=True, seed=0)
        held = (collate(self, samples) for samples in stream)
        try:
            return fit((*self.look(b.samples), day_of(b.samples), b.target) for b in held)
        finally:
            stream.close()

    def look(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Return the reflectance and the temperature that the threshold mask looks at."""
        red, infrared = self.seen
        return samples["refs"][:, red], samples["bts"][:, infrared]


def collate(setup: Clouds, samples: Samples) -> Batch:
    """Scale as published, reflectance first; what is not a number becomes 0."""
    refs = samples["refs"].float() - REFLECTANCE_ZERO
    bts = (samples["bts"].float() - KELVIN_ZERO) / KELVIN_STEP
    images = torch.cat([refs, bts], dim=1).nan_to_num(nan=0.0)
    return Batch((images,), (samples[setup.label] != 0).float(), samples)


def day_of(samples: Samples) -> Tensor:
    """Return 1 of images by day, (B,): the scene's own word, else whether it is lit."""
    if "day" in samples:
        return samples["day"]
    return (samples["refs"].nan_to_num(nan=0.0) > 0).flatten(1).any(dim=1)


def loss(setup: Clouds, logits: Tensor, batch: Batch) -> Tensor:
    """Plain cross-entropy, as published, or the weighted one."""
    beta = setup.settings.beta if setup.settings.weighted else 1.0
    return weighted_bce(logits, batch.target, beta)


class CloudScores(MaskScores):
    """Scores of a batch, against its label and, if it holds one, its truth."""

    def update(self, logits: Tensor, batch: Batch) -> None:  # type: ignore[override]  # a task's
        """Take in a batch."""
        samples = batch.samples
        super().update(logits, batch.target, day_of(samples), samples.get("truth"))


def predict(setup: Clouds, model: nn.Module, batch: Batch) -> Tensor:
    """Ask the model; of images larger than a patch, in overlapping patches."""
    (images,) = batch.inputs
    patch = setup.patch
    if patch is None or images.shape[-2:] == (patch, patch):
        logits: Tensor = model(images)
        return logits
    return torch.stack([_stitched(model, image, patch) for image in images])


def _stitched(model: nn.Module, image: Tensor, patch: int) -> Tensor:
    height, width = image.shape[-2:]
    margin = MARGIN * patch // PATCH
    overlap = Overlap(height=height, width=width, patch=patch, margin=margin)
    pieces = torch.from_numpy(overlap.split(image.cpu().numpy()))
    rows = [model(part.to(image.device)) for part in torch.split(pieces, overlap.axes[1].count)]
    whole = overlap.stitch(torch.cat(rows).float().cpu().numpy())
    return torch.from_numpy(np.ascontiguousarray(whole)).to(image.device)


def forecasters(setup: Clouds, part: str) -> Mapping[str, Forecaster]:
    """Predict the commoner class; bright or cold pixels; and, if truth is known, the label."""
    found = setup.thresholds

    def threshold(batch: Batch) -> Tensor:
        return found.mask(*setup.look(batch.samples), day_of(batch.samples))

    chosen: dict[str, Forecaster] = {
        "majority": lambda batch: found.majority(batch.target),
        "threshold": threshold,
    }
    if "truth" in setup.samples.targets:
        # Perfect against the label, of course: it is there to be compared with the truth.
        chosen["label"] = lambda batch: torch.where(batch.target != 0, CLIP, -CLIP)
    return chosen


def streams(setup: Clouds, part: str, use: Use) -> StreamOptions:
    """Take whole scenes of the parts that are predicted so."""
    if use == "score" and part in setup.profile.whole and setup.samples.windows:
        return {"samples": setup.samples.model_copy(update={"windows": ()})}
    return {}


def _unet(setup: Clouds) -> nn.Module:
    return UNet(sum(map(len, setup.wavelengths)), setup.settings.width)


_TARGET = Target(value=0.9, source="accuracy 0.9: MLCommons Science policy 0.5")
_LABELS_ERR = "the label is a model's output: a score against it rewards imitating its errors"
_BORDERS = "pixels of the empty border, which are easily told, count as the others"
_PUBLISHED = CloudSettings(
    model="unet", epochs=100, batch_size=32, learning_rate=1e-3, patience=25, keep="best"
)

TASK = Task(
    name="cloudmask",
    title="Which pixels of a satellite scene are cloud",
    dataset="cloudmask",
    metric="accuracy",
    unit="1",
    higher_is_better=True,
    source="MLCommons Science benchmark CloudMask, https://github.com/mlcommons/science",
    setup=Clouds,
    models={"unet": _unet},
    collate=collate,
    loss=loss,
    measure=lambda setup, part: CloudScores(setup.settings.beta),
    baselines=forecasters,
    stream=streams,
    predict=predict,
    profiles={
        "mini": CloudProfile(
            name="mini",
            description="Simulated scenes whose truth is known; a model half as wide: minutes",
            dataset="cloudmask-mini",
            split="orbit",
            target=_TARGET,
            settings=CloudSettings(
                model="unet",
                width=16,
                epochs=20,
                batch_size=8,
                learning_rate=2e-3,
                decay=0.05,
                threads=2,
            ),
            quirks=(_BORDERS,),
        ),
        "strict": CloudProfile(
            name="strict",
            description="No orbit in two parts; training stops when validation gets no better",
            split="orbit",
            target=_TARGET,
            settings=_PUBLISHED,
            quirks=(_LABELS_ERR, _BORDERS),
        ),
        "reference": CloudProfile(
            name="reference",
            description="Published rules: four fifths of the training files, drawn by file",
            split="published",
            target=_TARGET,
            settings=CloudSettings(
                model="unet", epochs=30, batch_size=32, learning_rate=1e-3, seed=1234
            ),
            quirks=(_LABELS_ERR, _BORDERS),
            leaks=("neighbouring frames of one orbit train and validate",),
        ),
        "fixed-model": CloudProfile(
            name="fixed-model",
            description="As strict, with everything fixed but the machine: to compare systems",
            split="orbit",
            target=_TARGET,
            settings=_PUBLISHED,
            frozen=True,
            quirks=(_LABELS_ERR, _BORDERS),
        ),
        "aatsr": CloudProfile(
            name="aatsr",
            description="One real crop of Envisat AATSR, cut into tiles: too small to conclude",
            dataset="cloudmask-aatsr",
            split="blocks",
            parts=("train", "validation", "test"),
            settings=CloudSettings(
                model="unet", epochs=60, batch_size=8, learning_rate=1e-3, decay=0.05
            ),
            quirks=("the label is the operational threshold tests of the same channels",),
            leaks=("all parts are of one scene, a few kilometres apart",),
        ),
        "landsat8": CloudProfile(
            name="landsat8",
            description="One real Landsat 8 scene, cut into tiles, with a computed label",
            dataset="cloudmask-landsat8",
            split="blocks",
            parts=("train", "validation", "test"),
            settings=CloudSettings(
                model="unet", epochs=15, batch_size=8, learning_rate=1e-3, decay=0.05
            ),
            quirks=("the label is a rule of the same pixels: the model learns that rule",),
            leaks=("all parts are of one scene, a few kilometres apart",),
        ),
    },
)
