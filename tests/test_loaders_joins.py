"""Joins: a sample gathers the rows of other assets that it names."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from scidata.errors import InvalidError, NotFoundError
from scidata.loaders.order import SHUFFLES, Order, Shuffle
from scidata.loaders.source import Source
from scidata.loaders.stream import Stream
from scidata.record import Samples
from scidata.record.contents import Join
from tests import streams

RESPONSES, CELLS = 50, 7
LABELS = np.arange(CELLS) * 10 + 3
ROWS = np.random.default_rng(5).integers(0, CELLS, RESPONSES)
FEATURES = np.random.default_rng(6).normal(size=(CELLS, 4)).astype(np.float32)
IDS = tuple(sorted(map(str, range(0, RESPONSES, 2))))

pytestmark = pytest.mark.filterwarnings("ignore:.*:zarr.errors.ZarrUserWarning")


def _source(
    folder: Path,
    by: Any = ("row", ROWS),  # Any: what xarray takes for a variable
    *,
    labels: Any = None,
    variables: tuple[str, ...] = ("features",),
    other: Any = None,
    inputs: tuple[str, ...] = ("growth",),
) -> Source:
    growth = np.random.default_rng(7).normal(size=RESPONSES)
    table = xr.Dataset({"growth": ("row", growth), "cell": by})
    cells = xr.Dataset({"features": (("cell", "gene"), FEATURES), **(other or {})})
    if labels is not None:
        cells = cells.assign_coords(cell=labels)
    table.to_zarr(folder / "table.zarr", consolidated=False)
    cells.to_zarr(folder / "cells.zarr", consolidated=False)
    join = Join(by="cell", asset="cells", variables=variables)
    return streams.source_of(
        streams.asset_of(folder / "table.zarr", consolidated=False),
        Samples(asset="table", each=("row",), inputs=inputs, joins=(join,)),
        joined={"cells": streams.asset_of(folder / "cells.zarr", consolidated=False)},
        dimension="row",
        ids=IDS,
    )


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_a_sample_gathers_the_row_that_it_names(
    tmp_path: Path, shuffle: Shuffle, *, labelled: bool
) -> None:
    named = LABELS[ROWS] if labelled else ROWS
    source = _source(tmp_path, ("row", named), labels=LABELS if labelled else None)
    stream = Stream(source, Order(batch_size=8, shuffle=shuffle))
    seen: list[int] = []
    for batch in stream:
        rows = batch["row"].numpy()
        seen += rows.tolist()
        assert np.array_equal(batch["features"].numpy(), FEATURES[ROWS[rows]])
    assert sorted(seen) == list(range(0, RESPONSES, 2))
    stream.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": ((), 3)}, r"'cell' has the shape \(\), not \(50,\)"),
        (
            {"by": (("row", "two"), np.zeros((RESPONSES, 2), int))},
            r"'cell' has the shape \(50, 2\), not",
        ),
        ({"variables": ("genes",)}, "'genes' is absent"),
        (
            {"variables": ("features", "weight"), "other": {"weight": ("drug", [1.0])}},
            "first dimensions of 'features', 'weight' differ",
        ),
        ({"labels": [3] * CELLS}, "labels of 'cell' occur twice"),
    ],
)
def test_a_join_that_does_not_fit_is_refused(
    tmp_path: Path,
    options: dict[str, Any],  # Any: of `_source`
    message: str,
) -> None:
    with pytest.raises(InvalidError, match=message):
        Stream(_source(tmp_path, **options), Order(batch_size=8))


def test_a_row_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="1 values of 'cell' name no row, such as 7"):
        Stream(_source(tmp_path, ("row", ROWS + 1)), Order(batch_size=8))


def test_two_variables_of_one_name_are_refused(tmp_path: Path) -> None:
    source = _source(tmp_path, other={"growth": ("cell", FEATURES[:, 0])})
    join = Join(by="cell", asset="cells", variables=("growth",))
    twice = replace(source, samples=source.samples.model_copy(update={"joins": (join,)}))
    with pytest.raises(InvalidError, match="a batch would hold 'growth' twice"):
        Stream(twice, Order(batch_size=8))


def test_rows_of_more_than_their_share_of_the_memory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="'features' has 112 bytes, which is more than"):
        Stream(_source(tmp_path), Order(batch_size=1), memory=800)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    drugs=st.integers(1, 6),
    shuffle=st.sampled_from(SHUFFLES),
    labelled=st.booleans(),
)
def test_two_gathers_of_one_asset_are_what_two_merges_give(
    seed: int, drugs: int, shuffle: Shuffle, *, labelled: bool
) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(drugs) * 3 + 1 if labelled else np.arange(drugs)
    table = pd.DataFrame(labels[rng.integers(0, drugs, (30, 2))], columns=["first", "second"])
    features = rng.normal(size=drugs).astype(np.float32)
    held = pd.DataFrame({"drug": labels, "strength": features})
    merged = table
    for by in ("first", "second"):
        own = held.rename(columns={"drug": by, "strength": f"{by}_strength"})
        merged = merged.merge(own, on=by, how="left")
    with TemporaryDirectory() as folder:
        place = Path(folder)
        rows = xr.Dataset({name: ("row", table[name]) for name in table})
        rows.to_zarr(place / "table.zarr", consolidated=False)
        drug = xr.Dataset({"strength": ("drug", features)})
        if labelled:
            drug = drug.assign_coords(drug=labels)
        drug.to_zarr(place / "drugs.zarr", consolidated=False)
        source = streams.source_of(
            streams.asset_of(place / "table.zarr", consolidated=False),
            Samples(
                asset="table",
                each=("row",),
                inputs=("first",),
                joins=tuple(
                    Join(
                        by=by, asset="drugs", variables=("strength",), names=(f"{by}_strength",)
                    )
                    for by in ("first", "second")
                ),
            ),
            joined={"drugs": streams.asset_of(place / "drugs.zarr", consolidated=False)},
            dimension="row",
            ids=tuple(sorted(map(str, range(30)))),
        )
        stream = Stream(source, Order(batch_size=7, shuffle=shuffle))
        seen = 0
        for batch in stream:
            at = batch["row"].numpy()
            seen += len(at)
            for name in ("first_strength", "second_strength"):
                assert np.array_equal(batch[name].numpy(), merged[name].to_numpy()[at])
        stream.close()
    assert seen == 30


def test_rows_that_two_joins_gather_are_in_memory_once(tmp_path: Path) -> None:
    source = _source(tmp_path)
    both = tuple(
        Join(by="cell", asset="cells", variables=("features",), names=(name,))
        for name in ("one", "other")
    )
    twice = replace(source, samples=source.samples.model_copy(update={"joins": both}))
    # One is 112 bytes, and what is gathered may take an eighth of the memory.
    stream = Stream(twice, Order(batch_size=1), memory=8 * 112 + 400)
    batch = next(iter(stream))
    assert np.array_equal(batch["one"], batch["other"])
    stream.close()


def test_variables_of_one_name_in_two_assets_are_told_apart(tmp_path: Path) -> None:
    source = _source(tmp_path)
    others = xr.Dataset({"features": (("cell", "gene"), -FEATURES)})
    others.to_zarr(tmp_path / "others.zarr", consolidated=False)
    held = streams.asset_of(tmp_path / "others.zarr", consolidated=False)
    joins = tuple(
        Join(by="cell", asset=asset, variables=("features",), names=(asset,))
        for asset in ("cells", "others")
    )
    both = replace(
        source,
        samples=source.samples.model_copy(update={"joins": joins}),
        joined={**source.joined, "others": held},
    )
    stream = Stream(both, Order(batch_size=25))
    batch = next(iter(stream))
    assert np.array_equal(batch["cells"], -batch["others"])
    assert np.array_equal(batch["cells"], FEATURES[ROWS[batch["row"].numpy()]])
    stream.close()


@pytest.mark.parametrize("names", [("growth",), ()])
def test_a_record_whose_batches_would_hold_a_name_twice_is_refused(
    names: tuple[str, ...],
) -> None:
    join = Join(by="cell", asset="cells", variables=("features",), names=names)
    with pytest.raises(ValueError, match="would hold two variables"):
        Samples(asset="t", each=("row",), inputs=("growth",), joins=(join, join))
