"""What CANDLE-UNO is compared with: what cell and drug alone tell, without their features."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from scidata.benchmarks.task import Batch, Forecaster
from scidata.benchmarks.uno_setup import CELL, Float64, Integers, Responses

_RIDGE, _ROUNDS = 1.0, 20


def effects(
    cell: Integers, drugs: Sequence[Integers], seen: Float64
) -> tuple[float, Float64, Float64]:
    """Fit mean + cell + drug, or both drugs, by ridge regression, in turns.

    Parameters
    ----------
    cell : (N,)
    drugs : sequence of (N,)
        A drug has the same effect as the first and as the second.
    seen : (N,)

    Returns
    -------
    float, (cells,), (drugs,)
        Effects are 0 where nothing was seen.
    """
    mean, all_drugs = float(seen.mean()), np.concatenate(drugs)
    of_cell, of_drug = np.zeros(cell.max() + 1), np.zeros(all_drugs.max() + 1)
    for _ in range(_ROUNDS):
        rest = seen - mean - of_cell[cell]
        given = sum((of_drug[drug] for drug in drugs), np.zeros(len(seen)))
        own = np.concatenate([rest - given + of_drug[drug] for drug in drugs])
        # Of two drugs at once half a step: each would take all of what both explain.
        of_drug += (_shrunk(all_drugs, own, len(of_drug)) - of_drug) / len(drugs)
        given = sum((of_drug[drug] for drug in drugs), np.zeros(len(seen)))
        of_cell = _shrunk(cell, seen - mean - given, len(of_cell))
    return mean, of_cell, of_drug


def forecasters(setup: Responses, part: str) -> Mapping[str, Forecaster]:
    """Predict the mean, the drug's or both drugs' mean, cell and drugs added up, the truth."""
    cell, drugs, seen = setup.trained
    mean, of_cell, of_drug = effects(cell, drugs, seen)
    counts = np.bincount(np.concatenate(drugs))
    sums = np.bincount(np.concatenate(drugs), np.tile(seen, len(drugs)))
    of_drug_alone = np.where(counts > 0, sums / np.maximum(counts, 1), mean)

    def at(effect: Float64, batch: Batch, by: str, otherwise: float) -> Tensor:
        numbers = batch.samples[f"{by}_number"]
        held = torch.from_numpy(np.append(effect, otherwise).astype(np.float32))
        return held.to(numbers.device)[numbers.long().clamp(max=len(effect))]

    def drug_mean(batch: Batch) -> Tensor:
        each = [at(of_drug_alone, batch, drug, mean) for drug in setup.drugs]
        return setup.scaled(torch.stack(each).mean(dim=0))

    def additive(batch: Batch) -> Tensor:
        each = [at(of_drug, batch, drug, 0.0) for drug in setup.drugs]
        return setup.scaled(mean + at(of_cell, batch, CELL, 0.0) + torch.stack(each).sum(dim=0))

    found: dict[str, Forecaster] = {
        "mean": lambda batch: setup.scaled(torch.full_like(batch.target, mean)),
        "drug mean": drug_mean,
        "additive": additive,
    }
    truth = f"{setup.target}_true"
    if truth in setup.samples.targets:
        found["truth"] = lambda batch: setup.scaled(batch.samples[truth].float())
    return found


def _shrunk(numbers: Integers, rest: Float64, length: int) -> Float64:
    counts = np.bincount(numbers, minlength=length)
    return np.bincount(numbers, rest, minlength=length) / (counts + _RIDGE)
