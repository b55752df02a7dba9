"""A tiny dataset that is whole: a record, a table, a sharded array store and splits."""

import json
from pathlib import Path
from typing import Any

import yaml

SAMPLES = 24
CHANNELS = 3


def record_fields() -> dict[str, Any]:  # Any: YAML at the edge
    """Return the fields of a valid record; change them before writing to test a rule."""
    return {
        "id": "tiny",
        "title": "Tiny waves for tests",
        "abstract": "Twenty-four short sine waves in three channels, with a table of labels.",
        "creators": [
            {
                "given": "Josiah",
                "family": "Carberry",
                "orcid": "0000-0002-1825-0097",
                "affiliations": [{"name": "CERN", "ror": "01ggx4157"}],
            }
        ],
        "contact": {"name": "Josiah Carberry", "email": "josiah@example.org"},
        "publisher": {"name": "CERN", "ror": "01ggx4157"},
        "license": "CC-BY-4.0",
        "access": "open",
        "language": "en",
        "keywords": ["waves", "tests"],
        "synthetic": True,
        "synthetic_note": "Computed from sine functions; nothing was measured.",
        "provenance": {
            "software": [{"name": "scidata", "version": "0.1.0"}],
            "steps": [{"activity": "Compute sine waves"}],
        },
        "variables": [
            {"name": "wave", "asset": "array", "description": "A sine wave.", "units": "1"},
            {"name": "sample", "asset": "table", "description": "Sample id.", "units": "1"},
            {
                "name": "frequency",
                "asset": "table",
                "description": "Of the sine.",
                "units": "Hz",
            },
        ],
        "splits": [
            {
                "name": "sample",
                "default": True,
                "dimension": "sample",
                "unit": "wave",
                "rule": "The first sixteen waves train, the other eight validate.",
                "leaks": None,
                "parts": [
                    {"name": "train", "description": "Sixteen waves."},
                    {"name": "validation", "description": "Eight waves."},
                ],
            }
        ],
    }


def write_staged(path: Path) -> Path:
    """Write the dataset; the same bytes each time. Returns `path`."""
    import numpy as np

    (path / "data").mkdir(parents=True)
    text = yaml.safe_dump(record_fields(), sort_keys=False, allow_unicode=True)
    (path / "record.yaml").write_text(text, encoding="utf-8")
    frequency = np.linspace(1.0, 4.0, SAMPLES)
    phase = np.arange(CHANNELS)[:, None] * np.pi / 8
    waves = np.sin(frequency[:, None, None] * np.linspace(0, 6, 64) + phase)
    _write_table(path / "data" / "table.parquet", frequency)
    _write_array(path / "data" / "array.zarr", waves.astype(np.float32))
    ids = [f"{number:04d}" for number in range(SAMPLES)]
    for part, names in {"train": ids[:16], "validation": ids[16:]}.items():
        file = path / "data" / "splits" / "sample" / f"{part}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{name}\n" for name in names))
    _write_statistics(path / "data" / "statistics.json", waves)
    return path


def write_bare(path: Path, text: str = "a") -> Path:
    """Write a dataset of two text files, for tests that publish many times."""
    (path / "data" / "deep").mkdir(parents=True)
    fields = record_fields()
    for name in ("variables", "splits"):
        del fields[name]
    fields["id"] = "bare"
    (path / "record.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    (path / "data" / "one.txt").write_text(f"one {text}\n")
    (path / "data" / "deep" / "two.txt").write_text(f"two {text}\n")
    return path


def _write_table(path: Path, frequency: Any) -> None:  # Any: numpy is imported late
    import pyarrow as pa
    import pyarrow.parquet as pq

    ids = [f"{number:04d}" for number in range(SAMPLES)]
    pq.write_table(pa.table({"sample": ids, "frequency": frequency}), path)


def _write_array(path: Path, waves: Any) -> None:  # Any: numpy is imported late
    import numpy as np
    import zarr
    import zarr.storage

    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    wave = group.create_array(
        "wave",
        shape=waves.shape,
        dtype="float32",
        chunks=(4, CHANNELS, 64),
        shards=(8, CHANNELS, 64),
        dimension_names=("sample", "channel", "time"),
        attributes={"units": "1", "long_name": "sine wave"},
    )
    wave[:] = waves
    number = group.create_array(
        "sample",
        shape=(SAMPLES,),
        dtype="int32",
        chunks=(SAMPLES,),
        dimension_names=("sample",),
    )
    number[:] = np.arange(SAMPLES, dtype="int32")
    # Zarr warns that consolidated metadata is not yet part of the v3 text; readers agree on it.
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=UserWarning)
        zarr.consolidate_metadata(group.store)


def _write_statistics(path: Path, waves: Any) -> None:  # Any: numpy is imported late
    train = waves[:16]
    wave = {
        "count": int(train.size),
        "mean": float(train.mean()),
        "std": float(train.std()),
        "min": float(train.min()),
        "max": float(train.max()),
    }
    document = {
        "schema": "scidata-statistics/1",
        "assets": {"array": {"over": "sample/train", "variables": {"wave": wave}}},
    }
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
