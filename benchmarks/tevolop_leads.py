"""TEvolOp, lead by lead: each of the coming 26 fortnights, in four quantities.

Question  What will each pixel's magnitude be, of a fortnight and of the 3, 6 and 12 months that
          end with it, 1 to 26 fortnights from now?
Dataset   tevolop: the same samples and splits as the task tevolop.
Model     the Temporal Fusion Transformer of the MLCommons Science earthquake benchmark, in a
          layout of ours with 8,005,334 parameters by the published rules.
Metric    NNSE, averaged over pixels and of their sum, at the leads 1, 7, 13 and 26.
Source    MLCommons Science policy 0.5; Lim et al. 2021, doi:10.1016/j.ijforecast.2021.03.012
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from scidata.benchmarks import baselines
from scidata.benchmarks.baselines import Float64
from scidata.benchmarks.metrics import Series
from scidata.benchmarks.task import Batch, Forecaster, Samples, Task
from scidata.benchmarks.temporal_fusion import TemporalFusion, Widths
from scidata.benchmarks.tevolop import (
    PUBLISHED_LEAKS,
    PUBLISHED_QUIRKS,
    TARGET_SCORE,
    TIME_PARTS,
)
from scidata.benchmarks.tevolop_baselines import RATES, Places, array_of, rates
from scidata.benchmarks.tevolop_features import ENCODINGS, FAULTS, INPUTS, features
from scidata.benchmarks.tevolop_setup import (
    TARGET,
    QuakeProfile,
    Quakes,
    QuakeSettings,
    strides,
)
from scidata.datasets.tevolop.fortnights import AHEAD, BACK

LEADS = 26
SCORED = (1, 7, 13, 26)
QUANTITIES = {"2 weeks": 1, "3 months back": 7, "6 months back": 13, "year back": 26}
"""Length of the window that ends at the lead, fortnights."""
COLUMNS = tuple(AHEAD.index((length, 0)) for length in QUANTITIES.values())


@dataclass(frozen=True, kw_only=True)
class LeadSettings(QuakeSettings):
    """As for the ten windows, and what the published code feeds in besides."""

    row_number: bool = False
    """Feed in the number of the row in the published table, as it is: a mistake of theirs."""


@dataclass(frozen=True, kw_only=True)
class Leads(Quakes):
    """As for the ten windows, and the targets up to 26 steps after a sample's last one."""

    settings: LeadSettings

    @cached_property
    def windows(self) -> Tensor:
        """Magnitudes of the windows that follow each step, (S, T, 4) float32, on the device."""
        return torch.from_numpy(self.arrays[TARGET].values[..., COLUMNS]).to(self.device)

    @cached_property
    def at(self) -> Tensor:
        """How many steps from now each target's window is said to follow, (26, 4)."""
        leads = torch.arange(1, LEADS + 1, device=self.device)[:, None]
        return leads - torch.tensor(list(QUANTITIES.values()), device=self.device)

    def observed(self, samples: Samples) -> Tensor:
        """Return the targets, (B, 26, 4) in magnitude; NaN where nothing was observed.

        A window that ends at a lead is the one that follows the step before its first, so that
        it is NaN in the gaps of the catalogue.
        """
        steps = samples["time"][:, None, None] + self.at
        places = samples["location"][:, None, None].expand_as(steps)
        column = torch.arange(len(COLUMNS), device=self.device).expand_as(steps)
        # A window is NaN from where it would end after the last step; so are those beyond.
        last = self.windows.shape[1] - 1
        return self.windows[places, steps.clamp(max=last), column]

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """Minimum and range of each target, (4,) or scalar."""
        low, span = self.scaling.low[TARGET], self.scaling.span[TARGET]
        return (low[..., COLUMNS], span[..., COLUMNS]) if low.ndim else (low, span)

    def scaled(self, magnitudes: Tensor) -> Tensor:
        """Map minimum to 0 and maximum to 1, (…, 4)."""
        low, span = self.bounds
        return ((magnitudes - low) / span).float()

    def restored(self, values: Tensor) -> Tensor:
        """Undo `scaled`."""
        low, span = self.bounds
        return values * span + low


def collate(setup: Leads, samples: Samples) -> Batch:
    """Put together what never changes, the past, and what is known of the future."""
    seen = features(samples, setup.scaling, setup.encoding)
    past = seen[:, :, FAULTS:]
    if setup.settings.row_number:
        past = torch.cat([past, _rows(setup, samples, len(seen))], dim=-1)
    # The encodings go on beyond the last step of the asset, where there is no observation.
    ahead = samples["time"] + torch.arange(1, LEADS + 1, device=seen.device)[:, None]
    future = setup.encoding(samples["location"].expand_as(ahead), ahead)
    return Batch(
        (seen[0, :, :FAULTS], past, future), setup.scaled(setup.observed(samples)), samples
    )


def loss(setup: Leads, forecast: Tensor, batch: Batch) -> Tensor:
    """Mean absolute error over what is known."""
    known = ~torch.isnan(batch.target)
    error = torch.where(known, forecast - batch.target.nan_to_num(nan=0.0), 0.0).abs()
    return error.sum() / known.sum().clamp(min=1)


