"""How candle-uno-mini is built: simulated, in the published shapes, with the truth beside."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from scidata.datasets import Advance, Survey, given
from scidata.datasets.candle_uno.content import Block, Content, Features
from scidata.datasets.candle_uno.recipe import Whole
from scidata.datasets.candle_uno.simulate import Simulated, simulate


class Mini:
    """A recipe that reads nothing; see `scidata.datasets.Recipe`."""

    spreads = False

    def __init__(self, name: str, make: Callable[[int], Content]) -> None:
        self._name, self._make = name, make

    @property
    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """The seed."""
        return {"seed": tuple(str(n) for n in range(10))}

    def survey(self, source: Path | None, options: Mapping[str, str]) -> Survey:
        """Plan the simulation."""
        given.none(source, self._name, published="candle-uno")
        return _Simulation(int(options["seed"]), self._make)


class _Simulation:
    """What will be drawn; see `scidata.datasets.Survey`."""

    source = "a simulation"
    files: tuple[tuple[str, Path], ...] = ()

    def __init__(self, seed: int, make: Callable[[int], Content]) -> None:
        self._seed, self._make = seed, make

    @property
    def form(self) -> str:
        """The seed."""
        return f"seed {self._seed}"

    def prepare(self, *, now: datetime, advance: Advance) -> Whole:
        """Draw everything."""
        content = self._make(self._seed)
        content.check(self.source)
        advance(1)
        return Whole(content)


def content_of(drawn: Simulated, seed: int) -> Content:
    """Make a dataset of what was drawn."""
    cells, drugs = features_of(drawn)
    return Content(
        title="Simulated drug response",
        cells=cells,
        drugs=drugs,
        cell=[drawn.cells[n] for n in drawn.cell],
        drug=[drawn.drugs[n] for n in drawn.drug],
        columns={
            "AUC": drawn.auc,
            "AUC_true": drawn.noiseless,
            "EC50": drawn.ec50,
            "HS": drawn.slope,
            "Einf": drawn.einf,
        },
        usable=np.ones(len(drawn.auc), bool),
        steps=(
            f"Simulated with seed {seed}: the variance of AUC is {drawn.auc.var():.4f}, that "
            f"of its noise {np.square(drawn.auc - drawn.noiseless).mean():.4f}.",
        ),
    )


def features_of(drawn: Simulated) -> tuple[Features, Features]:
    """Return the features of the cells and of the drugs."""
    genes = Block(columns=(), dimension="gene", values=drawn.expression)
    descriptors = Block(columns=(), dimension="descriptor", values=drawn.descriptors)
    return (
        Features(names=drawn.cells, blocks={"expression": genes}),
        Features(names=drawn.drugs, blocks={"descriptors": descriptors}),
    )


RECIPE = Mini("candle-uno-mini", lambda seed: content_of(simulate(seed), seed))
