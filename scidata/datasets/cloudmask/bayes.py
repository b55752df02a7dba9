"""Cloud flags of simulated scenes: a Bayesian classifier that errs, as an operational one does.

Two Gaussian models, clear and cloudy, for sea and land, by day and by night, of four features:
S8 above what a forecast gives for the surface, S8 - S9, S1 by day or S7 - S8 by night, and the
deviation of S8 in 3 by 3 pixels. It takes thin cirrus for clear and glint or ice for cloud.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.datasets.cloudmask.simulate import Field, Mask, Simulated

Float: TypeAlias = npt.NDArray[np.float64]
Key: TypeAlias = tuple[bool, bool, bool]
"""Day, land, cloud."""

SINGLE_LOW, SINGLE_MODERATE = 1, 2
"""Bits of ``bayes_in``, as Sentinel-3 products name them: low and moderate risk of missing
clear sky."""
LOW, MODERATE = 0.5, 0.9
"""Posterior probabilities of cloud that set them."""
FEATURES = 4
_LEAST = 50


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """A class of pixels."""

    mean: Float
    """(4,)"""
    inverse: Float
    """(4, 4), of the covariance."""
    log_norm: float

    def log_density(self, features: Float) -> Float:
        """Logarithm of the density, (N,), of features (N, 4)."""
        away = features - self.mean
        distance = np.einsum("ni,ij,nj->n", away, self.inverse, away)
        return np.asarray(self.log_norm - 0.5 * distance)


Models: TypeAlias = Mapping[Key, Gaussian]


def fit(scenes: Iterable[Simulated]) -> Models:
    """Learn the classes from scenes whose truth is known."""
    both = False, True
    held: dict[Key, list[Float]] = {key: [] for key in product(both, both, both)}
    for scene in scenes:
        features = features_of(scene)
        for land, cloud in product(both, both):
            where = scene.inside & (scene.land == land) & (scene.truth == cloud)
            held[scene.day, land, cloud].append(features[where])
    models = {}
    for key, parts in held.items():
        pixels = np.concatenate(parts) if parts else np.empty((0, FEATURES))
        if len(pixels) >= _LEAST:
            models[key] = _gaussian(pixels)
    return models


def flags(scene: Simulated, models: Models) -> npt.NDArray[np.uint16]:
    """Return the flags of a scene, (H, W): 0 is clear; 0 in the border."""
    posterior = np.zeros(scene.truth.shape)
    features = features_of(scene)
    for land in (False, True):
        where = scene.inside & (scene.land == land)
        posterior[where] = _posterior(features[where], scene.day, land, models)
    found = SINGLE_LOW * (posterior > LOW) + SINGLE_MODERATE * (posterior > MODERATE)
    return found.astype(np.uint16)


def features_of(scene: Simulated) -> Float:
    """Return the features of every pixel, (H, W, 4)."""
    s7, s8, s9 = scene.bts.astype(np.float64)
    third = scene.refs[0].astype(np.float64) if scene.day else s7 - s8
    texture = np.log(_deviation(s8, scene.inside) + 0.05)
    return np.stack([s8 - scene.forecast_k, s8 - s9, third, texture], axis=-1)


def _posterior(features: Float, day: bool, land: bool, models: Models) -> Float:
    keys = (day, land, False), (day, land, True)
    if not all(key in models for key in keys):  # rare surfaces are judged as the others
        keys = (day, not land, False), (day, not land, True)
    clear, cloudy = (models[key].log_density(features) for key in keys)
    return 1 / (1 + np.exp(np.clip(clear - cloudy, -50, 50)))


def _gaussian(pixels: Float) -> Gaussian:
    covariance = np.cov(pixels, rowvar=False).astype(np.float64) + 1e-6 * np.eye(FEATURES)
    _, logarithm = np.linalg.slogdet(2 * np.pi * covariance)
    return Gaussian(
        mean=pixels.mean(axis=0),
        inverse=np.asarray(np.linalg.inv(covariance), np.float64),
        log_norm=-0.5 * float(logarithm),
    )


def _deviation(values: Field, inside: Mask) -> Field:
    """Return the standard deviation in 3 by 3 pixels, those of the border left out."""
    count, total, squares = (
        _sum3(np.where(inside, power, 0.0)) for power in (1.0, values, values**2)
    )
    mean = total / np.maximum(count, 1)
    return np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0))


def _sum3(values: Field) -> Field:
    padded = np.pad(values, 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
