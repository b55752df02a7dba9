"""How every preview looks: one page size, one set of colours, the same bytes each time.

Light paper in light and dark pages alike, with text dark enough to read on it. Colour maps are
perceptually uniform and keep their order for colour-blind eyes and in print: cividis for
amounts, magma for intensities, grey under masks, Okabe and Ito's colours for kinds.
"""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from scidata.previews.sketch import Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 8.0
"""Of a figure, inches."""
DPI = 160
"""Pixels an inch: two for each that a page gives it."""
SHOWN_DPI = 80

AMOUNT = "cividis"
INTENSITY = "magma"
IMAGE = "gray"
INK = "#1b2733"
FAINT = "#d5dbe1"
PAPER = "#ffffff"
BLUE, ORANGE = "#0072b2", "#d55e00"
KINDS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#555555")
"""Okabe and Ito's colours, the dark ones first."""

_STYLE: dict[str, Any] = {  # Any: settings of matplotlib
    "axes.axisbelow": True,
    "axes.edgecolor": "#8695a4",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.facecolor": PAPER,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so it is the same everywhere
    "font.size": 9.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "image.interpolation": "nearest",
    "text.color": INK,
    "text.parse_math": False,  # texts of anybody's: a dollar is a dollar
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in our style, whatever the user's settings are."""
    import matplotlib as mpl
    import matplotlib.style

    style = matplotlib.style.context(["default", _STYLE])
    with warnings.catch_warnings(), style, mpl.rc_context({"timezone": "UTC"}):
        # Letters that the font lacks are drawn as boxes; the caption has them.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        yield


def render(draw: Callable[[], Drawing]) -> tuple[bytes, Drawing]:
    """Draw, and return the bytes of a PNG without time or name of a program."""
    with drawing():
        drawn = draw()
        out = io.BytesIO()
        drawn.figure.savefig(
            out,
            format="png",
            dpi=DPI,
            metadata={"Software": None},
        )
    return out.getvalue(), drawn


def new_figure(height: float = 4.0, *, true: bool = False) -> "Figure":
    """Return an empty figure, `height` inches high; `true` if its axes keep proportions."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = round(height * SHOWN_DPI) / SHOWN_DPI
    figure = Figure(figsize=(WIDTH, height), layout="compressed" if true else "constrained")
    FigureCanvasAgg(figure)  # the one canvas that needs no screen, whatever a user has set
    return figure


def panels(
    count: int, columns: int, height: float, *, true: bool = False
) -> "tuple[Figure, list[Axes]]":
    """Return a figure of `count` axes in rows of `columns`, each row `height` inches high."""
    columns = min(count, columns)
    rows = -(-count // columns)
    figure = new_figure(height * rows + 0.2, true=true)
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = [axis for row in grid for axis in row]
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, axes[:count]


def number(value: float) -> str:
    """Write a number for a caption: three digits that count, thousands apart.

    Examples
    --------
    >>> number(1.2034), number(805003.0), number(0.00012), number(float("nan"))
    ('1.2', '805,003', '0.00012', 'none')
    """
    if not np.isfinite(value):
        return "none"
    if abs(value) >= 1e12:  # noqa: PLR2004 nobody counts the digits
        return f"{value:.3g}"
    if value == int(value):
        return f"{int(value):,}"
    if abs(value) >= 1000:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):g}"


def plain_ticks(axis: "Axis", low: float, high: float, most: int = 7) -> None:
    """Write the ticks of a logarithmic axis as numbers: no text is read as mathematics."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    axis.set_major_locator(FixedLocator(decade_ticks(low, high, most)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    axis.set_minor_formatter(NullFormatter())


def decade_ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most `most` round numbers from `low` to `high`, as a logarithmic axis has them.

    Examples
    --------
    >>> decade_ticks(1, 552, 7), decade_ticks(0.0025, 8, 4), decade_ticks(2, 40, 7)
    ([1.0, 10.0, 100.0], [0.01, 0.1, 1.0], [2.0, 5.0, 10.0, 20.0])
    """
    first, last = int(np.ceil(np.log10(low) - 1e-9)), int(np.floor(np.log10(high) + 1e-9))
    step = -(-(last - first + 1) // most) or 1
    decades = [float(f"1e{n}") for n in range(first, last + 1, step)]
    if len(decades) > 2:  # noqa: PLR2004
        return decades
    digits = (float(f"{d}e{n}") for n in range(first - 1, last + 1) for d in (1, 2, 5))
    return [value for value in digits if low * 0.999 <= value <= high * 1.001][:most]


def _tick(value: float) -> str:
    return f"{value:,.0f}" if 1 <= value < 1e6 else f"{value:g}"  # noqa: PLR2004


def colour_scale(figure: "Figure", mappable: Any, axes: Any, label: str, *, log: bool) -> None:
    """Put a bar beside the axes that says what colours mean."""  # Any: untyped in matplotlib
    bar = figure.colorbar(mappable, ax=axes, label=label, fraction=0.046, pad=0.02)
    bar.outline.set_visible(False)
    if log:
        plain_ticks(bar.ax.yaxis, mappable.norm.vmin, mappable.norm.vmax)


def spans_decades(
    values: "np.ndarray[Any, Any]", decades: float = 2.0
) -> bool:  # Any: any type
    """Tell whether values are nowhere negative and what is above 0 spans `decades` of ten."""
    finite = values[np.isfinite(values)]
    above = finite[finite > 0]
    if not above.size or finite.min() < 0:
        return False
    low, high = np.percentile(above, [1, 100])
    return bool(np.log10(high / low) >= decades)


def year_span(first: np.datetime64, last: np.datetime64) -> str:
    """Write a period: years, or days within one year.

    Examples
    --------
    >>> year_span(np.datetime64("1950-01-02"), np.datetime64("2026-08-01"))
    '1950-2026'
    >>> year_span(np.datetime64("2019-07-04T01"), np.datetime64("2019-07-06T02"))
    '2019-07-04 to 2019-07-06'
    """
    years = str(first.astype("M8[Y]")), str(last.astype("M8[Y]"))
    if years[0] != years[1]:
        return "-".join(years)
    days = str(first.astype("M8[D]")), str(last.astype("M8[D]"))
    return days[0] if days[0] == days[1] else " to ".join(days)
