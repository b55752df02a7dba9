"""The epidemic-type aftershock sequence (ETAS) in space and time: a process of known law.

Earthquakes strike at a background rate on line faults and anywhere; each one triggers others,
at a rate that falls with time by the Omori-Utsu law, with distance by a power law, and grows
with its magnitude; magnitudes follow Gutenberg and Richter. Pure: the generator is an argument.

Sources: Ogata 1998, doi:10.1023/a:1003403601725 (the process); Hardebeck 2013, Appendix S of
doi:10.3133/ofr20131165 (parameters of triggering, for California, as UCERF3-ETAS takes them).
"""

import math
from dataclasses import dataclass

import numpy as np

from scidata.datasets.tevolop.grid import Float, Int

YEAR = 365.25
"""Days."""


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Of the process; times in days, lengths in km."""

    k: float = 4.0e-3 * YEAR**0.07
    """Productivity, days**(p - 1): an earthquake of magnitude m triggers
    ``k 10**(alpha (m - smallest)) (t + c)**-p`` a day, t days after it. The source has 2.84e-3
    as the best and 4.97e-3 as the largest, in years; this one makes sequences that can be told
    from chance in the sums of a small grid."""
    alpha: float = 1.0
    p: float = 1.07
    c: float = 1.78e-5 * YEAR
    q: float = 1.96
    """Density of the distance r of a triggered one: ``(q - 1) d**(q - 1) (r + d)**-q``."""
    d: float = 0.79
    """Half of the rupture's length is added: a great earthquake triggers along all of it."""
    b: float = 1.0
    smallest: float = 2.5
    largest: float = 7.3
    memory: float = 100 * YEAR
    """Nothing is triggered later: with p so near to 1 there would be no end of aftershocks."""

    @property
    def branching_ratio(self) -> float:
        """Mean number of earthquakes that one triggers directly; below 1 all sequences end."""
        span = self.largest - self.smallest
        if self.alpha == self.b:
            mean = self.b * math.log(10) * span / (1 - 10 ** (-self.b * span))
        else:
            mean = self.b / (self.b - self.alpha)
            mean *= 1 - 10 ** (-(self.b - self.alpha) * span)
            mean /= 1 - 10 ** (-self.b * span)
        return float(self.k * mean * self.decayed(np.array(self.memory)))

    def decayed(self, after: Float) -> Float:
        """Integrate ``(t + c)**-p`` from 0 to so many days."""
        power = 1 - self.p
        found: Float = (self.c**power - np.power(after + self.c, power)) / -power
        return found


@dataclass(frozen=True, kw_only=True)
class Background:
    """Where and how often earthquakes strike that none has triggered."""

    rate: float
    """A day."""
    faults: Float
    """(faults, 4), km: both ends of each, x and y eastwards and northwards."""
    size: tuple[float, float]
    """Of the region, km east and north; one corner is the origin."""
    on_faults: float = 0.8
    """Share of those on the faults, by their lengths; the rest is anywhere."""
    width: float = 2.0
    """Standard deviation of the distance from the line, km."""

    def draw(self, count: int, random: np.random.Generator) -> tuple[Float, Float]:
        """Draw places: x and y, (count,) each, km."""
        ends = self.faults
        lengths = np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1])
        which = random.choice(len(ends), size=count, p=lengths / lengths.sum())
        along = random.random(count)
        x = ends[which, 0] + along * (ends[which, 2] - ends[which, 0])
        y = ends[which, 1] + along * (ends[which, 3] - ends[which, 1])
        anywhere = random.random(count) >= self.on_faults
        blur = random.normal(0, self.width, (2, count))
        square = random.random((2, count))
        return (
            np.where(anywhere, square[0] * self.size[0], x + blur[0]),
            np.where(anywhere, square[1] * self.size[1], y + blur[1]),
        )


@dataclass(frozen=True, kw_only=True)
class Quakes:
    """Earthquakes, in any order: (N,) each."""

    time: Float
    """Days."""
    x: Float
    """East, km."""
    y: Float
    """North, km."""
    magnitude: Float
    draw: Int
    """Which of several futures it belongs to."""

    def __len__(self) -> int:
        return len(self.time)

    def at(self, index: object) -> "Quakes":
        """Select by a mask, a slice or numbers."""
        each = {name: getattr(self, name)[index] for name in _FIELDS}
        return Quakes(**each)


_FIELDS = ("time", "x", "y", "magnitude", "draw")


