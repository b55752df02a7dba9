"""Building CTRP and GDSC: responses of one project, features of cell lines of another."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xarray as xr

from scidata.building import build
from scidata.check import check
from scidata.errors import InvalidError, NotFoundError

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DRUGS = ["C" * (n + 1) + tail for n in range(6) for tail in ("O", "N")]
CELLS = [f"KYSE{n}_OESOPHAGUS" for n in range(6)] + [f"HT{n}_LARGE_INTESTINE" for n in range(6)]
SIZES = {"train": 60, "val": 10, "test": 10}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two folders, as the two projects have them: cell lines are written in two ways."""
    rng = np.random.default_rng(0)
    responses, features = tmp_path / "source/drugcell", tmp_path / "source/ccle"
    for folder in (responses, features):
        folder.mkdir(parents=True)
    for part, rows in SIZES.items():
        cells, drugs = rng.permutation(np.tile(CELLS, 9))[:rows], rng.choice(DRUGS, rows)
        table = pd.DataFrame({"cell": cells, "drug": drugs, "auc": rng.random(rows)})
        table.to_csv(responses / f"drugcell_{part}.txt", sep="\t", header=False, index=False)
    order = rng.permutation(len(DRUGS))
    listed = pd.DataFrame({"number": range(len(DRUGS)), "drug": [DRUGS[n] for n in order]})
    listed.to_csv(responses / "drug2ind.txt", sep="\t", header=False, index=False)
    bits = np.eye(len(DRUGS), dtype=int)[order]
    pd.DataFrame(bits).to_csv(responses / "drug2fingerprint.txt.gz", header=False, index=False)
    for name, genes in (("rna_50", 3), ("cnv_50", 2), ("mutation_1667", 4)):
        frame = pd.DataFrame(rng.normal(size=(7, genes)))
        frame.insert(0, "sample", [*(f"kyse-{n}" for n in range(6)), "other"])
        frame.to_csv(features / f"ccle_{name}.csv", index=False)
    return tmp_path / "source"


def test_features_are_joined_by_name_and_a_cell_without_them_has_its_tissue(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "staged"
    built = build("candle-uno-ctrp-gdsc", source, out, now=NOW)
    assert check(out).errors == ()
    assert built.counts["responses"] == sum(SIZES.values())
    cells = xr.open_zarr(out / "data/cells.zarr", consolidated=True)
    known = {str(name): not np.isnan(row).any() for name, row in _rows(cells, "expression")}
    assert known == {name: name.startswith("KYSE") for name in known}
    ccle = pd.read_csv(source / "ccle/ccle_rna_50.csv").set_index("sample")
    for name, row in _rows(cells, "expression"):
        if known[str(name)]:
            assert row == pytest.approx(ccle.loc[f"kyse-{str(name)[4]}"].to_numpy(), abs=1e-6)
    tissues = cells["tissue_name"].values.tolist()
    for name, row in _rows(cells, "tissue"):
        assert tissues[int(row.argmax())] == str(name).partition("_")[2].lower()
        assert row.sum() == 1


def test_fingerprints_are_those_of_the_drug_and_the_split_by_row_is_the_published_one(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "staged"
    build("candle-uno-ctrp-gdsc", source, out, now=NOW)
    drugs = xr.open_zarr(out / "data/drugs.zarr", consolidated=True)
    for name, row in _rows(drugs, "fingerprint"):
        assert row.argmax() == DRUGS.index(str(name))
    table = pq.read_table(out / "data/response.parquet").to_pandas()
    begin = 0
    for part, file in (("train", "train"), ("validation", "val"), ("test", "test")):
        rows = (out / f"data/splits/row/{part}.txt").read_text().split()
        assert sorted(map(int, rows)) == list(range(begin, begin + SIZES[file]))
        path = source / f"drugcell/drugcell_{file}.txt"
        given = pd.read_csv(path, sep="\t", header=None)
        assert table["cell"][begin : begin + SIZES[file]].tolist() == given[0].tolist()
        begin += SIZES[file]


def _rows(store: xr.Dataset, name: str) -> list[tuple[object, np.ndarray]]:
    labels = store[str(store[name].dims[0])].values
    return list(zip(labels.tolist(), store[name].values, strict=True))


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("drug2ind.txt", "0\tCO\n", "it lacks .* drugs"),
        ("drug2ind.txt", "".join(f"-1\t{drug}\n" for drug in DRUGS), "-1 is no number"),
        ("drug2fingerprint.txt.gz", None, "drug2fingerprint.txt"),
        ("drug2fingerprint.txt", "0,1\n" * 11, "no row of bits for each drug"),
        ("drug2fingerprint.txt", "0,2\n" * 12, "no row of bits for each drug"),
        ("../ccle/ccle_rna_50.csv", "sample,a\nKYSE-0,1\nkyse0,2\n", "have one name"),
        ("drugcell_val.txt", "a\tb\n", "2 columns, not 3"),
        ("drugcell_test.txt", f"{CELLS[0]}\t{DRUGS[0]}\tmuch\n", "not all of it are numbers"),
    ],
)
def test_a_file_that_does_not_fit_is_named(
    source: Path, tmp_path: Path, file: str, text: str | None, said: str
) -> None:
    path = source / "drugcell" / file
    path.unlink(missing_ok=True)
    if text is not None:
        path.write_text(text)
    with pytest.raises((InvalidError, NotFoundError), match=said):
        build("candle-uno-ctrp-gdsc", source, tmp_path / "staged", now=NOW)
    assert not (tmp_path / "staged").exists()
