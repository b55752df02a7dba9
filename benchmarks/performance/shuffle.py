"""How well the shuffle ``window`` mixes, beside one permutation of all samples.

No data are read: the order alone is judged, on a dataset that is stored sorted: the worst case.
Two figures, each divided by what a full shuffle gives, so that 1 is as good as it gets:

* tiles in a batch: from how many tiles the samples of a batch come;
* bias of a batch: how far the mean position of a batch's samples is from the middle, root mean
  square over the batches. A model that trains on sorted classes sees this as batches that are
  not alike; 1 means no more alike by chance than with a full shuffle.

Goal: a bias below 2 when a quarter of the tiles is mixed, since tiles come in random order. Run
it with ``python benchmarks/performance/shuffle.py``.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import click
import numpy as np

from scidata.loaders.order import IntArray, Order, Walk, walk


@dataclass(frozen=True)
class Figures:
    """Of one reach, relative to a full shuffle."""

    reach: int
    share: float
    """Of the tiles, that are mixed."""
    tiles_in_batch: float
    bias: float


def numbers(way: Walk, per_tile: int) -> Iterator[IntArray]:
    """Yield the samples of every batch, numbered as they are stored."""
    for batch in range(len(way)):
        parts = [stretch for _, stretch in way.batch(batch)]
        yield np.concatenate([part.tiles * per_tile + part.numbers for part in parts])


def judge(batches: Iterator[IntArray], per_tile: int, total: int) -> tuple[float, float]:
    """Return tiles in a batch and the bias of a batch, of all batches."""
    tiles, means = [], []
    for batch in batches:
        tiles.append(len(np.unique(batch // per_tile)))
        means.append(batch.mean() / total - 0.5)
    return float(np.mean(tiles)), float(np.sqrt(np.mean(np.square(means))))


def measure(tiles: int, per_tile: int, batch_size: int, epochs: int) -> list[Figures]:
    """Judge several reaches."""
    total = tiles * per_tile
    full = np.mean(
        [
            judge(numbers(walk([total], order, reach=1), total), total, total)[1]
            for order in _orders("exact", batch_size, epochs)
        ]
    )
    whole = tiles * (1 - (1 - 1 / tiles) ** batch_size)
    found = []
    for reach in sorted({1, 2, 4, *(max(tiles * n // 16, 1) for n in (1, 2, 4, 8, 16))}):
        ways = [
            walk([per_tile] * tiles, o, reach=reach)
            for o in _orders("window", batch_size, epochs)
        ]
        judged = np.mean(
            [judge(numbers(way, per_tile), per_tile, total) for way in ways], axis=0
        )
        found.append(Figures(reach, reach / tiles, judged[0] / whole, judged[1] / float(full)))
    return found


def _orders(shuffle: str, batch_size: int, epochs: int) -> Iterator[Order]:
    for epoch in range(epochs):
        yield Order(batch_size=batch_size, shuffle=shuffle, epoch=epoch)  # type: ignore[arg-type]  # one of three


@click.command()
@click.option("--tiles", default=128, show_default=True, help="Tiles of the dataset.")
@click.option("--per-tile", default=256, show_default=True, help="Samples of each.")
@click.option("--batch-size", default=64, show_default=True, help="Samples in a batch.")
@click.option("--epochs", default=5, show_default=True, help="Orders that are judged.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(tiles: int, per_tile: int, batch_size: int, epochs: int, *, as_json: bool) -> None:
    """Print how well samples are mixed, by how many tiles fit into memory."""
    found = measure(tiles, per_tile, batch_size, epochs)
    if as_json:
        click.echo(
            json.dumps({"schema": "scidata-shuffle/1", "rows": [asdict(f) for f in found]})
        )
        return
    click.echo("tiles mixed  of all   tiles in a batch   bias of a batch   (full shuffle = 1)")
    for f in found:
        click.echo(f"{f.reach:11}  {f.share:6.1%}  {f.tiles_in_batch:17.2f}  {f.bias:16.2f}")


if __name__ == "__main__":
    main()
