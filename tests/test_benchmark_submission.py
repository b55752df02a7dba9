"""Submissions: an honest one passes, and whatever was forged, edited or left out is named."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scidata.benchmarks import predictions, run_task
from scidata.benchmarks.predictions import Predictions, parse, to_bytes
from tests.windows import publish_quakes

SMALL = {"epochs": 2, "batch_size": 28, "stride": 4, "score_stride": 4}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_quakes(tmp_path_factory.mktemp("quakes"))


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "first"
    run_task("tevolop", dataset="quakes@1.0.0", store=store, out=out, settings=SMALL)
    return out


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 4))
def test_predictions_survive_the_round_trip(samples: int, axes: int, width: int) -> None:
    found = Predictions(
        dimensions=("location", "time", "level")[:axes],
        ids=np.arange(samples * axes).reshape(samples, axes),
        values=np.ones((samples, width), np.float32),
    )
    again = parse(to_bytes(found))
    assert again.dimensions == found.dimensions
    assert np.array_equal(again.ids, found.ids)
    assert np.array_equal(again.values, found.values)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_predictions_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, TypeError, LookupError)):
        parse(data)


def test_a_run_keeps_what_it_predicted_of_every_scored_part(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    assert set(result["predictions"]) == set(result["scores"])
    for part, kept in result["predictions"].items():
        data = (run / kept["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == kept["sha256"]
        found = predictions.read(run / kept["path"], sha256=kept["sha256"])
        assert len(found.rows()) == result["splits"][part]["scored_samples"]
