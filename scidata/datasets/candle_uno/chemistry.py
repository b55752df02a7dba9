"""Drug descriptors from SMILES by RDKit, the extra ``[chem]``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.errors import InvalidError, Problem

Floats: TypeAlias = npt.NDArray[np.float32]

BITS, RADIUS = 1024, 2
_WEIGHTS = frozenset({"Ipc"})
"""Grows with the factorial of a molecule's size: 10^30 beside numbers of order 1."""


@dataclass(frozen=True, kw_only=True)
class Described:
    """Descriptors of some molecules."""

    names: tuple[str, ...]
    descriptors: Floats
    """(drugs, names); NaN where RDKit finds none."""
    fingerprint: npt.NDArray[np.uint8]
    """(drugs, 1024): bits of the Morgan fingerprint of radius 2."""


def describe(smiles: Mapping[str, str]) -> Described:
    """Compute descriptors and fingerprints.

    Parameters
    ----------
    smiles : mapping
        By drug, in the order of the rows that come back.

    Raises
    ------
    InvalidError
        With every SMILES that is none; or if RDKit is not installed.
    """
    try:
        from rdkit import Chem, RDLogger
        from rdkit.Chem import Descriptors, rdFingerprintGenerator
    except ImportError as error:
        raise InvalidError(
            "descriptors are computed with RDKit, which is not installed",
            where="scidata.datasets.candle_uno.chemistry",
            fix='pip install "fair-scidata[chem]"',
        ) from error
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]  # what it says of bad SMILES is said below
    molecules = {drug: Chem.MolFromSmiles(text) for drug, text in smiles.items()}
    bad = [
        Problem(
            code="smiles", path=drug, message=f"{smiles[drug]!r} is no SMILES", fix="correct it"
        )
        for drug, molecule in molecules.items()
        if molecule is None
    ]
    if bad:
        raise InvalidError.listing(
            bad, where="SMILES", fix="correct them, or leave the drugs out"
        )
    computed = [(name, of) for name, of in Descriptors.descList if name not in _WEIGHTS]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    rows = [[of(molecule) for _, of in computed] for molecule in molecules.values()]
    values = np.array(rows, np.float64).reshape(len(molecules), len(computed))
    values[~np.isfinite(values)] = np.nan
    bits = [generator.GetFingerprintAsNumPy(molecule) for molecule in molecules.values()]
    return Described(
        names=tuple(name for name, _ in computed),
        descriptors=values.astype(np.float32),
        fingerprint=np.array(bits, np.uint8).reshape(len(molecules), BITS),
    )
