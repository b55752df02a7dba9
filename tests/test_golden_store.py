"""A store that was written once is read for ever: by scidata, and by tools that know it not.

What it holds, and how it was made: ``tests/data/golden-store-1/README.md``.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bagit
import intake
import pytest
from click.testing import CliRunner

import scidata
from scidata.cli import cli
from scidata.diff import diff
from scidata.errors import SignatureError
from scidata.index import rebuild
from scidata.listing import read_listing
from scidata.mirroring import mirror
from scidata.pulling import pull
from scidata.resolve import resolve
from scidata.signing import load_trusted
from scidata.storage import open_store
from scidata.verifying import verify

GOLDEN = Path(__file__).parent / "data" / "golden-store-1"
# As coreutils computed them when the store was written: sha256sum manifest-sha256.txt
DIGESTS = {
    "tiny@1.0.0": "sha256:22475b77269bd4bece21bf7b4dd8a024876951a996101806e5fcba0bfba188a1",
    "tiny@1.1.0": "sha256:a39173d5931805ddcdff0dd28b882aadbf2f9cd9f9e289d143c1cd19b2067891",
}
# Of all names and bytes: find -type f | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum
WHOLE = "8673dae62081fff1ebc8057e1b83df222a9a6eeede31010ff245b51ce202af98"
NOTES = {"notes/new näme.txt": b"renamed\n", "notes/added.txt": b"added in 1.1.0\n"}

pytestmark = pytest.mark.filterwarnings("ignore::scidata.warning.ScidataWarning")


def fingerprint(folder: Path) -> str:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.relative_to(folder)}\n"
        for path in sorted(folder.rglob("*"), key=lambda p: bytes(p.relative_to(folder)))
        if path.is_file()
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.fixture(params=["materialized", "delta"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The golden store, and as it was before its delta was made whole; nobody writes to it."""
    root = tmp_path / "golden"
    shutil.copytree(GOLDEN / "store", root)
    if request.param == "delta":
        (root / "tiny/versions/1.1.0.full.json").unlink()
        for line in (root / "tiny/v1.1.0/fetch.txt").read_text().splitlines():
            (root / "tiny/v1.1.0" / line.split(" ", 2)[2]).unlink()
    before = fingerprint(root)
    yield root
    assert fingerprint(root) == before


def test_nobody_changed_the_golden_store() -> None:
    assert fingerprint(GOLDEN / "store") == WHOLE
    size = sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file())
    assert size < 100_000


def test_it_is_listed_and_resolved(store: Path) -> None:
    listed = read_listing(open_store(store))
    first, second = listed.versions["tiny"]
    assert {c.name: c.digest for c in (first, second)} == DIGESTS
    assert listed.history(first).state == "deprecated"
    status = listed.history(first).status
    assert status is not None
    assert (status.reason, status.replaced_by) == ("a file was misnamed", "tiny@1.1.0")
    assert (second.prefixes, second.new_files) == (("v1.0.0", "v1.1.0"), 1)
    assert resolve("tiny", store).version == "1.1.0"
    assert resolve(f"tiny@{DIGESTS['tiny@1.1.0']}", store).version == "1.1.0"


@pytest.mark.parametrize("words", [["list"], ["show", "tiny@1.1.0"], ["status", "tiny@1.0.0"]])
def test_the_commands_show_it(store: Path, words: list[str]) -> None:
    done = CliRunner().invoke(cli, [*words, "--store", str(store)])
    assert done.exit_code == 0, done.output
    assert "tiny" in done.output


@pytest.mark.parametrize("name", DIGESTS)
def test_it_verifies_and_is_signed(store: Path, name: str) -> None:
    found = verify(name, store, digest=DIGESTS[name])
    assert (found.damage, found.notes) == ((), ())
    trusted = load_trusted([GOLDEN / "key.pub"])
    if name == "tiny@1.1.0":
        assert verify(name, store, trusted=trusted).damage == ()
    else:
        with pytest.raises(SignatureError):
            verify(name, store, trusted=trusted)


def test_it_is_opened(store: Path) -> None:
    found = scidata.open("tiny@1.1.0", store)
    assert found.to_xarray("array")["wave"].shape == (24, 3, 64)
    assert float(found.to_xarray("array")["wave"][23, 0, 0]) == 4.0
    assert list(found.to_pandas("table")["sample"][:2]) == ["0000", "0001"]
    assert len(found.split("train")) == 16
    assert found.record.title == "Tiny waves for tests"


def test_it_is_pulled_whole(store: Path, tmp_path: Path) -> None:
    pull("tiny@1.1.0", tmp_path / "copy", store)
    assert verify(tmp_path / "copy", digest=DIGESTS["tiny@1.1.0"]).damage == ()
    for path, data in NOTES.items():
        assert (tmp_path / "copy" / "data" / path).read_bytes() == data
    assert not (tmp_path / "copy" / "data" / "notes" / "old name.txt").exists()


def test_it_is_compared_mirrored_and_indexed(store: Path, tmp_path: Path) -> None:
    told = diff("tiny@1.0.0", "tiny@1.1.0", store)
    assert "added.txt" in repr(told)
    mirror([], store, to=tmp_path / "mirror")
    for name, digest in DIGESTS.items():
        assert verify(name, tmp_path / "mirror", digest=digest).damage == ()
    rebuild(open_store(tmp_path / "mirror"))


def test_the_next_version_can_inherit_from_it(tmp_path: Path) -> None:
    from scidata.publishing import PublishOptions, publish

    shutil.copytree(GOLDEN / "store", tmp_path / "store")
    pull("tiny@1.1.0", tmp_path / "tiny", tmp_path / "store")
    shutil.copy(tmp_path / "tiny/meta/record.yaml", tmp_path / "tiny/record.yaml")
    done = publish(
        tmp_path / "tiny",
        tmp_path / "store",
        version="1.2.0",
        options=PublishOptions(layout="delta"),
    )
    assert done.commit.new_files == 0
    assert verify("tiny@1.2.0", tmp_path / "store").damage == ()


def test_tools_that_know_nothing_of_scidata_read_it(tmp_path: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        folder = tmp_path / version
        shutil.copytree(GOLDEN / "store" / "tiny" / f"v{version}", folder)
        subprocess.run(
            ["sha256sum", "--quiet", "-c", "manifest-sha256.txt"], cwd=folder, check=True
        )
        told = subprocess.run(
            ["sha256sum", "manifest-sha256.txt"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"sha256:{told.stdout.split()[0]}" == DIGESTS[f"tiny@{version}"]
        assert bagit.Bag(str(folder)).is_valid()


@pytest.mark.parametrize("catalog", ["tiny/catalog-1.0.0.yaml", "tiny/catalog-1.1.0.yaml"])
def test_plain_intake_opens_it(store: Path, catalog: str) -> None:
    opened: Any = intake.open_catalog(str(store / catalog))
    assert opened["array"].read()["wave"].shape == (24, 3, 64)
    assert len(opened["table"].read()) == 24
    newest: Any = intake.open_catalog(str(store / "index.yaml"))
    assert "tiny" in list(newest)
