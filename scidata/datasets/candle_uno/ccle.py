"""How candle-uno-ccle is built: doses, the curves fitted to them, three kinds of features."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scidata.datasets import Advance
from scidata.datasets.candle_uno import reading
from scidata.datasets.candle_uno.chemistry import Described, describe
from scidata.datasets.candle_uno.content import Block, Content, Features
from scidata.datasets.candle_uno.hill import FEWEST_DOSES, Curve, fit
from scidata.datasets.candle_uno.recipe import Files, from_folder

if TYPE_CHECKING:
    import pandas as pd

LEAST_R2, MOST_EC50SE = 0.3, 3.0
"""Of a curve that the splits may name: the rule of the published response table."""
NAMES = {
    "doses": "ccle_dose_response.csv",
    "expression": "ccle_rna_50.csv",
    "copy_number": "ccle_cnv_50.csv",
    "mutation": "ccle_mutation_1667.csv",
    "smiles": "ccle_drug_smiles.csv",
}
DIMENSIONS = {"expression": "gene", "copy_number": "copied_gene", "mutation": "mutated_gene"}
_MOLAR = 1e-6
"""mol/l in a micromolar dose."""

RESPONSE_COLUMNS = {
    "auc": "AUC", "auc_measured": "AUC_measured", "ic50": "IC50", "ec50": "EC50",
    "ec50se": "EC50se", "einf": "Einf", "slope": "HS", "r2": "R2fit",
}  # fmt: skip
"""Columns of the response table by what a curve calls them; CANDLE's names where it has one."""


def read(files: Files, advance: Advance) -> Content:
    """Read the folder, and fit every curve."""
    table = reading.read_table(files["doses"], ("sample", "drug", "dose_uM", "viability_pct"))
    read_blocks = {name: reading.read_features(files[name]) for name in DIMENSIONS}
    cells = read_blocks["expression"][0]
    smiles = _smiles(files["smiles"])
    known = table["sample"].isin(cells) & table["drug"].isin(list(smiles))
    dosed = table["dose_uM"] > 0
    kept = table[known & dosed & table["viability_pct"].notna()]
    cell, drug, curves, few = _fit_all(kept, advance)
    described = describe(smiles)
    columns = columns_of(curves)
    usable = (columns["R2fit"] >= LEAST_R2) & (columns["EC50se"] <= MOST_EC50SE)
    return Content(
        title="CCLE drug response",
        cells=Features(
            names=cells,
            blocks={
                name: Block(
                    columns=genes,
                    dimension=DIMENSIONS[name],
                    values=reading.aligned(cells, names, values),
                )
                for name, (names, genes, values) in read_blocks.items()
            },
        ),
        drugs=drug_features(smiles, described),
        cell=cell,
        drug=drug,
        columns=columns,
        usable=usable,
        doses=pa.table(
            {
                "cell": pa.array(kept["sample"], pa.string()),
                "drug": pa.array(kept["drug"], pa.string()),
                "dose": np.log10(kept["dose_uM"].to_numpy(np.float64) * _MOLAR),
                "growth": kept["viability_pct"].to_numpy(np.float32) / np.float32(100),
            }
        ),
        steps=(
            f"{len(table) - len(kept)} of {len(table)} measurements were left out: of cells "
            "without expression, of drugs without SMILES, or without a number.",
            f"A Hill curve was fitted to {len(curves)} pairs; {few} have too few doses for it.",
            f"Splits name those with R2fit >= {LEAST_R2} and EC50se <= {MOST_EC50SE:g}.",
        ),
    )


def drug_features(smiles: dict[str, str], described: Described) -> Features:
    """Make drug features of computed descriptors."""
    bits = [str(n) for n in range(described.fingerprint.shape[1])]
    return Features(
        names=list(smiles),
        blocks={
            "descriptors": Block(
                columns=described.names, dimension="descriptor", values=described.descriptors
            ),
            "fingerprint": Block(columns=bits, dimension="bit", values=described.fingerprint),
        },
    )


def columns_of(curves: Sequence[Curve]) -> dict[str, npt.NDArray[Any]]:  # Any: two types
    """Make columns of the response table, float32; the number of doses, int32."""
    rows = [asdict(curve) for curve in curves]
    return {
        **{
            column: np.array([row[name] for row in rows], np.float32)
            for name, column in RESPONSE_COLUMNS.items()
        },
        "doses": np.array([row["doses"] for row in rows], np.int32),
    }


def _fit_all(
    kept: "pd.DataFrame", advance: Advance
) -> tuple[list[str], list[str], list[Curve], int]:
    """Fit every pair of cell and drug, in order; count those with too few doses."""
    cells, drugs, curves, few = list[str](), list[str](), list[Curve](), 0
    groups = kept.groupby(["sample", "drug"], sort=True)
    for done, ((cell, drug), rows) in enumerate(groups):
        dose = np.log10(rows["dose_uM"].to_numpy(np.float64) * _MOLAR)
        if len(np.unique(dose)) < FEWEST_DOSES:
            few += 1
            continue
        curves.append(fit(dose, rows["viability_pct"].to_numpy(np.float64) / 100))
        cells.append(str(cell))
        drugs.append(str(drug))
        advance(done / len(groups))
    return cells, drugs, curves, few


def _smiles(path: Path) -> dict[str, str]:
    table = reading.read_table(path, ("drug", "smiles"))
    found = dict(zip(table["drug"].astype(str), table["smiles"].astype(str), strict=True))
    if len(found) < len(table):
        raise reading.refuse(path, "twice", "a drug is there twice")
    return found


RECIPE = from_folder("candle-uno-ccle", "CCLE dose responses and features", NAMES, read)
