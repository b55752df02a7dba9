"""The test servers and samples do what other tests rely on."""

import filecmp
import subprocess
import urllib.request
from pathlib import Path

import pytest
import xarray as xr

from tests.samples import write_staged


def test_http_folder_answers_ranges_with_206(http_folder: tuple[str, Path]) -> None:
    base_url, folder = http_folder
    (folder / "x.bin").write_bytes(b"0123456789")
    wanted = {"Range": "bytes=3-5"}
    request = urllib.request.Request(f"{base_url}/x.bin", headers=wanted)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
        assert (answer.status, answer.read()) == (206, b"345")


@pytest.mark.parametrize("url_fixture", ["s3_url", "rclone_url"])
def test_aws_cli_writes_and_reads_both_s3_servers(
    url_fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue(url_fixture)
    (tmp_path / "x").write_bytes(b"hello")
    subprocess.run(["aws", "s3", "cp", str(tmp_path / "x"), f"{url}/x"], check=True)
    out = subprocess.run(["aws", "s3", "ls", f"{url}/"], check=True, capture_output=True)
    assert b" 5 x" in out.stdout


def test_the_tiny_dataset_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    first, second = write_staged(tmp_path / "a"), write_staged(tmp_path / "b")
    paths = [p.relative_to(first) for p in first.rglob("*") if p.is_file()]
    assert paths
    for path in paths:
        assert filecmp.cmp(first / path, second / path, shallow=False), path


def test_the_tiny_dataset_opens_in_xarray(staged: Path) -> None:
    opened = xr.open_zarr(staged / "data" / "array.zarr", chunks=None)
    assert dict(opened.sizes) == {"sample": 24, "channel": 3, "time": 64}
