"""Building CANDLE-UNO: every source becomes cells, drugs and responses that name both."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

import scidata
from scidata.building import build
from scidata.check import check
from scidata.datasets.candle_uno import hdfstore, hill, splits, tables
from scidata.datasets.candle_uno.chemistry import describe
from scidata.datasets.candle_uno.simulate import Simulated, simulate
from scidata.errors import InvalidError, NotFoundError
from scidata.publishing import publish
from scidata.record import load_record

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DRUGS = {
    f"drug{n}": "C" * (n + 1) + tail
    for n, tail in enumerate(("O", "N", "Cl", "F", "C(=O)O", "c1ccccc1", "Br", "S", "=O", "#N"))
}


@pytest.fixture(scope="module")
def drawn() -> Simulated:
    return simulate(3, cells=14, drugs=12)


@pytest.fixture(scope="module")
def prebuilt(drawn: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in the published layout: look, and copy it before changing it."""
    path = tmp_path_factory.mktemp("published") / "top_21_auc_1fold.uno.h5"
    hdfstore.write_published(path, drawn)
    return path


def table_of(staged: Path, name: str = "response") -> pd.DataFrame:
    found: pd.DataFrame = pq.read_table(staged / f"data/{name}.parquet").to_pandas()
    return found


def store_of(staged: Path, name: str) -> xr.Dataset:
    found: xr.Dataset = xr.open_zarr(staged / f"data/{name}.zarr", consolidated=True)
    return found


def ids(staged: Path, split: str, part: str) -> set[int]:
    return {
        int(line) for line in (staged / f"data/splits/{split}/{part}.txt").read_text().split()
    }


def made(name: str, source: Path | None, out: Path) -> Path:
    build(name, source, out, now=NOW)
    assert check(out).errors == ()
    return out


def test_the_prebuilt_file_is_read_without_repeated_rows(
    prebuilt: Path, drawn: Simulated, tmp_path: Path
) -> None:
    staged = made("candle-uno", prebuilt, tmp_path / "staged")
    table, cells, drugs = (
        table_of(staged), store_of(staged, "cells"), store_of(staged, "drugs")
    )  # fmt: skip
    assert len(table) == len(drawn.auc)
    assert cells.sizes == {"cell": 14, "gene": 942}
    assert drugs.sizes == {"drug": 12, "descriptor": 5270}
    order = np.concatenate(list(splits.by_row(np.arange(len(drawn.auc))).values()))
    assert np.array_equal(table["AUC"], drawn.auc[order])
    at = cells["cell"].values.tolist().index("CTRP.SIM-006")
    assert np.array_equal(cells["expression"][at], drawn.expression[6])


def test_the_split_by_row_of_the_prebuilt_file_is_its_own(
    prebuilt: Path, tmp_path: Path
) -> None:
    staged = made("candle-uno", prebuilt, tmp_path / "staged")
    file: Any
    with h5py.File(prebuilt) as file:
        sizes = [len(file[f"y_{key}/table"]) for key in ("train", "val", "test")]
    found = [ids(staged, "row", part) for part in ("train", "validation", "test")]
    assert [len(part) for part in found] == sizes
    assert found[0] == set(range(sizes[0]))


