"""``scidata bench loader``: how fast a version streams, and where the time goes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from scidata.cli import cli
from scidata.errors import ScidataError
from tests.windows import publish_quakes


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(publish_quakes(tmp_path_factory.mktemp("quakes")))


def test_it_prints_an_epoch_a_line(store: str) -> None:
    shown = CliRunner().invoke(cli, ["bench", "loader", "quakes", "--store", store])
    assert shown.exit_code == 0, shown.output
    head, first, second, *_ = shown.stdout.splitlines()
    assert head.split()[:3] == ["epoch", "samples/s", "MB/s"]
    assert (first.split()[0], second.split()[0]) == ("0", "1")


def test_the_document_counts_what_was_streamed(store: str, tmp_path: Path) -> None:
    command = ["bench", "loader", "quakes", "--store", store, "--json", "--batch-size", "32"]
    command += ["--cache", str(tmp_path / "cache"), "--shuffle", "none"]
    shown = CliRunner().invoke(cli, command)
    assert shown.exit_code == 0, shown.output
    document = json.loads(shown.stdout)
    assert document["schema"] == "scidata-loader/1"
    assert document["name"] == "quakes@1.0.0"
    for epoch in document["epochs"]:
        assert epoch["samples"] == 6 * 56
        assert epoch["batches"] == 11
        assert epoch["peak_memory_bytes"] > 0
        assert epoch["samples_per_s"] > 0


def test_an_epoch_may_be_cut_short(store: str) -> None:
    command = ["bench", "loader", "quakes", "--store", store, "--json", "--batches", "2"]
    shown = CliRunner().invoke(cli, [*command, "--epochs", "1", "--batch-size", "8"])
    assert [e["samples"] for e in json.loads(shown.stdout)["epochs"]] == [16]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--split", "tarin"], 3, "no split 'tarin'"),
        (["--memory", "1", "--batch-size", "100000"], 4, "is too little"),
        (["--threads", "0"], 2, "--threads"),
        (["--batches", "0"], 2, "--batches"),
        (["--shuffle", "some"], 2, "--shuffle"),
    ],
)
def test_a_wrong_option_is_one_clear_error(
    store: str, options: list[str], code: int, message: str
) -> None:
    shown = CliRunner().invoke(cli, ["bench", "loader", "quakes", "--store", store, *options])
    error = shown.exception
    found = error.exit_code if isinstance(error, ScidataError) else shown.exit_code
    assert found == code
    assert message in f"{error}{shown.stderr}"
