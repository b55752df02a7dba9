"""Simulated cells, drugs and responses: a truth of low rank behind many features.

Cells and drugs have ten hidden numbers each. Genes and descriptors are noisy mixtures of them,
and so is the dose at which a drug works on a cell: what a model can learn from features.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.datasets.candle_uno import hill

Float: TypeAlias = npt.NDArray[np.float32]

GENES, DESCRIPTORS = 942, 5270
"""Of the published file."""
SOURCES = ("CCLE", "CTRP", "GDSC", "NCI60", "gCSI")
_HIDDEN, _DENSITY = 10, 0.6
_POTENCY, _SENSITIVITY, _MATCH = 0.6, 0.3, 0.8
"""Spread of log10 EC50 by drug, by cell, and by how they match."""
_CENTRE = -6.4
_DOSE = -6.4
"""log10(mol/l) of each drug of a pair: where half of the drugs act by half."""
_NOISE_VARIANCE = 0.004
"""Mean over all responses: no model can have a smaller squared error."""
_BLOCK = 31
"""Descriptors that are copies of each other but for noise."""
_CONSTANT, _MISSING = 0.03, 0.02
_SPARSE = 0.3
"""Share of the hidden numbers that a gene depends on."""
_FLAT = 1e-9
"""Deviation below which a column is constant."""


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Everything that was drawn."""

    cells: tuple[str, ...]
    drugs: tuple[str, ...]
    expression: Float
    """(cells, 942), of mean 0 and deviation 1 within each source."""
    descriptors: Float
    """(drugs, 5270), mean-imputed, of mean 0 and deviation 1; 0 where they are constant."""
    cell: npt.NDArray[np.int64]
    """Of each response, by cell and then drug."""
    drug: npt.NDArray[np.int64]
    auc: Float
    """With noise."""
    noiseless: Float
    ec50: Float
    """log10(mol/l)."""
    slope: Float
    einf: Float


def simulate(seed: int, *, cells: int = 120, drugs: int = 80) -> Simulated:
    """Draw a dataset; the same seed gives the same one."""
    rng = np.random.default_rng(seed)
    hidden_cells = rng.normal(size=(cells, _HIDDEN))
    hidden_drugs = rng.normal(size=(drugs, _HIDDEN))
    match = hidden_cells @ rng.normal(size=(_HIDDEN, _HIDDEN)) @ hidden_drugs.T / _HIDDEN
    potency = _CENTRE + _POTENCY * hidden_drugs[:, 0]
    ec50 = potency + _SENSITIVITY * hidden_cells[:, :1] + _MATCH * match
    slope = np.broadcast_to(rng.uniform(0.5, 3, size=drugs), ec50.shape)
    einf = np.clip(
        rng.uniform(0, 0.8, size=drugs) + rng.normal(0, 0.05, size=ec50.shape), 0, 0.8
    )
    cell, drug = np.nonzero(rng.random(ec50.shape) < _DENSITY)
    at = cell, drug
    pairs = zip(ec50[at], slope[at], einf[at], strict=True)
    noiseless = np.array([hill.area(*pair, hill.INTERVAL) for pair in pairs])
    # What kills much is measured with more noise.
    deviation = 0.5 + (1 - noiseless)
    deviation *= np.sqrt(_NOISE_VARIANCE / np.mean(deviation**2))
    origin = np.arange(cells) % len(SOURCES)
    return Simulated(
        cells=tuple(f"{SOURCES[o]}.SIM-{n:03d}" for n, o in enumerate(origin)),
        drugs=tuple(f"{('CTRP', 'NSC')[n % 2]}.SIM{n:02d}" for n in range(drugs)),
        expression=_expression(rng, hidden_cells, origin),
        descriptors=_descriptors(rng, hidden_drugs),
        cell=cell,
        drug=drug,
        auc=(noiseless + rng.normal(size=len(cell)) * deviation).astype(np.float32),
        noiseless=noiseless.astype(np.float32),
        ec50=ec50[at].astype(np.float32),
        slope=slope[at].astype(np.float32),
        einf=einf[at].astype(np.float32),
    )


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Responses of cells to two drugs at once."""

    cell: npt.NDArray[np.int64]
    """(pairs,): rows of the cells, as the others of what was drawn."""
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    growth: Float
    """Share of the cells that grow, with noise."""
    noiseless: Float


def pair(drawn: Simulated, seed: int, *, pairs: int) -> Pairs:
    """Draw pairs of the drugs that a cell was given, which act independently (Bliss).

    Each drug alone leaves a share of the cells, at one dose; both leave the product.
    """
    rng = np.random.default_rng([seed, 2])
    curves = (a.astype(np.float64) for a in (drawn.ec50, drawn.slope, drawn.einf))
    alone = hill.response(np.full(len(drawn.ec50), _DOSE), *curves)
    order = rng.permuted(np.tile(np.arange(len(drawn.drugs)), (pairs, 1)), axis=1)
    cell = rng.integers(0, len(drawn.cells), pairs)
    at = np.full((len(drawn.cells), len(drawn.drugs)), -1)
    at[drawn.cell, drawn.drug] = np.arange(len(drawn.cell))
    # The first two in a random order of drugs that the cell was given.
    given = np.argsort(at[cell[:, None], order] < 0, axis=1, kind="stable")[:, :2]
    first, second = np.take_along_axis(order, given, axis=1).T
    noiseless = alone[at[cell, first]] * alone[at[cell, second]]
    noise = rng.normal(0, np.sqrt(_NOISE_VARIANCE), pairs)
    return Pairs(
        cell=cell,
        first=first,
        second=second,
        growth=(noiseless + noise).astype(np.float32),
        noiseless=noiseless.astype(np.float32),
    )


def _expression(
    rng: np.random.Generator, hidden: npt.NDArray[np.float64], origin: npt.NDArray[np.int64]
) -> Float:
    loadings = rng.normal(size=(_HIDDEN, GENES)) * (rng.random((_HIDDEN, GENES)) < _SPARSE)
    values = hidden @ loadings + rng.normal(0, 0.7, size=(len(hidden), GENES))
    for source in np.unique(origin):
        rows = origin == source
        # Each study has a scale of its own, which the scaling by source takes away again.
        measured = values[rows] * rng.uniform(0.5, 2) + rng.normal(size=GENES)
        values[rows] = _standard(measured)
    return values.astype(np.float32)


def _descriptors(rng: np.random.Generator, hidden: npt.NDArray[np.float64]) -> Float:
    blocks = DESCRIPTORS // _BLOCK
    basis = hidden @ rng.normal(size=(_HIDDEN, blocks)) / np.sqrt(_HIDDEN)
    values = np.repeat(basis, _BLOCK, axis=1)
    values += rng.normal(0, 0.3, size=values.shape)
    values[:, rng.random(values.shape[1]) < _CONSTANT] = 1.0
    missing = rng.random(values.shape) < _MISSING
    held = np.where(missing, np.nan, values)
    means = np.nanmean(held, axis=0)
    return _standard(np.where(missing, means, values)).astype(np.float32)


def _standard(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    spread = values.std(axis=0)
    standard: npt.NDArray[np.float64] = np.where(
        spread > _FLAT, (values - values.mean(axis=0)) / np.maximum(spread, _FLAT), 0
    )
    return standard
