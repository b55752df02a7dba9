"""Versions that adopt scenes, for tests."""

import os
from pathlib import Path
from typing import Any

import yaml

from scidata.adopting import Adopted, AdoptOptions, adopt
from tests.samples import record_fields
from tests.scenes import scene_name, write_scenes

PATCH = 16


def write_record(folder: Path, scenes: int = 0, *, name: str = "scenes") -> Path:
    """Write a record; with samples of random patches and a split if there are scenes."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = record_fields()
    fields["id"] = name
    del fields["variables"], fields["splits"]
    if scenes:
        fields["splits"] = [_split()]
        fields["samples"] = {
            "asset": name,
            "each": ["scene"],
            "windows": [
                {"dimension": "phony_dim_0", "size": PATCH},
                {"dimension": "phony_dim_1", "size": PATCH},
            ],
            "crops": 2,
            "inputs": ["refs", "bts"],
            "targets": ["bayes"],
        }
        ids = [scene_name(n).removesuffix(".hdf") for n in range(scenes)]
        train = folder / "data" / "splits" / "scene" / "train.txt"
        train.parent.mkdir(parents=True)
        train.write_text("".join(f"{name}\n" for name in sorted(ids)))
    (folder / "record.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    return folder / "record.yaml"


def _split() -> dict[str, Any]:  # Any: YAML at the edge
    return {
        "name": "scene",
        "default": True,
        "dimension": "scene",
        "unit": "scene",
        "rule": "All scenes train.",
        "leaks": None,
        "parts": [{"name": "train", "description": "All scenes."}],
    }


def adopt_scenes(source: str, store: Any, record: Path, **options: Any) -> Adopted:
    """Adopt scenes as ``scenes@1.0.0``, stacked along ``scene``."""
    chosen = AdoptOptions(**{"along": "scene", **options})
    return adopt(source, store, name="scenes", record=record, version="1.0.0", options=chosen)


def adopted(tmp_path: Path, count: int = 3, **options: Any) -> tuple[Path, list[Path]]:
    """Adopt a folder of scenes; return the store and the files."""
    files = write_scenes(tmp_path / "source", count)
    adopt_scenes(
        str(tmp_path / "source"),
        tmp_path / "store",
        write_record(tmp_path / "record"),
        **options,
    )
    return tmp_path / "store", files


def flipped(path: Path) -> None:
    """Change a bit of a file, which keeps its size, and seems older."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, (1e9, 1e9))
