"""What the record says of rasters that were built."""

from collections.abc import Mapping
from dataclasses import dataclass

from scidata.datasets import assembling
from scidata.datasets.assembling import Parts
from scidata.datasets.damage import Damage
from scidata.datasets.reconstruction.layout import CBED, POTENTIAL
from scidata.datasets.sample_store import Written
from scidata.datasets.samples import Layout
from scidata.record import Record, Samples


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """What the record is completed with."""

    origin: str
    """Begins the sentence on what was built."""
    layout: Layout
    written: Written
    parts: Mapping[str, Parts]
    damage: Damage


def complete(record: Record, built: Assembled) -> Record:
    """Return the record of what was built: its counts, limits, variables, splits, samples."""
    layout = built.layout
    return assembling.complete(
        record,
        assembling.Assembled(
            layout=layout,
            steps=[f"{built.origin}: {len(built.written.ids)} samples."],
            parts=built.parts,
            samples=Samples(
                asset=layout.asset,
                each=(layout.dimension,),
                inputs=(CBED,),
                targets=(POTENTIAL,),
            ),
            limitations=list(built.damage.limitations()),
        ),
    )