def test_nothing_in_the_prebuilt_file_is_unpickled(prebuilt: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.h5"
    path.write_bytes(prebuilt.read_bytes())
    canary = tmp_path / "canary"
    bomb = f"cposix\nsystem\n(S'touch {canary}'\ntR.".encode()
    with h5py.File(path, "r+") as file:
        file["model"].attrs["input_features"] = np.bytes_(bomb)
        file["x_train_0"].attrs["values_cols"] = np.bytes_(bomb)
    made("candle-uno", path, tmp_path / "staged")
    assert not canary.exists()


def test_a_prebuilt_file_packed_by_blosc_and_snappy_is_read(
    prebuilt: Path, tmp_path: Path
) -> None:
    path = tmp_path / "snappy.h5"
    old: Any
    with h5py.File(prebuilt) as old, h5py.File(path, "w") as new:
        for key in [key for key in old if key != "model"]:
            new.create_dataset(
                f"{key}/table", data=old[f"{key}/table"][...], chunks=(8,),
                **hdf5plugin.Blosc(cname="snappy", clevel=9),
            )  # fmt: skip
    assert len(table_of(made("candle-uno", path, tmp_path / "staged")))


def test_rows_of_one_cell_that_differ_are_refused(prebuilt: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.h5"
    path.write_bytes(prebuilt.read_bytes())
    file: Any
    with h5py.File(path, "r+") as file:
        rows = file["x_val_0/table"][...]
        rows["values_block_0"][0, 5] += 1
        file["x_val_0/table"][...] = rows
    with pytest.raises(InvalidError, match=r"rows of '.*' differ from each other"):
        build("candle-uno", path, tmp_path / "staged", now=NOW)
    assert not (tmp_path / "staged").exists()


@pytest.mark.parametrize("frame", ["y_train", "y_val", "x_train_1"])
def test_a_prebuilt_file_without_a_frame_is_refused(
    prebuilt: Path, tmp_path: Path, frame: str
) -> None:
    path = tmp_path / "copy.h5"
    path.write_bytes(prebuilt.read_bytes())
    with h5py.File(path, "r+") as file:
        del file[frame]
    with pytest.raises(InvalidError, match="lacks the frame"):
        build("candle-uno", path, tmp_path / "staged", now=NOW)


def write_tables(folder: Path, drawn: Simulated) -> Path:
    folder.mkdir()
    count = len(drawn.auc)
    rows = pd.DataFrame(
        {
            "SOURCE": "SIM",
            "CELL": [drawn.cells[n] for n in drawn.cell],
            "DRUG": [drawn.drugs[n] for n in drawn.drug],
            "STUDY": "SIM",
            **dict.fromkeys(tables._NUMBERS, 0.5),
        }
    )
    rows["AUC"] = drawn.auc
    rows["R2fit"] = np.where(np.arange(count) % 5 == 0, 0.2, 0.9)
    rows.loc[1, "EC50se"] = 4.0
    rows.loc[2, "AUC"] = np.nan
    rows.loc[3, "CELL"] = "SIM.without-features"
    rows.to_csv(folder / tables.NAMES["response"], sep="\t", index=False)
    for role, column, names, values in (
        ("expression", "Sample", drawn.cells, drawn.expression[:, :20]),
        ("descriptors", "NAME", drawn.drugs, drawn.descriptors[:, :30]),
    ):
        frame = pd.DataFrame(values, columns=[f"{role}{n}" for n in range(values.shape[1])])
        frame.insert(0, column, names)
        frame.to_csv(folder / tables.NAMES[role], sep="\t", index=False)
    return folder


def test_the_tables_keep_all_responses_but_splits_name_the_well_fitted(
    drawn: Simulated, tmp_path: Path
) -> None:
    source = write_tables(tmp_path / "tables", drawn)
    staged = made("candle-uno", source, tmp_path / "staged")
    table = table_of(staged)
    assert len(table) == len(drawn.auc) - 2  # one without AUC, one without features
    chosen = set.union(*(ids(staged, "cell", part) for part in splits.PARTS))
    fits = (table["R2fit"] >= 0.3) & (table["EC50se"] <= 3)
    assert chosen == set(np.flatnonzero(fits))
    assert store_of(staged, "cells")["gene"].values[0] == "expression0"


def test_a_table_that_is_absent_is_named(drawn: Simulated, tmp_path: Path) -> None:
    source = write_tables(tmp_path / "tables", drawn)
    (source / tables.NAMES["expression"]).unlink()
    with pytest.raises(NotFoundError, match=tables.NAMES["expression"]):
        build("candle-uno", source, tmp_path / "staged", now=NOW)


def test_a_stranger_of_a_source_is_told_what_would_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("nothing")
    with pytest.raises(InvalidError, match="neither the published file nor its tables"):
        build("candle-uno", tmp_path / "file", tmp_path / "staged", now=NOW)
    with pytest.raises(InvalidError, match="does not ship"):
        build("candle-uno", None, tmp_path / "staged", now=NOW)


def write_ccle(folder: Path) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    cells = [f"cell{n}" for n in range(12)]
    doses = 10.0 ** np.linspace(-3, 1, 8)
    rows = [
        (cell, drug, dose, 100 * float(hill.response(np.log10([dose * 1e-6]), -7, 1, 0.1)[0]))
        for cell in (*cells, "unknown")
        for drug in DRUGS
        for dose in doses
    ]
    names = "sample", "drug", "dose_uM", "viability_pct"
    pd.DataFrame(rows, columns=names).to_csv(folder / "ccle_dose_response.csv.gz", index=False)
    for name, genes in (("rna_50", 4), ("cnv_50", 3), ("mutation_1667", 5)):
        frame = pd.DataFrame(rng.normal(size=(12, genes)))
        frame.insert(0, "sample", cells)
        frame.iloc[int(name.startswith("rna")) :].to_csv(
            folder / f"ccle_{name}.csv", index=False
        )
    smiles = pd.DataFrame({"drug": DRUGS.keys(), "smiles": DRUGS.values()})
    smiles.to_csv(folder / "ccle_drug_smiles.csv", index=False)
    return folder


def test_doses_become_curves_with_the_area_that_they_were_made_with(tmp_path: Path) -> None:
    staged = made("candle-uno-ccle", write_ccle(tmp_path / "ccle"), tmp_path / "staged")
    table = table_of(staged)
    assert len(table) == 11 * len(DRUGS)  # of one cell no expression is known
    assert table["AUC"].to_numpy() == pytest.approx(
        hill.area(-7, 1, 0.1, hill.INTERVAL), abs=1e-4
    )
    assert table["EC50"].to_numpy() == pytest.approx(-7, abs=1e-3)
    assert len(table_of(staged, "doses")) == len(table) * 8
    text = " ".join(
        step.activity for step in load_record(staged / "record.yaml").provenance.steps
    )
    assert "left out" in text
    assert "Overlap of split cell, test: 0 of" in text


def test_a_built_version_streams_the_rows_that_a_response_names(
    prebuilt: Path, drawn: Simulated, tmp_path: Path
) -> None:
    publish(made("candle-uno", prebuilt, tmp_path / "s"), tmp_path / "store", version="1.0.0")
    opened = scidata.open("candle-uno", tmp_path / "store")
    cells = opened.to_xarray("cells")["expression"].values
    stream = opened.stream("train", batch_size=16, shuffle=True, seed=0)
    batch = next(iter(stream))
    stream.close()
    assert np.array_equal(batch["expression"], cells[batch["cell_number"]])
    assert batch["descriptors"].shape == (16, 5270)


def test_splits_by_name_share_no_cell_or_drug_and_by_row_share_them(
    drawn: Simulated, tmp_path: Path
) -> None:
    staged = made("candle-uno-mini", None, tmp_path / "staged")
    table = table_of(staged)
    for split, column in (("cell", "cell"), ("drug", "drug")):
        seen = [set(table[column].iloc[sorted(ids(staged, split, p))]) for p in splits.PARTS]
        assert not seen[0] & seen[1]
        assert not seen[0] & seen[2]
        assert not seen[1] & seen[2]
    rows = {part: np.array(sorted(ids(staged, "row", part))) for part in splits.PARTS}
    shared = splits.shared(rows, table["cell"].tolist(), [table["drug"].tolist()])["test"]
    assert shared.known_rows == shared.rows


@given(st.integers(0, 2**32 - 1), st.integers(12, 30))
def test_pairs_of_split_drug_have_no_drug_in_two_parts(seed: int, drugs: int) -> None:
    rng = np.random.default_rng(seed)
    columns = [[f"d{n}" for n in rng.integers(0, drugs, 200)] for _ in range(2)]
    parts = splits.by_name(np.arange(200), columns, "x")
    used = [{column[row] for column in columns for row in rows} for rows in parts.values()]
    assert not used[0] & used[1] | used[0] & used[2] | used[1] & used[2]
    known = splits.shared(parts, ["c"] * 200, columns)["test"]
    assert (known.known_drugs, known.known_rows) == (0, 0)


def test_the_simulation_is_as_hard_as_it_says() -> None:
    drawn = simulate(0)
    assert drawn.auc.var() == pytest.approx(0.024, abs=0.004)
    assert np.square(drawn.auc - drawn.noiseless).mean() == pytest.approx(0.004, abs=0.0005)
    assert drawn.descriptors.shape[1] == 5270
    assert drawn.expression.shape[1] == 942


@settings(max_examples=60, deadline=None)
@given(
    ec50=st.floats(-8, -6),
    slope=st.floats(0.6, 3),
    einf=st.floats(0, 0.8),
)
def test_a_fit_recovers_the_parameters_of_a_curve(
    ec50: float, slope: float, einf: float
) -> None:
    doses = np.linspace(-9, -5, 12)
    found = hill.fit(doses, hill.response(doses, ec50, slope, einf))
    assert found.ec50 == pytest.approx(ec50, abs=0.01)
    assert found.slope == pytest.approx(slope, rel=0.02)
    assert found.einf == pytest.approx(einf, abs=0.01)
    assert found.r2 == pytest.approx(1, abs=1e-4)
    assert found.auc == pytest.approx(hill.area(ec50, slope, einf, hill.INTERVAL), abs=1e-3)
    if einf < 0.45:
        assert hill.response(np.array([found.ic50]), ec50, slope, einf) == pytest.approx(
            0.5, abs=0.01
        )


@given(ec50=st.floats(-12, -2), slope=st.floats(0.05, 4), einf=st.floats(0, 1))
def test_the_area_is_the_mean_of_the_curve(ec50: float, slope: float, einf: float) -> None:
    low, high = hill.INTERVAL
    middle = low + (np.arange(4000) + 0.5) * (high - low) / 4000
    expected = hill.response(middle, ec50, slope, einf).mean()
    assert hill.area(ec50, slope, einf, hill.INTERVAL) == pytest.approx(expected, abs=1e-5)


def test_a_flat_curve_has_area_one_and_an_uncertain_middle() -> None:
    doses = np.linspace(-9, -5, 8)
    found = hill.fit(doses, np.ones(8))
    assert found.auc == pytest.approx(1, abs=0.02)
    assert not found.r2 > 0.3
    assert np.isnan(found.ic50)


def test_a_noisy_curve_is_told_as_least_squares_tells_it() -> None:
    doses = np.linspace(-9, -5, 12)
    noise = np.random.default_rng(0).normal(0, 0.03, 12)
    seen = hill.response(doses, -7, 1.2, 0.2) + noise
    found = hill.fit(doses, seen)
    best, covariance = curve_fit(hill.response, doses, seen, p0=(-7, 1, 0.2))
    assert (found.ec50, found.slope, found.einf) == pytest.approx(best, abs=1e-3)
    assert found.ec50se == pytest.approx(np.sqrt(covariance[0, 0]), rel=0.01)
    rest = seen - hill.response(doses, *best)
    assert found.r2 == pytest.approx(1 - rest.var() / seen.var(), abs=1e-3)
    middle = np.linspace(-9, -5, 4001)
    assert found.auc_measured == pytest.approx(hill.response(middle, *best).mean(), abs=1e-3)


@pytest.mark.parametrize(
    "seen",
    [np.repeat([1.0, -0.5], 4), np.repeat([1.0, 1.5], 4), np.linspace(1, 0.99, 8)],
    ids=["below nothing", "above all", "hardly"],
)
def test_a_curve_stays_within_its_bounds_whatever_was_seen(seen: hill.Float) -> None:
    found = hill.fit(np.linspace(-9, -5, 8), seen)
    assert 0 <= found.einf <= 1
    assert 0.05 <= found.slope <= 4
    assert -11 <= found.ec50 <= -3


@pytest.mark.parametrize(
    ("doses", "seen", "said"),
    [
        ((-8, -7, -6, -6), (1, 0.5, 0.2, 0.3), "3 doses"),
        ((-8, -7, -6, -5), (1, 0.5, np.nan, 0.3), "cannot be fitted"),
    ],
)
def test_too_few_doses_or_what_is_no_number_are_refused(
    doses: tuple[float, ...], seen: tuple[float, ...], said: str
) -> None:
    with pytest.raises(InvalidError, match=said):
        hill.fit(np.array(doses, float), np.array(seen, float))


def test_descriptors_are_those_of_the_molecule_and_bad_smiles_are_named() -> None:
    found = describe({"ethanol": "CCO", "benzene": "c1ccccc1"})
    weights = found.descriptors[:, found.names.index("MolWt")]
    assert weights == pytest.approx([46.07, 78.11], abs=0.01)
    assert found.fingerprint.shape == (2, 1024)
    with pytest.raises(InvalidError, match="no SMILES"):
        describe({"good": "CCO", "bad": "C(C"})


def test_real_files_are_read(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "candle_uno/gdsc2_tgsa"
    built = build("candle-uno-gdsc2", source, tmp_path / "staged", now=NOW)
    assert built.counts["responses"] == 82_833
    assert check(tmp_path / "staged").errors == ()