class LeadSeries(Series):
    """NNSE of four quantities at four leads."""

    def __init__(self, setup: Leads) -> None:
        names = tuple(f"{name}, lead {lead}" for name in QUANTITIES for lead in SCORED)
        super().__init__(names, missing=setup.profile.missing)
        self._setup = setup

    def update(self, forecast: Tensor, batch: Batch) -> None:  # type: ignore[override]  # a task's
        """Take in a batch."""
        chosen = [lead - 1 for lead in SCORED]
        restored, observed = (
            values[:, chosen].transpose(1, 2).flatten(1)
            for values in (self._setup.restored(forecast), self._setup.observed(batch.samples))
        )
        super().update(restored, observed, batch.samples["location"], batch.samples["time"])


def forecasters(setup: Leads, part: str) -> Mapping[str, Forecaster]:
    """Forecast each lead by persistence, climatology and a smoothed rate."""
    places = Places(setup, part)
    always = places.always[:, 0, list(COLUMNS)]
    means = places.always.mean(axis=(1, 2))
    fit = baselines.LeastSquares(RATES + 1, LEADS * len(COLUMNS))

    def rated(samples: Samples) -> Float64:
        half = array_of(samples, "magnitude_back")[:, -1, BACK.index(13)]
        return np.column_stack([rates(samples, means[places.row(samples)]), half])

    for samples in setup.known():
        fit.add(rated(samples), setup.observed(samples).flatten(1).cpu().numpy())
    coefficients = fit.solve()

    def repeat(batch: Batch) -> Tensor:
        now = batch.samples["magnitude"][:, -1:]
        back = batch.samples["magnitude_back"][:, -1]
        last = torch.cat([now, back[:, [BACK.index(n) for n in (7, 13, 26)]]], dim=1)
        return setup.scaled(last)[:, None].expand(-1, LEADS, -1)

    def mean(batch: Batch) -> Tensor:
        found = torch.from_numpy(always[places.row(batch.samples)]).to(setup.device)
        return setup.scaled(found)[:, None].expand(-1, LEADS, -1)

    def smooth(batch: Batch) -> Tensor:
        found = torch.from_numpy(rated(batch.samples) @ coefficients).to(setup.device)
        return setup.scaled(found.view(-1, LEADS, len(COLUMNS)))

    return {"persistence": repeat, "climatology": mean, "smoothed rate": smooth}


def model(setup: Leads) -> TemporalFusion:
    """Make the network, with an input more where the row number is fed in."""
    past = INPUTS - FAULTS + setup.settings.row_number
    return TemporalFusion(Widths(FAULTS, past, ENCODINGS, len(COLUMNS)))


def _rows(setup: Leads, samples: Samples, window: int) -> Tensor:
    """Return the row number of each step of the past, (T, B, 1) float32."""
    steps = samples["time"] + torch.arange(1 - window, 1, device=setup.device)[:, None]
    rows = samples["location"] * setup.arrays.sizes["time"] + steps
    return rows[..., None].float()


TASK = Task(
    name="tevolop-leads",
    title="Earthquakes of the coming 26 fortnights in Southern California, lead by lead",
    dataset="tevolop",
    metric="NNSE",
    unit="1",
    higher_is_better=True,
    source="doi:10.1016/j.ijforecast.2021.03.012",
    setup=Leads,
    models={"tft": model},
    collate=collate,
    loss=loss,
    measure=lambda setup, part: LeadSeries(setup),
    baselines=forecasters,
    stream=strides,
    profiles={
        "mini": QuakeProfile(
            name="mini",
            description="As strict, on every 60th window of each place for one epoch",
            asset="fortnights",
            split="time",
            parts=TIME_PARTS,
            target=TARGET_SCORE,
            settings=LeadSettings(
                model="tft",
                epochs=1,
                batch_size=64,
                learning_rate=1e-3,
                clip=1.0,
                stride=60,
                score_stride=20,
                score_batch_size=128,
            ),
        ),
        "strict": QuakeProfile(
            name="strict",
            description="Held-out years behind an embargo, scaling from training data only",
            asset="fortnights",
            split="time",
            parts=TIME_PARTS,
            target=TARGET_SCORE,
            settings=LeadSettings(
                model="tft",
                epochs=3,
                batch_size=512,
                learning_rate=1e-3,
                clip=1.0,
                stride=4,
                score_stride=4,
                keep="best",
                score_batch_size=1024,
            ),
        ),
        "reference": QuakeProfile(
            name="reference",
            description="Published rules: four fifths of the pixels train, one fifth validates",
            asset="fortnights-published",
            split="location",
            parts=("train", "validation"),
            target=TARGET_SCORE,
            settings=LeadSettings(
                model="tft",
                epochs=10,
                batch_size=64,
                learning_rate=5e-7,
                score_batch_size=128,
                row_number=True,
            ),
            missing="as-predicted",
            quirks=(
                *PUBLISHED_QUIRKS,
                "the number of the row in the published table, unscaled, is an input",
                "a target of the past year shares up to 25 of 26 fortnights with the inputs",
            ),
            leaks=PUBLISHED_LEAKS,
        ),
    },
)
