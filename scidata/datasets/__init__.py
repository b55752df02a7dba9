"""The founding datasets: one module or folder each, reading the original formats.

A new dataset is one module with a `Recipe`, and one line in `RECIPES`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scidata.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from scidata.record import Record

RECIPES = {
    "candle-uno": "scidata.datasets.candle_uno.published",
    "candle-uno-ccle": "scidata.datasets.candle_uno.ccle",
    "candle-uno-ctrp-gdsc": "scidata.datasets.candle_uno.ctrp_gdsc",
    "candle-uno-gdsc2": "scidata.datasets.candle_uno.gdsc2",
    "candle-uno-mini": "scidata.datasets.candle_uno.mini",
    "candle-uno-pairs-mini": "scidata.datasets.candle_uno.pairs",
    "cloudmask": "scidata.datasets.cloudmask.recipe",
    "cloudmask-aatsr": "scidata.datasets.cloudmask.aatsr",
    "cloudmask-landsat8": "scidata.datasets.cloudmask.landsat8",
    "cloudmask-mini": "scidata.datasets.cloudmask.mini",
    "stemdl-classification": "scidata.datasets.stemdl.recipe",
    "stemdl-mini": "scidata.datasets.stemdl.mini",
    "stemdl-reconstruction": "scidata.datasets.reconstruction.recipe",
    "stemdl-reconstruction-mini": "scidata.datasets.reconstruction.mini",
    "tevolop": "scidata.datasets.tevolop.recipe",
    "tevolop-mini": "scidata.datasets.tevolop.mini",
}
"""Module of each dataset that can be built; it has a `Recipe` called ``RECIPE``."""

JOURNAL = "journal.jsonl"
"""Beside ``data/`` while a resumable build is under way: what is written already."""

Advance = Callable[[float], None]
"""Told the share of the work that is done, 0 to 1."""


class Prepared(Protocol):
    """A source that was read and found good; nothing is written yet."""

    @property
    def counts(self) -> Mapping[str, int | float]:
        """What was counted, by name."""
        ...

    @property
    def assets(self) -> tuple[str, ...]:
        """Keys of the assets that will be written."""
        ...

    @property
    def resumable(self) -> bool:
        """Whether `write` continues what an earlier one left in ``data/``.

        If so, it notes in `JOURNAL` what is whole, and believes nothing else.
        """
        ...

    def write(self, data: Path, advance: Advance) -> None:
        """Write everything that belongs into ``data/``."""
        ...

    def complete(self, record: "Record") -> "Record":
        """Return the record with what was computed; called after `write`."""
        ...


class Survey(Protocol):
    """What a build is going to read; found out without reading it all."""

    @property
    def source(self) -> str:
        """How messages name the source."""
        ...

    @property
    def form(self) -> str:
        """Of the files, as the recipe names it."""
        ...

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """Name below the source and path, in order."""
        ...

    def prepare(self, *, now: datetime, advance: Advance) -> Prepared:
        """Read the source and check it.

        Raises
        ------
        InvalidError
            With everything that is wrong with it.
        """
        ...


class Recipe(Protocol):
    """How one dataset is built."""

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """The values of each option, the default first."""
        ...

    @property
    def spreads(self) -> bool:
        """Whether samples are made one by one, so that a scheduler of Dask can spread them."""
        ...

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """Find out what there is to read; without a source, what ships with scidata."""
        ...


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Options that were checked against a recipe."""

    recipe: Recipe
    options: Mapping[str, str] = field(default_factory=dict)


def choose(name: str, options: Mapping[str, str]) -> Choice:
    """Find the recipe of a dataset, and complete the options with their defaults.

    Raises
    ------
    NotFoundError
        If no recipe has that name.
    InvalidError
        If an option or its value is unknown.
    """
    if name not in RECIPES:
        raise NotFoundError(
            f"scidata cannot build {name!r}",
            where="scidata.datasets",
            fix=f"build one of: {', '.join(sorted(RECIPES))}",
        )
    recipe = _recipe(name)
    for option, value in options.items():
        values = recipe.choices.get(option, ())
        if value not in values:
            known = ", ".join(values) or f"one of the options {', '.join(recipe.choices)}"
            raise InvalidError(
                f"{name} has no {option}={value!r}", where=name, fix=f"give {known}"
            )
    defaults = {option: values[0] for option, values in recipe.choices.items()}
    return Choice(recipe=recipe, options={**defaults, **options})


def spreading() -> tuple[str, ...]:
    """Name the datasets whose build a scheduler can spread; imports every recipe."""
    return tuple(name for name in RECIPES if _recipe(name).spreads)


def _recipe(name: str) -> Recipe:
    recipe: Recipe = import_module(RECIPES[name]).RECIPE
    return recipe
