"""What the record says of rasters that were built."""

from scidata.datasets import assembling
from scidata.datasets.assembling import Assembled
from scidata.datasets.reconstruction.layout import CBED, POTENTIAL
from scidata.record import Record, Samples


def complete(record: Record, built: Assembled) -> Record:
    """Return the record of what was built: its counts, limits, variables, splits, samples."""
    return assembling.complete(
        record,
        built,
        steps=[f"{built.origin}: {len(built.written.ids)} samples."],
        samples=Samples(
            asset=built.layout.asset,
            each=(built.layout.dimension,),
            inputs=(CBED,),
            targets=(POTENTIAL,),
        ),
    )
