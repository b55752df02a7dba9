"""Features of the earthquake benchmark: scaling, encodings of place and time, persistence.

Pure functions of tensors; the order of the features is the published one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scidata.benchmarks.metrics import FloatArray
from scidata.datasets.tevolop.fortnights import AHEAD, BACK
from scidata.errors import InvalidError

QUANTITIES = ("magnitude", "depth", "multiplicity", "multiplicity_3p29")
FAULTS = 4
ENCODINGS = 14
INPUTS = FAULTS + len(QUANTITIES) + len(BACK) + ENCODINGS

WINDOWS = dict(
    zip(
        (
            "2 weeks",
            "4 weeks",
            "2 months",
            "3 months",
            "6 months",
            "1 year",
            "2 years",
            "4 years",
            "1 year after 1 year",
            "2 years after 2 years",
        ),
        AHEAD,
        strict=True,
    )
)
"""Length and delay of the windows of ``magnitude_ahead``, fortnights, in its order."""
OUTPUTS = len(WINDOWS) + ENCODINGS
PERIODS = (8, 16, 32, 64)
"""Of the cosine and sine encodings, fortnights."""


@dataclass(frozen=True)
class Scaling:
    """Minimum and range of each variable, over what the statistics were computed from."""

    low: Mapping[str, Tensor]
    """Scalar, or (k,) float32 where the statistics are per window."""
    span: Mapping[str, Tensor]
    """As `low`; 1 where a variable is constant."""

    @classmethod
    def of(cls, statistics: Mapping[str, Any], faults: FloatArray) -> "Scaling":  # Any: JSON
        """Take minimum and maximum from a version's statistics of an asset.

        Parameters
        ----------
        statistics : mapping
            ``{"variables": {name: {"min": …, "max": …, "each": […]}}}``.
        faults : (S, 4)
            Fault labels of all locations; they do not depend on time, so nothing leaks.
        """
        bounds = {"min": float(faults.min()), "max": float(faults.max())}
        variables = {**statistics["variables"], "fault_label": bounds}
        names = (*QUANTITIES, "magnitude_back", "magnitude_ahead", "fault_label")
        if missing := [n for n in names if n not in variables]:
            raise InvalidError(
                f"no statistics of {', '.join(missing)}",
                where="data/statistics.json",
                fix="publish a version with statistics of all variables of the samples",
            )
        low = {n: _per_window(variables[n], "min") for n in names}
        span = {n: _per_window(variables[n], "max") - low[n] for n in names}
        return cls(low, {n: torch.where(s > 0, s, 1.0) for n, s in span.items()})

    def to(self, device: torch.device) -> "Scaling":
        """Return the same on a device."""
        low = {n: value.to(device) for n, value in self.low.items()}
        return Scaling(low, {n: value.to(device) for n, value in self.span.items()})

    def scale(self, name: str, values: Tensor) -> Tensor:
        """Map minimum to 0 and maximum to 1."""
        return (values - self.low[name]) / self.span[name]

    def restore(self, name: str, values: Tensor) -> Tensor:
        """Undo `scale`."""
        return values * self.span[name] + self.low[name]


def _per_window(statistics: Mapping[str, Any], bound: str) -> Tensor:  # Any: JSON
    """Take a bound, for each window where there are several; NaN where none had a value."""
    each = statistics.get("each", [statistics])
    found = torch.tensor([float(s.get(bound, "nan")) for s in each])
    return found if "each" in statistics else found[0]


class Encoding:
    """The 14 encodings of a place and a time.

    Place over number of places, constant one half, linear time, Legendre polynomials of degree
    2 to 4 of time on [-1, 1], cosine and sine of periods of 8, 16, 32 and 64 fortnights.

    Parameters
    ----------
    places, steps : int
        Locations and time steps of the whole asset.
    device : torch.device, optional
        Where places and times will be.
    """

    def __init__(self, places: int, steps: int, *, device: torch.device | None = None) -> None:
        self._places = places
        # A year more: encodings of steps after the last are targets, and known ahead.
        step = torch.arange(steps + BACK[-1], dtype=torch.float64)
        linear = step / max(steps - 1, 1)
        u = 2 * linear - 1
        columns = [
            torch.full_like(step, 0.5),
            linear,
            (3 * u**2 - 1) / 2,
            (5 * u**3 - 3 * u) / 2,
            (35 * u**4 - 30 * u**2 + 3) / 8,
        ]
        for period in PERIODS:
            angle = 2 * math.pi * step / period
            columns += [torch.cos(angle), torch.sin(angle)]
        self._times = torch.stack(columns, dim=1).float().to(device)

    def __call__(self, place: Tensor, time: Tensor) -> Tensor:
        """Encode.

        Parameters
        ----------
        place, time : (…) int64, of equal shape

        Returns
        -------
        (…, 14) float32
        """
        times = self._times.index_select(0, time.reshape(-1)).view(*time.shape, -1)
        return torch.cat([(place / self._places).unsqueeze(-1), times], dim=-1)


def features(batch: Mapping[str, Tensor], scaling: Scaling, encoding: Encoding) -> Tensor:
    """Put the inputs of a batch together.

    Returns
    -------
    (window, B, 27) float32
        Time first. 4 fault labels, 4 quantities, 5 windows back, 14 encodings. What is missing
        is 0, the smallest value.
    """
    window = batch["magnitude"].shape[1]
    size = len(batch["magnitude"])
    found = batch["magnitude"].new_empty(window, size, INPUTS)
    found[:, :, :FAULTS] = scaling.scale("fault_label", batch["fault_label"])
    for column, name in enumerate(QUANTITIES, start=FAULTS):
        found[:, :, column] = scaling.scale(name, batch[name]).t()
    back = FAULTS + len(QUANTITIES)
    scaled = scaling.scale("magnitude_back", batch["magnitude_back"]).transpose(0, 1)
    found[:, :, back : back + len(BACK)] = scaled
    time = batch["time"] + torch.arange(1 - window, 1, device=found.device)[:, None]
    found[:, :, back + len(BACK) :] = encoding(batch["location"].expand_as(time), time)
    return found.nan_to_num_(nan=0.0)


def wanted(batch: Mapping[str, Tensor], scaling: Scaling, encoding: Encoding) -> Tensor:
    """Return what the outputs should be.

    Returns
    -------
    (B, 24) float32
        10 window magnitudes, scaled, NaN where unknown; 14 encodings of the following step.
    """
    ahead = scaling.scale("magnitude_ahead", batch["magnitude_ahead"])
    return torch.cat([ahead, encoding(batch["location"], batch["time"] + 1)], dim=1)


def persistence(magnitude: FloatArray, back: FloatArray) -> npt.NDArray[np.float64]:
    """Forecast that every window ahead brings what the last window of its length brought.

    Parameters
    ----------
    magnitude : (…) floating
        Of the last fortnight.
    back : (…, 5) floating
        Of the last 2, 4, 7, 13 and 26 fortnights.

    Returns
    -------
    (…, 10) float64
        Windows of more than a year: the energy of the last year, once a year. A magnitude m
        stands for the energy 10**(1.5 m), so n years add log10(n) / 1.5; no energy (0) stays 0.
    """
    known = {1: magnitude, **{n: back[..., i] for i, n in enumerate(BACK)}}
    year = BACK[-1]
    forecasts = []
    for length, _ in WINDOWS.values():
        last = np.asarray(known[min(length, year)], np.float64)
        more = math.log10(max(length / year, 1)) / 1.5
        forecasts.append(np.where(last > 0, last + more, last))
    return np.stack(forecasts, axis=-1)


def season(times: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    """Return the fortnight of the calendar year of each time: 0…25, the last one longer.

    Counting modulo 26 would drift: 26 fortnights are 364 days.
    """
    days = times.astype("datetime64[D]")
    years = days.astype("datetime64[Y]").astype("datetime64[D]")
    fortnights: npt.NDArray[np.int64] = (days - years).astype(np.int64) // 14
    return fortnights.clip(max=BACK[-1] - 1)
