"""How candle-uno-gdsc2 is built: ln IC50 as published, three kinds of features, SMILES."""

import numpy as np

from scidata.datasets import Advance
from scidata.datasets.candle_uno import reading
from scidata.datasets.candle_uno.ccle import drug_features
from scidata.datasets.candle_uno.chemistry import describe
from scidata.datasets.candle_uno.content import Block, Content, Features
from scidata.datasets.candle_uno.recipe import Files, from_folder

_NAMES = {
    "response": "baseline_GDSC2_IC50.csv",
    "expression": "exp_580x706.csv",
    "copy_number": "cn_580x706.csv",
    "mutation": "mu_580x706.csv",
    "smiles": "drug_smiles.csv",
}
_DIMENSIONS = {"expression": "gene", "copy_number": "copied_gene", "mutation": "mutated_gene"}


def read(files: Files, advance: Advance) -> Content:
    """Read the folder; the matrix of responses becomes one row a measured pair."""
    held = {name: reading.read_features(files[name]) for name in _DIMENSIONS}
    cells = held["expression"][0]
    table = reading.read_table(files["smiles"], ("drug_name", "IsomericSMILES"))
    smiles = dict(
        zip(table["drug_name"].astype(str), table["IsomericSMILES"].astype(str), strict=True)
    )
    tested, drugs, ic50 = reading.read_features(files["response"])
    advance(0.5)
    described = describe(smiles)
    rows, columns = np.nonzero(np.isfinite(ic50))
    known = np.isin(np.array(tested, object)[rows], np.array(cells, object))
    known &= np.isin(np.array(drugs, object)[columns], np.array(list(smiles), object))
    left_out = int((~known).sum())
    rows, columns = rows[known], columns[known]
    return Content(
        title="GDSC2 drug response",
        cells=Features(
            names=cells,
            blocks={
                name: Block(
                    columns=[gene.strip("()") for gene in genes],
                    dimension=_DIMENSIONS[name],
                    values=reading.aligned(cells, names, values),
                )
                for name, (names, genes, values) in held.items()
            },
        ),
        drugs=drug_features(smiles, described),
        cell=[tested[n] for n in rows],
        drug=[drugs[n] for n in columns],
        columns={"ln_IC50": ic50[rows, columns]},
        usable=np.ones(len(rows), bool),
        steps=(
            f"{left_out} of {len(rows) + left_out} responses were left out: of cells without "
            "expression or drugs without SMILES.",
        ),
    )


RECIPE = from_folder("candle-uno-gdsc2", "GDSC2 responses and features", _NAMES, read)
