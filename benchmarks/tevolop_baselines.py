"""Forecasts of earthquakes that need no network, fitted on the training part alone.

Persistence, climatology, the season, and a smoothed rate: what an Omori law makes of the
shocks of the last year. Beside them, where earthquakes are simulated, the best forecast.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scidata.benchmarks import baselines
from scidata.benchmarks.baselines import Float64
from scidata.benchmarks.metrics import FloatArray
from scidata.benchmarks.task import Batch, Forecaster, Samples
from scidata.benchmarks.tevolop_features import persistence
from scidata.benchmarks.tevolop_setup import TARGET, Quakes, pixels_of
from scidata.datasets.tevolop.fortnights import BACK, DAYS
from scidata.datasets.tevolop.oracle import ASSET, EXPECTED

RATES = 9
"""Columns of `rates`."""


class Places:
    """The training past of each place; of all places together, where it has none of its own.

    Parameters
    ----------
    setup : Quakes
    part : str
        Whose places are asked for.
    """

    def __init__(self, setup: Quakes, part: str) -> None:
        self.pixels, self.ends, self.past = setup.past
        # A held-out location has no past that the model may know: it gets the others' mean.
        self.own = np.array_equal(pixels_of(setup.stream(part)), self.pixels)
        self.always = baselines.climatology(self.past, per_series=self.own)
        """(S or 1, 1, 10), magnitude."""

    def row(self, samples: Samples) -> npt.NDArray[np.int64]:
        """Return the row of each sample in what is kept by place, (B,)."""
        places = samples["location"].cpu().numpy()
        return np.searchsorted(self.pixels, places) if self.own else np.zeros_like(places)


def rates(samples: Samples, always: FloatArray) -> Float64:
    """Return what a smoothed-rate forecast is made from.

    Parameters
    ----------
    samples : mapping
    always : (B,)
        Mean magnitude of the place.

    Returns
    -------
    (B, 9) float64
        1; the mean of the place; log(1 + n) of all and of large shocks, n weighted by an Omori
        law and plainly over the window; the magnitudes of the last fortnight, quarter and year.
    """
    shocks = np.stack([array_of(samples, n) for n in ("multiplicity", "multiplicity_3p29")])
    weights = baselines.omori_weights(shocks.shape[-1], days=DAYS)
    back = array_of(samples, "magnitude_back")[:, -1]
    columns = [
        np.ones(len(always)),
        always,
        *np.log1p(shocks @ weights),
        *np.log1p(shocks.mean(axis=-1)),
        array_of(samples, "magnitude")[:, -1],
        back[:, BACK.index(7)],
        back[:, BACK.index(26)],
    ]
    return np.stack(columns, axis=1)


def array_of(samples: Samples, name: str) -> Float64:
    """Return a variable of a batch; what is missing is 0."""
    return samples[name].cpu().double().nan_to_num(nan=0.0).numpy()


def forecasters(setup: Quakes, part: str) -> Mapping[str, Forecaster]:
    """Forecast the ten windows."""
    places = Places(setup, part)
    yearly = baselines.seasonal(
        places.past, setup.seasons[places.ends], period=BACK[-1], per_series=places.own
    )
    means = places.always.mean(axis=(1, 2))
    coefficients = _smoothed(setup, places)

    def scaled(magnitudes: Float64) -> Tensor:
        return setup.scaling.scale(
            TARGET, torch.from_numpy(magnitudes).to(setup.device)
        ).float()

    def repeat(batch: Batch) -> Tensor:
        last = (
            batch.samples[name][:, -1].cpu().numpy() for name in ("magnitude", "magnitude_back")
        )
        return scaled(persistence(*last))

    def repeat_year(batch: Batch) -> Tensor:
        seasons = setup.seasons[batch.samples["time"].cpu().numpy()]
        return scaled(yearly[places.row(batch.samples), seasons])

    def smooth(batch: Batch) -> Tensor:
        known = rates(batch.samples, means[places.row(batch.samples)])
        return scaled(known @ coefficients)

    return {
        "persistence": repeat,
        "climatology": lambda batch: scaled(places.always[places.row(batch.samples), 0]),
        "seasonal": repeat_year,
        "smoothed rate": smooth,
        **_oracle(setup),
    }


def _oracle(setup: Quakes) -> Mapping[str, Forecaster]:
    """Forecast what the true process makes likely, where the version says so."""
    if ASSET not in setup.dataset.assets:
        return {}
    expected = torch.from_numpy(setup.dataset.to_xarray(ASSET)[EXPECTED].values)
    expected = expected.to(setup.device)

    def foresee(batch: Batch) -> Tensor:
        known = expected[batch.samples["location"], batch.samples["time"]]
        # Where the window ends too late there is no forecast, and no observation either.
        return setup.scaling.scale(TARGET, known).nan_to_num(nan=0.0)

    return {"oracle": foresee}


def _smoothed(setup: Quakes, places: Places) -> Float64:
    """Fit the smoothed rate to all windows, (9, 10)."""
    fit = baselines.LeastSquares(RATES, places.past.shape[-1])
    means = places.always.mean(axis=(1, 2))
    for samples in setup.known():
        known = rates(samples, means[places.row(samples)])
        fit.add(known, samples[TARGET].cpu().numpy())
    return fit.solve()
