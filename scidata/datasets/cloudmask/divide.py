"""Writes the splits of scenes that were built, and the statistics of those that train."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scidata import split
from scidata.datasets import statistics
from scidata.datasets.cloudmask import splits
from scidata.datasets.cloudmask.folder import SceneFile
from scidata.datasets.cloudmask.store import ASSET, Entry, unpack
from scidata.datasets.statistics import Moments


@dataclass(frozen=True, kw_only=True)
class Divided:
    """How scenes were divided."""

    parts: Mapping[str, splits.Parts]
    """By split, the default first; empty if there are too few scenes."""
    orbits_apart: int
    """Inference files that were left out of the split by orbit."""


def divide(data: Path, scenes: Sequence[SceneFile], entries: Sequence[Entry]) -> Divided:
    """Divide the scenes that were written, and write the lists and the statistics."""
    ids = {entry.id for entry in entries}
    there = [scene for scene in scenes if scene.said.stem in ids]
    parts: dict[str, splits.Parts] = {}
    left_out = 0
    if (found := splits.by_orbit(there)) is not None:
        parts["orbit"], left_out = found
    if (drawn := splits.as_published(there)) is not None:
        parts["published"] = drawn
    write_splits(data, parts)
    over = next((f"{name}/train" for name in parts), "all")
    train = next(iter(parts.values()), {"train": sorted(ids)})["train"]
    _write_statistics(data, entries, over, train)
    return Divided(parts=parts, orbits_apart=left_out)


def write_splits(data: Path, parts: Mapping[str, splits.Parts]) -> None:
    """Write the lists of ids."""
    for name, lists in parts.items():
        for part, ids in lists.items():
            path = data.parent / split.split_path(name, part)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(split.to_text(ids))


def _write_statistics(
    data: Path, entries: Sequence[Entry], over: str, train: Sequence[str]
) -> None:
    """Write the statistics of the training scenes, merged from those of each."""
    chosen = set(train)
    seen = {"refs": Moments(), "bts": Moments()}
    for entry in entries:
        if entry.id in chosen:
            for key, moments in seen.items():
                moments.merge(unpack(entry.moments[key]))
    document = {
        "over": over,
        "variables": {key: moments.report() for key, moments in seen.items()},
    }
    statistics.write(data / "statistics.json", {ASSET: document})
