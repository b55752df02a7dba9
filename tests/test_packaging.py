"""The wheel holds what the checkout holds, and works where there is no checkout."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import scidata

ROOT = Path(__file__).parent.parent
FOLDERS = ("loaders", "benchmarks", "catalogs", "metadata")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made from the sdist as an index would."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", out, ROOT], check=True, capture_output=True
    )
    return next(out.glob("*.whl"))


def test_wheel_holds_every_source_file_inside_scidata(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {n for n in names if ".dist-info/" not in n}
    listed = subprocess.run(
        ["git", "ls-files", "scidata", *FOLDERS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    links = {f"scidata/{n}" for n in FOLDERS}
    tracked = listed.stdout.split()
    wanted = {f if f.startswith("scidata/") else f"scidata/{f}" for f in tracked} - links
    assert shipped == wanted


def test_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env/bin/python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    # The dependencies come from this environment: what is judged is our own wheel.
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (Path(site) / "zz_borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    program = (
        "import scidata, scidata.loaders, scidata.benchmarks\n"
        "from importlib.resources import files\n"
        "from scidata.record import load_record\n"
        f"assert scidata.__file__.startswith({site!r}), scidata.__file__\n"
        "print(load_record(files('scidata') / 'metadata' / 'tevolop.yaml').id)\n"
    )
    done = subprocess.run(
        [python, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "tevolop\n", done.stderr


def test_the_citation_names_the_version_of_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == scidata.__version__
