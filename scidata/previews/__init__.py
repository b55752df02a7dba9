"""Plots of an opened version for its page: bounded to read, and the same each time.

What is drawn follows from the data and the facts: units, CF attributes, dimensions, and what
the record says a sample is; never from a dataset's name. A new kind of plot is one new file and
one line in a table here. The bytes are the same as long as matplotlib is the same.
"""

import re
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from scidata.errors import InvalidError, ScidataError
from scidata.facts import Asset
from scidata.previews.sketch import COMPARISON, DISTRIBUTION, Sketch
from scidata.warning import warn
from scidata.wording import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scidata.dataset import Dataset
    from scidata.record import Record

REVISION = 2
"""Rises when plots of the same version come to look another way."""
MAX_PREVIEWS = 12
"""Of one version."""
_SENTENCE = re.compile(r".+?(?<!\be\.g)(?<!\bi\.e)[.!?](?= [A-ZÀ-Þ])")
_FAILURES = (
    ScidataError, ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
"""What anybody's data may make of numpy, pandas, xarray and matplotlib."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A plot of a version, with its words."""

    name: str
    """Of the file, such as ``events-map.png``."""
    image: bytes
    """PNG, with two pixels for each of `width` and `height`."""
    width: int
    height: int
    """As a page shows it, in CSS pixels."""
    caption: str
    """What is shown, of how many, what was left out; then whether the data are real."""
    alt: str
    """What somebody should know who does not see it."""


def draw_previews(dataset: "Dataset", *, limit: int = MAX_PREVIEWS) -> tuple[Preview, ...]:
    """Draw the plots that the data of a version call for.

    A plot that cannot be drawn is left out, and a `ScidataWarning` names it.

    Parameters
    ----------
    dataset : Dataset
        An opened version.
    limit : int
        Plots at most.

    Returns
    -------
    tuple of Preview
        The first few differ in kind, histograms come last; empty if nothing can be drawn.

    Raises
    ------
    InvalidError
        If matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise InvalidError(
            "plots are drawn by matplotlib, and matplotlib is not installed",
            where=dataset.name,
            fix='pip install "fair-scidata[site]"',
        )
    drawn: list[Preview] = []
    for sketch in _most_telling(list(find_sketches(dataset)), limit):
        try:
            drawn.append(_draw(sketch, reality(dataset.record)))
        except _FAILURES as error:
            warn(f"no plot {sketch.name} of {dataset.name}: {_message(error)}")
    return tuple(drawn)


def _most_telling(sketches: list[Sketch], limit: int) -> list[Sketch]:
    """Order plots so that the first few differ in kind, histograms last, and cut the list.

    Of those first few, splits come after what shows the data themselves.
    """
    before: Counter[str] = Counter()
    ranked = []
    for n, sketch in enumerate(sketches):
        common = sketch.kind == DISTRIBUTION
        ranked.append((common, before[sketch.kind], sketch.kind == COMPARISON, n))
        before[sketch.kind] += 1
    return [sketches[n] for *_, n in sorted(ranked)[:limit]]


def find_sketches(dataset: "Dataset") -> "Iterator[Sketch]":
    """Yield the plots that the data of a version call for; none is drawn yet."""
    for asset in _ordered(dataset):
        try:
            yield from _of_asset(dataset, asset)
        except _FAILURES as error:
            warn(f"no plots of the asset {asset.key!r} of {dataset.name}: {_message(error)}")


def _of_asset(dataset: "Dataset", asset: Asset) -> "Iterator[Sketch]":
    from scidata.previews import (
        catalogue,
        diffraction,
        doses,
        field_map,
        histograms,
        images,
        over_time,
        parts,
        point_map,
        series,
    )
    from scidata.previews.arrays import Arrays, find_arrays
    from scidata.previews.tables import Table, find_tables

    of_tables: tuple[Callable[[Table], Iterator[Sketch]], ...] = (
        point_map.find,
        over_time.find,
        catalogue.find,
        doses.find,
        parts.find_in_table,
        histograms.find_in_table,
    )
    of_arrays: tuple[Callable[[Arrays], Iterator[Sketch]], ...] = (
        diffraction.find,
        images.find,
        field_map.find,
        series.find,
        parts.find_in_arrays,
        histograms.find_in_arrays,
    )
    others = dataset.facts.assets
    for table in find_tables(dataset.published, dataset.record, (asset,), others):
        for find_one in of_tables:
            yield from find_one(table)
    for arrays in find_arrays(dataset.published, dataset.record, (asset,)):
        for find_other in of_arrays:
            yield from find_other(arrays)


def _ordered(dataset: "Dataset") -> list[Asset]:
    """Return files and tables, then array stores; of each what samples are made of first."""
    samples = dataset.record.samples
    first = samples.asset if samples else None
    assets = dataset.facts.assets
    return sorted(assets, key=lambda a: (a.kind == "zarr", a.key != first, a.key))


def reality(record: "Record") -> str:
    """Return a sentence that says what is simulated, else what is real; empty if none does."""
    return first_sentence(record.synthetic_note or record.real_note or "")


def first_sentence(text: str) -> str:
    """Return what ends with the first full stop before a capital letter, or all of it.

    Examples
    --------
    >>> first_sentence("All of it is simulated, e.g. M 2.5. No buoy was there.")
    'All of it is simulated, e.g. M 2.5.'
    """
    words = " ".join(printable(text).split())
    found = _SENTENCE.match(words)
    sentence = found.group() if found else words
    return sentence if sentence.endswith((".", "!", "?")) or not sentence else f"{sentence}."


def _draw(sketch: Sketch, said: str) -> Preview:
    from scidata.previews.style import SHOWN_DPI, render

    image, drawn = render(sketch.draw)
    width, height = (round(float(side) * SHOWN_DPI) for side in drawn.figure.get_size_inches())
    return Preview(
        name=f"{sketch.name}.png",
        image=image,
        width=width,
        height=height,
        caption=f"{drawn.caption} {said}".strip(),
        alt=drawn.alt,
    )


def _message(error: BaseException) -> str:
    return (
        error.message if isinstance(error, ScidataError) else f"{type(error).__name__}: {error}"
    )
