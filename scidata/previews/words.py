"""Sentences of captions and alternative texts. Pure; whatever is left out, they say."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from scidata.previews.quantity import Quantity, short
from scidata.previews.style import number
from scidata.previews.tables import Rows


def of_rows(rows: Rows, noun: str) -> str:
    """Say how many rows a plot shows: ``805,003 events``, or a part of them."""
    if rows.sampled:
        return f"{len(rows.frame):,} of {rows.total:,} {noun}, evenly chosen"
    return f"{rows.total:,} {noun}"


def of_steps(taken: int, total: int, noun: str) -> str:
    """Say how many steps, samples or cells a plot shows.

    Examples
    --------
    >>> of_steps(3, 24, "sample"), of_steps(1, 1, "step")
    ('3 of 24 samples, evenly chosen', '1 step')
    """
    plural = noun + "s" * (total != 1)
    return (
        f"{total:,} {plural}"
        if taken == total
        else f"{taken:,} of {total:,} {plural}, evenly chosen"
    )


def only_first(sizes: Mapping[str, int]) -> str:
    """Say of which dimensions one entry alone is shown; nothing if there are none.

    Examples
    --------
    >>> only_first({}), only_first({"level": 37, "height": 1})
    ('', ', only the first of 37 level')
    """
    several = [f"{size:,} {short(dim)}" for dim, size in sizes.items() if size > 1]
    return f", only the first of {listed(several)}" if several else ""


def middle(values: npt.NDArray[np.generic], quantity: Quantity) -> str:
    """Say median and range: ``median 1.2, from -0.5 to 7.5 km``."""
    found = np.asarray(values, dtype=float)
    found = found[np.isfinite(found)]
    if not found.size:
        return "no value"
    unit = f" {quantity.unit}" if quantity.unit else ""
    low, half, high = (number(v) for v in np.percentile(found, [0, 50, 100]))
    return f"median {half}, from {low} to {high}{unit}"


def listed(words: list[str]) -> str:
    """Join words as a sentence does.

    Examples
    --------
    >>> listed(["depth"]), listed(["depth", "magnitude", "time"])
    ('depth', 'depth, magnitude and time')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def unshown(count: int, noun: str) -> str:
    """Say that others are not shown; nothing if there are none.

    Examples
    --------
    >>> unshown(0, "column"), unshown(1, "column"), unshown(4, "column")
    ('', '; 1 other column is not shown', '; 4 other columns are not shown')
    """
    if not count:
        return ""
    return f"; {count:,} other {noun}{'s are' if count > 1 else ' is'} not shown"
