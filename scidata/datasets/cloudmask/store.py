"""``data/scenes.zarr``: scenes in slots, one after another, and a journal of those written.

Blosc with lz4 and byte shuffle for what is measured, Zstandard for flags: as measured in
``docs/design/streaming.md``. A shard holds one scene of one variable, so a scene is written in
one piece, again if need be.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec

from scidata.about import TOOL
from scidata.datasets import JOURNAL
from scidata.datasets.array_store import ZSTD, Array, ArrayStore, Attributes
from scidata.datasets.cloudmask.scene import (
    SLSTR_REFLECTANCE,
    SLSTR_THERMAL,
    Channel,
    Scene,
)
from scidata.datasets.statistics import Moments

ASSET = "scenes"
LZ4 = BloscCodec(cname="lz4", clevel=5, shuffle="shuffle")
CHUNK = 128
"""Pixels on a side of an inner chunk: 393 kB of reflectance."""

_REFS: Attributes = {
    "units": "1",
    "long_name": "top-of-atmosphere reflectance",
    "standard_name": "toa_bidirectional_reflectance",
    "coordinates": "refs_wavelength",
}
_BTS: Attributes = {
    "units": "K",
    "long_name": "top-of-atmosphere brightness temperature",
    "standard_name": "toa_brightness_temperature",
    "coordinates": "bts_wavelength",
}
_BAYES: Attributes = {
    "units": "1",
    "long_name": "cloud flags; not zero is taken as cloud",
}
_TRUTH: Attributes = {
    "units": "1",
    "long_name": "1 where there is cloud, as simulated",
}
_DAY: Attributes = {"units": "1", "long_name": "1 if any reflectance was measured"}

Json: TypeAlias = Mapping[str, Any]  # Any: JSON


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What all scenes of a store have in common."""

    title: str
    height: int
    width: int
    truth: bool
    facts: tuple[str, ...] = ()
    """Names of the numbers of a scene."""
    reflectance: tuple[Channel, ...] = SLSTR_REFLECTANCE
    thermal: tuple[Channel, ...] = SLSTR_THERMAL

    @property
    def document(self) -> Json:
        """What a journal compares: another layout, or release, begins anew."""
        found: Json = json.loads(json.dumps({"layout": asdict(self), "tool": TOOL}))
        return found


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A scene that was written, as the journal has it."""

    slot: int
    id: str
    stamp: list[int]
    """Of its files when they were read."""
    day: bool
    cloudy: int
    """Pixels whose label is not zero."""
    pixels: int
    facts: Mapping[str, int]
    moments: Mapping[str, list[float]] = field(default_factory=dict)
    """By variable: count, mean, sum of squares, lowest, highest."""


class SceneStore:
    """Writes scenes; what an earlier run of the same layout wrote is kept.

    Parameters
    ----------
    data : Path
        The folder ``data/`` of a build.
    layout : Layout
    slots : int
        How many scenes there may be.
    """

    def __init__(self, data: Path, layout: Layout, slots: int) -> None:
        self.layout = layout
        self._journal = data.parent / JOURNAL
        path = data / f"{ASSET}.zarr"
        held = _read_journal(self._journal, layout) if path.is_dir() else None
        if held is None:
            shutil.rmtree(path, ignore_errors=True)
            self._journal.unlink(missing_ok=True)
        self._held = held or {}
        self.store = ArrayStore(path, layout.title, resume=held is not None)
        if held is None:
            self.arrays = self._created(slots)
            _append(self._journal, layout.document)
        else:
            self.arrays = self._opened(slots)

    def held(self, slot: int, name: str, stamp: list[int]) -> Entry | None:
        """Return what a slot holds already, if it is that scene of those very files."""
        entry = self._held.get(slot)
        return entry if entry and (entry.id, entry.stamp) == (name, stamp) else None

    def put(self, slot: int, name: str, stamp: list[int], scene: Scene) -> Entry:
        """Write a scene into a slot."""
        self._void(slot)
        values: dict[str, npt.NDArray[Any]] = {
            "refs": scene.refs,
            "bts": scene.bts,
            "bayes": scene.label,
        }
        if scene.truth is not None:
            values["truth"] = scene.truth
        for key, array in self.arrays.items():
            array[slot] = values[key]
        entry = Entry(
            slot=slot,
            id=name,
            stamp=stamp,
            day=scene.is_day,
            cloudy=int(np.count_nonzero(scene.label)),
            pixels=scene.label.size,
            facts=scene.facts,
            moments={key: pack(values[key]) for key in ("refs", "bts")},
        )
        _append(self._journal, asdict(entry))
        return entry

    def finish(self, entries: Sequence[Entry]) -> None:
        """Cut the arrays to the scenes that there are, and write their coordinates."""
        for slot in [slot for slot in self._held if slot >= len(entries)]:
            self._void(slot)
        for array in self.arrays.values():
            array.resize((len(entries), *array.shape[1:]))
        put = self.store.put
        names = np.array([entry.id for entry in entries], object)
        put("scene", ["scene"], names, {"long_name": "name of the file, without suffix"})
        day = np.array([entry.day for entry in entries], np.uint8)
        put("day", ["scene"], day, _DAY)
        for key in self.layout.facts:
            numbers = np.array([entry.facts[key] for entry in entries], np.int64)
            put(key, ["scene"], numbers, FACTS[key])
        put_channels(self.store, "refs", self.layout.reflectance)
        put_channels(self.store, "bts", self.layout.thermal)
        self.store.close()

    def _void(self, slot: int) -> None:
        """Note that a slot does not hold what the journal says, before its bytes change."""
        if self._held.pop(slot, None):
            _append(self._journal, {"void": slot})

    def _created(self, slots: int) -> dict[str, Array]:
        layout = self.layout
        area = {"y": layout.height, "x": layout.width}
        arrays: dict[str, Array] = {}
        for key, dtype, channels, notes, codec in (
            ("refs", "float32", len(layout.reflectance), _REFS, LZ4),
            ("bts", "float32", len(layout.thermal), _BTS, LZ4),
            ("bayes", "uint16", 0, _BAYES, ZSTD),
            ("truth", "uint8", 0, _TRUTH, ZSTD),
        ):
            if key == "truth" and not layout.truth:
                continue
            inner = {f"{key}_channel": channels} if channels else {}
            sizes = [min(CHUNK, n) for n in area.values()]
            shard = [-(-n // c) * c for n, c in zip(area.values(), sizes, strict=True)]
            arrays[key] = self.store.create(
                key,
                {"scene": slots, **inner, **area},
                dtype,
                notes,
                layout=((1, *inner.values(), *sizes), (1, *inner.values(), *shard)),
                codec=codec,
            )
        return arrays

    def _opened(self, slots: int) -> dict[str, Array]:
        arrays: dict[str, Array] = {}
        for key in ("refs", "bts", "bayes", "truth"):
            array = self.store.group.get(key)
            if isinstance(array, zarr.Array):
                if array.shape[0] < slots:  # never fewer: the journal knows what lies there
                    array.resize((slots, *array.shape[1:]))
                arrays[key] = array
        return arrays


FACTS: Mapping[str, Attributes] = {
    "time": {
        "standard_name": "time",
        "long_name": "first line of the frame, UTC",
        "units": "seconds since 1970-01-01",
        "calendar": "proleptic_gregorian",
    },
    "cycle": {"units": "1", "long_name": "cycle of 385 orbits"},
    "orbit": {"units": "1", "long_name": "orbit in its cycle"},
    "frame": {"units": "1", "long_name": "along-track coordinate of the frame"},
}


def put_channels(store: ArrayStore, variable: str, channels: Sequence[Channel]) -> None:
    """Write the names and wavelengths of a variable's channels."""
    dim = f"{variable}_channel"
    names = np.array([channel.name for channel in channels], object)
    store.put(dim, [dim], names, {"long_name": "channel of the instrument"})
    waves = np.array([channel.wavelength_um for channel in channels], np.float64)
    store.put(
        f"{variable}_wavelength",
        [dim],
        waves,
        {
            "units": "um",
            "standard_name": "sensor_band_central_radiation_wavelength",
            "long_name": "wavelength at the centre of the channel",
        },
    )


def pack(values: Any) -> list[float]:  # Any: an array of numbers
    """Reduce values to what statistics need."""
    seen = Moments()
    seen.add(values)
    if seen.count == 0:
        return [0]
    return [seen.count, seen.mean, seen.squares, seen.low, seen.high]


def unpack(packed: Sequence[float]) -> Moments:
    """Return the statistics that `pack` reduced values to."""
    seen = Moments()
    if packed[0]:
        seen.count = int(packed[0])
        seen.mean, seen.squares, seen.low, seen.high = packed[1:]
    return seen


def _read_journal(path: Path, layout: Layout) -> dict[int, Entry] | None:
    """Return the scenes that are whole; None if the journal is not of this layout."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines or json.loads(lines[0]) != layout.document:
            return None
        entries: dict[int, Entry] = {}
        for line in _whole(lines[1:]):
            document = json.loads(line)
            if "void" in document:
                entries.pop(document["void"], None)
            else:
                entries[document["slot"]] = Entry(**document)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return entries


def _whole(lines: list[str]) -> list[str]:
    """Leave out a last line that was cut off."""
    return [line for line in lines if line.endswith("}")]


def _append(path: Path, document: Json) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(document) + "\n")
