"""Targets of samples by part of a split: whether parts hold alike, and which kinds are rare."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scidata import split
from scidata.previews.arrays import Arrays, evenly, pick
from scidata.previews.histograms import edges
from scidata.previews.images import frame_of
from scidata.previews.quantity import Quantity, short
from scidata.previews.sketch import COMPARISON, Drawing, Sketch
from scidata.previews.style import KINDS, number, panels, plain_ticks
from scidata.previews.tables import Table
from scidata.previews.words import listed
from scidata.published import read_split
from scidata.record import SplitRule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_SPLITS = 3
MAX_PARTS = 4
MAX_IMAGES = 48
"""Masks of each part that are read; their share of marked pixels is what is counted."""
MAX_IDS = 400
"""Entries of each part that are read of an array with other dimensions as well."""
MAX_CLASSES = 60
_FEW_BINS, _BINS = 6, 40
_RARE = 50
"""Times that the fullest bin has more than the middle one, if only a logarithm shows both."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Part:
    """The values of one part."""

    name: str
    values: Floats
    ids: int
    """Of the part."""
    taken: int
    """Ids whose values are here."""


def find_in_table(table: Table) -> Iterator[Sketch]:
    """Yield a plot if samples are rows of the table, and splits divide them."""
    rules = _rules(table)
    quantity = table.quantities.get(_target(table) or "")
    if quantity and quantity.kind in ("number", "whole", "truth") and rules:
        yield Sketch(
            asset=table.key, kind=COMPARISON, draw=partial(draw_table, table, quantity)
        )


def find_in_arrays(arrays: Arrays) -> Iterator[Sketch]:
    """Yield a plot if samples are of these arrays, and splits divide them."""
    name = _target(arrays)
    if name is None or name not in arrays.measures:
        return
    # Whether images of numbers are alike in all parts is nothing that one histogram tells.
    whole = arrays.quantities[name].kind in ("whole", "truth")
    if _rules(arrays, arrays.held[name].dims) and (whole or not _is_image(arrays, name)):
        yield Sketch(asset=arrays.key, kind=COMPARISON, draw=partial(draw_arrays, arrays, name))


def draw_table(table: Table, quantity: Quantity) -> Drawing:
    """Draw the target of rows, part by part."""
    rows = table.read([quantity.name])
    if rows.sampled:
        raise ValueError(f"{table.key!r} has too many rows to find those of a part")
    values = rows.frame[quantity.name].to_numpy(dtype=float)
    found = {}
    for rule in _rules(table):
        parts = []
        for part in rule.parts[:MAX_PARTS]:
            ids = read_split(table.published, rule, part.name)
            if odd := [i for i in ids if not (i.isdecimal() and int(i) < len(values))]:
                raise ValueError(
                    f"{odd[0]!r} of {rule.name}/{part.name} is no row of {table.key!r}"
                )
            chosen = values[np.array(ids, dtype=np.int64)]
            parts.append(Part(name=part.name, values=chosen, ids=len(ids), taken=len(chosen)))
        found[rule.name] = parts
    return _draw(found, quantity, quantity.title, table.noun)


def draw_arrays(arrays: Arrays, name: str) -> Drawing:
    """Draw the target of samples, part by part; of masks the share that they mark."""
    array = arrays.held[name]
    quantity = arrays.quantities[name]
    marked = _is_image(arrays, name)
    found = {}
    for rule in _rules(arrays, array.dims):
        parts = []
        for part in rule.parts[:MAX_PARTS]:
            ids = read_split(arrays.published, rule, part.name)
            at = _at(arrays, rule.dimension, ids)
            few = len(array.dims) > 1
            limit = MAX_IMAGES if marked else MAX_IDS if few else len(at)
            at = [at[n] for n in evenly(len(at), limit)]
            values = _values(array, rule.dimension, at, marked=marked)
            parts.append(Part(name=part.name, values=values, ids=len(ids), taken=len(at)))
        found[rule.name] = parts
    title = f"Part of the pixels with {quantity.phrase}" if marked else quantity.title
    return _draw(found, quantity, title, _noun(found, arrays), share=marked)


def _draw(
    found: dict[str, list[Part]],
    quantity: Quantity,
    title: str,
    noun: str,
    *,
    share: bool = False,
) -> Drawing:
    figure, axes = panels(len(found), 1, 2.3)
    words = []
    for axis, (name, parts) in zip(axes, found.items(), strict=True):
        every = np.concatenate([p.values for p in parts])
        every = every[np.isfinite(every)]
        if not every.size:
            raise ValueError(f"no part of the split {name!r} holds a value")
        classes = np.unique(every)
        by_class = quantity.kind != "number" and not share and len(classes) <= MAX_CLASSES
        if by_class:
            _bars(axis, parts, classes)
        else:
            _steps(axis, parts, every)
        axis.set_title(f"split {name}", fontsize=9.5)
        axis.set_ylabel("share of the part")
        axis.grid(visible=True, axis="y")
        axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        words += [_words(name, part, by_class=by_class) for part in parts]
    unit = f" ({quantity.unit})" if quantity.unit and not share else ""
    axes[-1].set_xlabel(f"{title}{unit}")
    first, parts = next(iter(found.items()))
    sizes = [f"{p.ids:,} in {p.name}" for p in parts]
    sizes[0] = sizes[0].replace(" in ", f" {noun} in ", 1)
    cut = any(p.taken < p.ids for each in found.values() for p in each)
    some = ", of evenly chosen ones" if cut else ""
    within = title if title[1:2].isupper() else title[:1].lower() + title[1:]
    return Drawing(
        figure=figure,
        caption=f"{title} in each part of {_splits(list(found))}{some}; the split {first} has "
        f"{listed(sizes)}.",
        alt=f"Histograms of {within}, a line or bar for each part. {' '.join(words)}",
    )


