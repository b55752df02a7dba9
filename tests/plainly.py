"""Intake without scidata, as others have it: an environment, and what it reads."""

import io
import json
import os
import subprocess
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

LIBRARIES = (
    "xarray",
    "zarr",
    "s3fs",
    "pandas",
    "pyarrow",
    "aiohttp",
    "h5netcdf",
    "h5py",
    "hdf5plugin",
    "pystac",
)
Document = dict[str, Any]  # Any: YAML at the edge


def make_plain_python(folder: Path) -> None:
    """Make an environment with Intake and readers, and without scidata."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wanted = ["intake==2.0.9", *(f"{name}=={version(name)}" for name in LIBRARIES)]
    install = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"Intake cannot be installed alone: {done.stderr.strip()[-200:]}")


def read_plainly(python: Path, what: str, url: str, *options: str) -> Document:
    """Return what Intake alone sees."""
    program = Path(__file__).with_name("plain_readers.py")
    # Away from the checkout: the current folder would be importable.
    done = subprocess.run(
        [python, program, what, url, *options],
        cwd=python.parent,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: Document = json.loads(done.stdout)
    return seen


def scene(**more: int) -> bytes:
    """Return the bytes of a small HDF5 file; more arrays by their channels."""
    import h5py
    import numpy as np

    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        for name, channels in {"refs": 6, "bts": 3, "bayes": 1, **more}.items():
            root[name] = np.zeros((12, 15, channels), "f4")
    return file.getvalue()
