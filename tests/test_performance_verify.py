"""The measurements of verify: that they run, and that they judge. Nothing here is timed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scidata.benchmarks.performance.goals import Goal, beneath, conclude
from scidata.benchmarks.performance.listed_version import RECORD
from scidata.benchmarks.performance.lister import answer
from scidata.benchmarks.performance.records import RANDOM_BYTES
from scidata.record import parse_record

FOLDER = Path(__file__).parent.parent / "benchmarks/performance"


def measured(script: str, *options: str) -> dict[str, Any]:  # Any: JSON
    command = [sys.executable, str(FOLDER / script), "--size", "small", "--rounds", "1"]
    done = subprocess.run(
        [*command, *options, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)  # Any: JSON
    assert document["schema"] == "scidata-performance/2"
    assert document["cpu"]
    return document


def test_records_of_what_is_measured_are_sound() -> None:
    names = [parse_record(data, where="here").id for data in (RANDOM_BYTES.encode(), RECORD)]
    assert names == ["speed", "many"]


@pytest.mark.slow
def test_the_speed_of_verify_is_measured_beside_its_peers_and_the_floor() -> None:
    document = measured("verify.py")
    assert document["peak_memory_bytes"] < 300e6
    peers = {"scidata", "bagit --processes 2", "sha256sum -c", "grouped loop", "plain read"}
    assert set(document["contestants"]) >= peers | {"sha256 in memory", "reading alone"}
    assert [goal["name"] for goal in document["goals"]] == [
        "as fast as sha256sum -c",
        "as fast as bagit --processes 2",
        "as fast as grouped loop",
        "peak memory",
    ]


@pytest.mark.slow
def test_the_speed_of_a_remote_verify_is_measured_beside_plain_fetches() -> None:
    from shutil import which

    if which("nginx", path="/usr/sbin:/usr/local/sbin") is None and which("nginx") is None:
        pytest.skip("no nginx to serve the objects")
    document = measured("verify_remote.py")
    fetches = {"scidata", "fetch, same client", "fetch, plain http", "sha256 in memory"}
    assert set(document["seconds"]) == fetches


def test_the_speed_of_manifests_is_measured_and_of_the_index_apart() -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "manifest.py"), "--files", "2000", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document["seconds"]) == {"construct", "write", "digest", "parse", "diff"}
    assert set(document["apart"]["seconds"]) == {"write index", "read index", "parse odd names"}
    assert document["goal"]["reached"]


def test_a_listing_is_compared_by_one_request_a_page_and_one_for_each_tag_file() -> None:
    found: list[int] = []
    for keys in (3000, 5000):
        done = subprocess.run(
            [sys.executable, str(FOLDER / "verify_fast.py"), "--keys", str(keys), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["pages"] == keys // 1000 + 1  # the tag files are listed, too
        found.append(told["requests"] - told["pages"])
    assert found[0] == found[1] == 2 + told["tags"]  # and the commit record, and the statuses


@pytest.mark.parametrize(("found", "code"), [(0.96, 0), (0.95, 0), (0.94, 1)])
def test_a_goal_that_is_missed_ends_with_1_and_says_so(
    found: float, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    why = beneath(0.7, 0.78, "reading and hashing")
    goal = Goal(
        name="as fast as a peer",
        found=found,
        sense="at least",
        limit=0.95,
        unit="times",
        why=why,
    )
    with pytest.raises(SystemExit) as ended:
        conclude([goal], quiet=False, judged=True)
    assert ended.value.code == code
    said = capsys.readouterr().out
    assert said.startswith("MISSED" if code else "reached")
    assert ("reading and hashing alone take 0.78 s" in said) == bool(code)


def test_the_lister_pages_through_a_bucket_and_folds_folders() -> None:
    objects = [(f"a/{n:04d}", n, "2026-01-01T00:00:00Z") for n in range(1500)]
    first = answer(objects, prefix="a/", after="", delimiter="")
    assert first.count("<Key>") == 1000
    assert "<NextContinuationToken>a/0999<" in first
    second = answer(objects, prefix="a/", after="a/0999", delimiter="")
    assert second.count("<Key>") == 500
    assert "<IsTruncated>false<" in second
    assert answer(objects, prefix="", after="", delimiter="/").count("<Prefix>a/</Prefix>") == 1
