"""A plot before it is drawn, and after: what every kind of preview hands over."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DISTRIBUTION = "values"
"""The kind of histograms."""
COMPARISON = "splits"
"""The kind of what compares the parts of splits."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure with its words."""

    figure: "Figure"
    caption: str
    """One sentence for everybody: what against what, of how many, and what was left out."""
    alt: str
    """What somebody should know who does not see it."""


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """A plot that the data call for; drawing it reads them."""

    asset: str
    """Key of the asset."""
    kind: str
    """Such as ``map``."""
    draw: Callable[[], Drawing]

    @property
    def name(self) -> str:
        """Of the file, without its suffix, such as ``events-map``."""
        return f"{self.asset}-{self.kind}"
