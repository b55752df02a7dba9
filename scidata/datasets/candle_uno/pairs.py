"""How candle-uno-pairs-mini is built: simulated responses to two drugs at once."""

import numpy as np

from scidata.datasets.candle_uno.content import Content
from scidata.datasets.candle_uno.mini import Mini, features_of
from scidata.datasets.candle_uno.simulate import pair, simulate

_CELLS, _DRUGS, _PAIRS = 60, 60, 12_000
"""Of the dataset of pairs: many drugs and rows, since few pairs have both drugs held out."""


def pairs_of(seed: int) -> Content:
    """Draw a dataset of pairs of drugs."""
    drawn = simulate(seed, cells=_CELLS, drugs=_DRUGS)
    found = pair(drawn, seed, pairs=_PAIRS)
    cells, drugs = features_of(drawn)
    noise = np.square(found.growth - found.noiseless).mean()
    return Content(
        title="Simulated response to pairs of drugs",
        cells=cells,
        drugs=drugs,
        cell=[drawn.cells[n] for n in found.cell],
        drug=[drawn.drugs[n] for n in found.first],
        drug2=[drawn.drugs[n] for n in found.second],
        columns={"growth": found.growth, "growth_true": found.noiseless},
        usable=np.ones(_PAIRS, bool),
        steps=(
            f"Simulated with seed {seed}: the variance of growth is {found.growth.var():.4f}, "
            f"that of its noise {noise:.4f}.",
            "Pairs of which the drugs are in two parts are in none of split drug.",
        ),
    )


RECIPE = Mini("candle-uno-pairs-mini", pairs_of)