def _splits(names: list[str]) -> str:
    return f"the split{'s' if names[1:] else ''} {listed(names)}"


def _bars(axes: "Axes", parts: list[Part], classes: Floats) -> None:
    """Draw how often each class is in each part, side by side."""
    width = 0.8 / len(parts)
    for n, part in enumerate(parts):
        counts = np.array([(part.values == c).sum() for c in classes], dtype=float)
        at = np.arange(len(classes)) + (n - (len(parts) - 1) / 2) * width
        axes.bar(at, counts / max(1, counts.sum()), width, color=KINDS[n], label=part.name)
    every = -(-len(classes) // 30)
    shown = range(0, len(classes), every)
    names = [number(float(classes[n])) for n in shown]
    axes.set_xticks(list(shown), names, fontsize=8, rotation=90 if len(names) > 15 else 0)  # noqa: PLR2004


def _steps(axes: "Axes", parts: list[Part], every: Floats) -> None:
    """Draw the distribution of each part over the same bins."""
    low, high = np.percentile(every, [0.1, 99.9])
    few = int(np.clip(2 * np.sqrt(len(every)), _FEW_BINS, _BINS))
    bins = edges(every[(every >= low) & (every <= high)], few)
    seen = []
    for n, part in enumerate(parts):
        known = np.clip(part.values[np.isfinite(part.values)], bins[0], bins[-1])
        counts, _ = np.histogram(known, bins=bins)
        axes.stairs(
            counts / max(1, counts.sum()), bins, color=KINDS[n], linewidth=1.5, label=part.name
        )
        seen.append(counts[counts > 0] / max(1, counts.sum()))
    shares = np.concatenate(seen)
    if shares.size and shares.max() > _RARE * np.median(shares):  # else but one bin is seen
        axes.set_yscale("log")
        plain_ticks(axes.yaxis, float(shares.min()), float(shares.max()), 4)


def _words(split_name: str, part: Part, *, by_class: bool) -> str:
    known = part.values[np.isfinite(part.values)]
    if not known.size:
        return f"{split_name}, {part.name}: no value."
    if by_class:
        classes, counts = np.unique(known, return_counts=True)
        most = number(float(classes[int(counts.argmax())]))
        return (
            f"{split_name}, {part.name}: {len(classes)} classes, {most} most often, "
            f"{number(100 * float(counts.max() / counts.sum()))} %."
        )
    middle = number(float(np.median(known)))
    return f"{split_name}, {part.name}: median {middle}."


def _target(held: Table | Arrays) -> str | None:
    samples = held.record.samples
    return (
        samples.targets[0]
        if samples and samples.asset == held.key and samples.targets
        else None
    )


def _rules(held: Table | Arrays, dims: tuple[Hashable, ...] | None = None) -> list[SplitRule]:
    """Return the splits of an asset that have files; the default first."""
    there = held.published.manifest
    found = [
        rule
        for rule in held.record.splits
        if rule.asset in (None, held.key)
        and (dims is None or rule.dimension in dims)
        and all(split.split_path(rule.name, part.name) in there for part in rule.parts)
    ]
    return sorted(found, key=lambda rule: not rule.default)[:MAX_SPLITS]


def _at(arrays: Arrays, dimension: str, ids: tuple[str, ...]) -> list[int]:
    """Return the positions of ids along a dimension, in order."""
    labels = arrays.held.variables.get(dimension)
    if labels is None:
        kind, held = "i", list[int | str](range(arrays.held.sizes[dimension]))
    else:
        kind, held = labels.dtype.kind, [*split.label_meanings(labels.to_numpy())]
    positions = {means: n for n, means in enumerate(held)}
    meant = {one: split.meaning(one, kind) for one in ids}
    if odd := [one for one, means in meant.items() if means not in positions]:
        raise ValueError(f"{odd[0]!r} is no {dimension} of {arrays.key!r}")
    return sorted(positions[means] for means in meant.values() if means is not None)


def _values(array: Any, dimension: str, at: list[int], *, marked: bool) -> Floats:
    """Read the entries at positions, a few at a time."""  # Any: an array of xarray
    found = []
    step = 8 if marked else len(at) or 1
    for n in range(0, len(at), step):
        values = pick(array, {dimension: at[n : n + step]}).transpose(dimension, ...)
        block = values.to_numpy().astype(float).reshape(len(at[n : n + step]), -1)
        found.append((block != 0).mean(axis=1) if marked else block.ravel())
    return np.concatenate(found) if found else np.zeros(0)


def _is_image(arrays: Arrays, name: str) -> bool:
    """Tell an image of a sample from places in time, which are as large on two sides."""
    return frame_of(arrays.held[name]) is not None and not arrays.calendar(arrays.held[name])


def _noun(found: dict[str, list[Part]], arrays: Arrays) -> str:
    rule = next(r for r in arrays.record.splits if r.name == next(iter(found)))
    return f"entries of {short(rule.dimension)}"
