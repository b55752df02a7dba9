"""CANDLE's tab-separated tables: responses of all studies, expression, descriptors."""

from pathlib import Path

import numpy as np

from scidata.datasets import Advance
from scidata.datasets.candle_uno import reading
from scidata.datasets.candle_uno.ccle import LEAST_R2, MOST_EC50SE
from scidata.datasets.candle_uno.content import Block, Content, Features
from scidata.datasets.candle_uno.recipe import Files

NAMES = {
    "response": "combined_single_response_agg",
    "expression": "combined_rnaseq_data_lincs1000_source_scale",
    "descriptors": "Combined_PubChem_dragon7_descriptors.tsv",
}
_NUMBERS = (
    "AUC", "IC50", "EC50", "EC50se", "R2fit", "Einf", "HS", "AAC1", "AUC1", "DSS1",
)  # fmt: skip


def read(files: Files, advance: Advance) -> Content:
    """Read the three tables; responses without features are left out and counted."""
    table = reading.read_table(
        files["response"], ("SOURCE", "CELL", "DRUG", "STUDY", *_NUMBERS), sep="\t"
    )
    numbers = {}
    for name in _NUMBERS:
        try:
            numbers[name] = table[name].to_numpy(np.float32)
        except (TypeError, ValueError) as error:
            message = f"its column {name} holds something else than numbers"
            raise reading.refuse(files["response"], "numbers", message) from error
    cells, genes, expression = reading.read_features(files["expression"], sep="\t")
    advance(0.4)
    drugs, names, descriptors = reading.read_features(files["descriptors"], sep="\t")
    advance(0.8)
    cell, drug = table["CELL"].astype(str), table["DRUG"].astype(str)
    known = (cell.isin(cells) & drug.isin(drugs) & np.isfinite(numbers["AUC"])).to_numpy()
    columns = {name: values[known] for name, values in numbers.items()}
    cell, drug = cell[known], drug[known]
    tested, given = _used(cells, cell.tolist()), _used(drugs, drug.tolist())
    return Content(
        title="Combined single-drug response",
        cells=Features(
            names=[cells[n] for n in tested],
            blocks={
                "expression": Block(columns=genes, dimension="gene", values=expression[tested])
            },
        ),
        drugs=Features(
            names=[drugs[n] for n in given],
            blocks={
                "descriptors": Block(
                    columns=names, dimension="descriptor", values=descriptors[given]
                )
            },
        ),
        cell=cell.tolist(),
        drug=drug.tolist(),
        columns=columns,
        usable=(columns["R2fit"] >= LEAST_R2) & (columns["EC50se"] <= MOST_EC50SE),
        steps=(
            f"{int((~known).sum())} of {len(known)} responses were left out: without AUC, or "
            "of cells or drugs without features.",
            f"Splits name those with R2fit >= {LEAST_R2} and EC50se <= {MOST_EC50SE:g}.",
        ),
    )


def _used(names: list[str], wanted: list[str]) -> list[int]:
    """Find the rows that a response names."""
    there = set(wanted)
    return [n for n, name in enumerate(names) if name in there]


def is_folder_of(source: Path) -> bool:
    """Tell whether any of the tables is there."""
    return source.is_dir() and any(
        (source / name).exists() or (source / f"{name}.gz").exists() for name in NAMES.values()
    )