def joined(parts: list[Quakes]) -> Quakes:
    """Put several together."""
    return Quakes(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in _FIELDS})


def simulate(
    law: Parameters,
    background: Background,
    span: tuple[float, float],
    random: np.random.Generator,
) -> Quakes:
    """Draw all earthquakes of a span of days, in order of time.

    Nothing strikes before it, so let it begin as long before what is wanted as sequences last.
    """
    drawn = future(law, background, _NOTHING, span, random)
    return drawn.at(np.argsort(drawn.time, kind="stable"))


def future(
    law: Parameters,
    background: Background,
    past: Quakes,
    span: tuple[float, float],
    random: np.random.Generator,
    *,
    draws: int = 1,
) -> Quakes:
    """Draw several futures of one past, independent of each other.

    Parameters
    ----------
    law : Parameters
    background : Background
    past : Quakes
        All that has struck before the span begins.
    span : tuple of float
        First and last day of the future.
    random : numpy.random.Generator
    draws : int

    Returns
    -------
    Quakes
        Of all futures, told apart by `Quakes.draw`, in no order.
    """
    begin, end = span
    count = int(random.poisson(background.rate * (end - begin) * draws))
    x, y = background.draw(count, random)
    fresh = Quakes(
        time=random.uniform(begin, end, count),
        x=x,
        y=y,
        magnitude=magnitudes(law, count, random),
        draw=random.integers(draws, size=count),
    )
    # The past triggers in every future: together draws times as many, each of a random one.
    again = triggered(law, past, span, random, times=draws)
    again = Quakes(
        time=again.time,
        x=again.x,
        y=again.y,
        magnitude=again.magnitude,
        draw=random.integers(draws, size=len(again)),
    )
    found = [generation := joined([fresh, again])]
    while len(generation):
        found.append(generation := triggered(law, generation, span, random))
    return joined(found)


def expected(law: Parameters, past: Quakes, span: tuple[float, float]) -> Float:
    """Return how many each earthquake triggers directly within a span of days, (N,)."""
    since = np.clip(np.array(span)[:, None] - past.time, 0.0, law.memory)
    productivity = law.k * np.power(10.0, law.alpha * (past.magnitude - law.smallest))
    found: Float = productivity * (law.decayed(since[1]) - law.decayed(since[0]))
    return found


def triggered(
    law: Parameters,
    parents: Quakes,
    span: tuple[float, float],
    random: np.random.Generator,
    *,
    times: int = 1,
) -> Quakes:
    """Draw those that parents trigger directly within a span; `times` as many with `times`."""
    mean = times * expected(law, parents, span)
    running = np.cumsum(mean)
    count = int(random.poisson(running[-1])) if len(running) else 0
    # Parents of a Poisson number of children, drawn by their means, have Poisson numbers each.
    chosen = np.searchsorted(running, random.random(count) * running[-1:], side="right")
    parent = parents.at(np.minimum(chosen, len(running) - 1))
    since = np.clip(np.array(span)[:, None] - parent.time, 0.0, law.memory)
    low, high = (since + law.c) ** (1 - law.p)
    share = random.random(count)
    after = (low + share * (high - low)) ** (1 / (1 - law.p)) - law.c
    near = law.d + rupture_length(parent.magnitude) / 2
    away = near * ((1 - random.random(count)) ** (-1 / (law.q - 1)) - 1)
    angle = random.uniform(0, 2 * math.pi, count)
    return Quakes(
        time=parent.time + after,
        x=parent.x + away * np.cos(angle),
        y=parent.y + away * np.sin(angle),
        magnitude=magnitudes(law, count, random),
        draw=parent.draw,
    )


def rupture_length(magnitude: Float) -> Float:
    """Return how long the rupture below the surface is, km.

    Source: Wells and Coppersmith 1994, doi:10.1785/BSSA0840040974, all kinds of slip.
    """
    found: Float = np.power(10.0, 0.59 * magnitude - 2.44)
    return found


def magnitudes(law: Parameters, count: int, random: np.random.Generator) -> Float:
    """Draw from the Gutenberg-Richter law, cut off at the largest: (count,)."""
    beyond = 10 ** (-law.b * (law.largest - law.smallest))
    found: Float = law.smallest - np.log10(1 - random.random(count) * (1 - beyond)) / law.b
    return found


_EMPTY = np.zeros(0)
_NOTHING = Quakes(time=_EMPTY, x=_EMPTY, y=_EMPTY, magnitude=_EMPTY, draw=np.zeros(0, np.int64))
