"""Outside judges that cannot share our environment: they ask for older libraries than we do."""

import subprocess
import venv
from pathlib import Path

import pytest

JUDGES = ("cffconvert==2.0.0", "roc-validator==0.13.0")


def make_judges_python(folder: Path) -> None:
    """Make an environment with cffconvert and the RO-Crate validator."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", *JUDGES]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the judges cannot be installed: {done.stderr.strip()[-200:]}")


def judged(*command: str | Path) -> str:
    """Return what a judge says; nothing if it finds nothing."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.stdout.strip() if done.returncode else ""
