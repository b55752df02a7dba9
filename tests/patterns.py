"""Diffraction patterns in the layouts that STEMDL is published in, small and seeded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scidata.datasets.stemdl.published import write_batch

PIXELS = 8
GROUPS = (2, 14, 225)
_ROLES = ("train", "dev", "test")


def facts_of(material: int, energy: int = 100, **changes: Any) -> dict[str, Any]:
    """Attributes as published."""
    group = GROUPS[material % len(GROUPS)]
    return {
        "space_group": group,
        "material": f"mp-{material}",
        "formula": "Fe8 O14 F2",
        "energy_keV": energy,
        "z_dirs": np.eye(3).tolist(),
        "y_dirs": np.eye(3)[::-1].tolist(),
        "semi_angles_rad": [0.00277, 0.003, 0.0031],
        "d_hkls_angstrom": [3.343, 3.1, 3.0],
        "abc_angstrom": [5.0, 6.0, 7.0],
        "angles_degree": [90.0, 95.0, 90.0],
        **changes,
    }


def intensity_of(material: int, energy: int, pixels: int = PIXELS) -> np.ndarray[Any, Any]:
    """Positive numbers over twenty decades, and some zeros."""
    random = np.random.default_rng([material, energy])
    values = np.exp(random.uniform(-40, 10, (3, pixels, pixels))).astype(np.float32)
    values[:, 0, 0] = 0
    return values


def write_samples(
    path: Path, materials: Sequence[int], energies: Sequence[int], pixels: int = PIXELS
) -> Path:
    """Write one file, every material at every energy."""
    samples = {
        f"sample_{m}_{n}": (intensity_of(m, energy, pixels), facts_of(m, energy))
        for m in materials
        for n, energy in enumerate(energies)
    }
    write_batch(path, samples)
    return path


def write_archive(folder: Path, files: int = 2, materials: int = 3) -> Path:
    """Write two files of each part, with materials of their own."""
    for number in range(len(_ROLES) * files):
        role = _ROLES[number // files]
        first = number * materials
        path = folder / role / f"batch_{role}_{number % files}.h5"
        write_samples(path, range(first, first + materials), (100, 110))
    return folder


def write_npz(folder: Path, count: int = 9) -> Path:
    """Write NPZ files in the four published folders."""
    names = ("training", "validation", "testing", "inference")
    for n in range(count):
        inner = folder / names[max(0, n - count + len(names))]
        inner.mkdir(parents=True, exist_ok=True)
        data = np.random.default_rng(n).uniform(0, 255, (3, 128, 128)).astype(np.float32)
        label = np.array([GROUPS[n % len(GROUPS)]])
        np.savez(inner / f"sample-{n}.npz", data=data, label=label)
    return folder
