"""How much of simulated earthquakes can be forecast at all, and by which law they come.

    python benchmarks/evidence/oracle.py
    python benchmarks/evidence/oracle.py --k 2.84e-3

Prints the figures of docs/design/tevolop.md, "Simulated earthquakes": NNSE over all fortnights
of the mean over futures drawn from the true process. A minute or two; ``--size tiny`` says
only that it works.
"""

import argparse
import tempfile
from pathlib import Path

import xarray as xr

from scidata.benchmarks.evidence.catalogue import table
from scidata.benchmarks.metrics import nnse
from scidata.benchmarks.tevolop_features import WINDOWS
from scidata.datasets.tevolop.etas import YEAR, Parameters
from scidata.datasets.tevolop.mini import SIZES, Simulated, draw
from scidata.datasets.tevolop.oracle import ASSET, EXPECTED

NEAR_KM = 5.0


def report(law: Parameters, size: str, seed: int) -> str:
    """Simulate, and return what is said of it, in Markdown."""
    kept = float(law.decayed(law.memory) / (law.c ** (1 - law.p) / (law.p - 1)))
    near = 1 - (law.d / (NEAR_KM + law.d)) ** (law.q - 1)
    return "\n".join(
        [
            f"k {law.k / YEAR ** (law.p - 1):.3g} in years: branching ratio "
            f"{law.branching_ratio:.2f}; {1 - kept:.0%} of all aftershocks would come after "
            f"{law.memory / YEAR:.0f} years, {near:.0%} lie within {NEAR_KM:.0f} km if d alone "
            "counts.\n",
            table(["window", "oracle, averaged", "summed"], _scores(law, size, seed)),
        ]
    )


def _scores(law: Parameters, size: str, seed: int) -> list[list[str]]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        truth = draw(SIZES[size], seed, falling=False, law=law)
        Simulated(SIZES[size], truth, seed).write(data, lambda share: None)
        observed = xr.open_zarr(data / "fortnights.zarr")["magnitude_ahead"].values
        expected = xr.open_zarr(data / f"{ASSET}.zarr")[EXPECTED].values
    scores = {name: nnse(observed[..., k], expected[..., k]) for k, name in enumerate(WINDOWS)}
    return [[name, f"{s.averaged:.3f}", f"{s.summed:.3f}"] for name, s in scores.items()]


def main() -> None:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own = Parameters()
    in_years = YEAR ** (own.p - 1)
    parser.add_argument(
        "--k", type=float, default=own.k / in_years, help="productivity, in years"
    )
    parser.add_argument("--size", choices=list(SIZES), default="mini")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    law = Parameters(k=chosen.k * in_years)
    print(report(law, chosen.size, chosen.seed))  # noqa: T201 - a script's result


if __name__ == "__main__":
    main()
