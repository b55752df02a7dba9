"""Three rasters of full size, to measure how fast the reference model of STEMDL trains.

256 positions of 256 × 256 pixels each, random numbers in the published form of LMDB, 34 MB a
sample: nothing can be learned from them. Two train, one evaluates::

    python benchmarks/performance/full_rasters.py environments
    scidata build stemdl-reconstruction --source environments
    scidata publish staged/stemdl-reconstruction --version 1.0.0 --store store
    scidata bench run stemdl-reconstruction --store store --profile reference --epochs 20 \
        --precision bf16 --set channels_last=true --set evaluate_every=0
"""

from pathlib import Path

import click
import numpy as np

from scidata.datasets.reconstruction.environment import write_environment
from scidata.datasets.reconstruction.layout import CBED, POTENTIAL
from scidata.datasets.samples import Sample

COUNTS = {"batch_train_0.db": 2, "batch_eval_0.db": 1}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--side", default=256, show_default=True, help="Pixels, and positions.")
def main(folder: Path, *, side: int) -> None:
    """Write the environments into FOLDER."""
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
        return random.random(shape, np.float32).astype(np.float16)

    for name, count in COUNTS.items():
        write_environment(
            folder / name,
            [
                Sample(
                    id=str(number),
                    arrays={CBED: drawn(side, side, side), POTENTIAL: drawn(side, side)},
                    facts={},
                )
                for number in range(count)
            ],
        )


if __name__ == "__main__":
    main()
