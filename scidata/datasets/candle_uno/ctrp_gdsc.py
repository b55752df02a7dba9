"""How candle-uno-ctrp-gdsc is built: AUC of CTRP and GDSC, the sample that DrugCell has.

Its features of cell lines are another project's, so they are joined by name from the tables of
`scidata.datasets.candle_uno.ccle`; the tissue is in the name itself.
"""

import re

import numpy as np
import numpy.typing as npt

from scidata.datasets import Advance
from scidata.datasets.candle_uno import ccle, reading
from scidata.datasets.candle_uno.chemistry import describe
from scidata.datasets.candle_uno.content import Block, Content, Features
from scidata.datasets.candle_uno.recipe import Files, from_folder
from scidata.datasets.candle_uno.splits import PARTS

_RESPONSES = {
    "train": "drugcell_train.txt",
    "validation": "drugcell_val.txt",
    "test": "drugcell_test.txt",
}
_NAMES = {
    **_RESPONSES,
    "drugs": "drug2ind.txt",
    "fingerprint": "drug2fingerprint.txt",
    **{kind: ccle.NAMES[kind] for kind in ccle.DIMENSIONS},
}


def read(files: Files, advance: Advance) -> Content:
    """Read the folder; the parts of split ``row`` are the published ones."""
    cell, drug, auc = list[str](), list[str](), list[npt.NDArray[np.float32]]()
    parts: dict[str, npt.NDArray[np.int64]] = {}
    for part in PARTS:
        table = reading.read_rows(files[part], 3)
        begin = len(cell)
        cell += table[0].astype(str).tolist()
        drug += table[1].astype(str).tolist()
        auc.append(reading.numbers_of(files[part], table[[2]])[:, 0])
        parts[part] = np.arange(begin, len(cell))
    cells = sorted(set(cell))
    blocks, known = _measured(files, cells)
    advance(0.3)
    target = np.concatenate(auc)
    return Content(
        title="CTRP and GDSC drug response",
        cells=Features(names=cells, blocks={**blocks, "tissue": _tissues(cells)}),
        drugs=_drugs(files, sorted(set(drug))),
        cell=cell,
        drug=drug,
        columns={"AUC": target},
        usable=np.isfinite(target),
        given={"row": parts},
        steps=(
            "Split row is the one of the source's files.",
            f"Expression, copy number and mutations are those of CCLE, which has {known} of "
            f"the {len(cells)} cell lines by name; of the others the tissue is known alone.",
        ),
    )


def _measured(files: Files, cells: list[str]) -> tuple[dict[str, Block], int]:
    """Take features of CCLE by name, without its tissue and whatever is no letter or digit."""
    blocks = {}
    wanted = [_plain(_named(cell)[0]) for cell in cells]
    there: set[str] = set()
    for kind, dimension in ccle.DIMENSIONS.items():
        names, genes, values = reading.read_features(files[kind])
        plain = [_plain(name) for name in names]
        if len(set(plain)) < len(plain):
            raise reading.refuse(files[kind], "twice", "two cell lines have one name")
        blocks[kind] = Block(
            columns=genes, dimension=dimension, values=reading.aligned(wanted, plain, values)
        )
        there |= set(plain)
    return blocks, len(there.intersection(wanted))


def _tissues(cells: list[str]) -> Block:
    named = [_named(cell)[1] for cell in cells]
    tissues = sorted(set(named))
    columns = np.array([tissues.index(name) for name in named])
    return Block(
        columns=[name or "unknown" for name in tissues],
        dimension="tissue_name",
        values=np.eye(len(tissues), dtype=np.uint8)[columns],
    )


def _drugs(files: Files, drugs: list[str]) -> Features:
    """Take the published fingerprints, and compute descriptors; a drug's name is its SMILES."""
    rows = reading.read_rows(files["drugs"], 2)
    place = {name: n for n, name in zip(rows[0], rows[1].astype(str), strict=True)}
    if absent := [drug for drug in drugs if drug not in place]:
        message = f"it lacks {len(absent)} drugs, such as {absent[0]}"
        raise reading.refuse(files["drugs"], "stranger", message)
    if odd := [place[drug] for drug in drugs if not str(place[drug]).isdecimal()]:
        message = f"{odd[0]!r} is no number of a row"
        raise reading.refuse(files["drugs"], "stranger", message)
    bits = reading.read_rows(files["fingerprint"], None, sep=",")
    found = reading.numbers_of(files["fingerprint"], bits)
    at = [int(place[drug]) for drug in drugs]
    if max(at) >= len(found) or not np.isin(found, (0, 1)).all():
        raise reading.refuse(files["fingerprint"], "bits", "it is no row of bits for each drug")
    described = describe({drug: drug for drug in drugs})
    return Features(
        names=drugs,
        blocks={
            "descriptors": Block(
                columns=described.names, dimension="descriptor", values=described.descriptors
            ),
            "fingerprint": Block(
                columns=[str(n) for n in range(found.shape[1])],
                dimension="bit",
                values=found[at].astype(np.uint8),
            ),
        },
    )


def _named(cell: str) -> tuple[str, str]:
    """Return the name and the tissue of a cell line as CCLE writes both."""
    name, _, tissue = cell.partition("_")
    return name, tissue.lower()


def _plain(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())


RECIPE = from_folder("candle-uno-ctrp-gdsc", "DrugCell responses, CCLE features", _NAMES, read)
