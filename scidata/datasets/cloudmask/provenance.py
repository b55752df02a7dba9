"""What a build knows of its scenes, as fields of the record: nothing of it is typed by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from scidata.datasets import assembling
from scidata.datasets.cloudmask.geometry import centre_crop, patch_of
from scidata.datasets.cloudmask.layout import ASSET, CLOUDY, PIXELS
from scidata.datasets.cloudmask.splits import Divided
from scidata.datasets.damage import Damage
from scidata.datasets.sample_store import Written
from scidata.datasets.samples import Layout
from scidata.record import Period, Record, Samples, Window

_SUMMARY = (
    "The label is the summary of all cloud tests of the product, not its Bayesian flags, which "
    "are not filled in."
)

_SIMULATED = {
    "synthetic": True,
    "synthetic_note": "The files are simulated: they hold a true mask, as no real file does.",
    "real_note": None,
}
"""What the record of published files says instead, if they cannot be those."""


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """What the record is completed with."""

    origin: str
    """Begins the sentence on what was built."""
    label: str
    layout: Layout
    written: Written
    divided: Divided
    damage: Damage

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a scene."""
        area = self.layout.variables["bayes"].shape
        return area["y"], area["x"]


def complete(record: Record, built: Assembled) -> Record:
    """Return the record of what was built: its period, counts, limits, splits and samples."""
    truth = "truth" in built.layout.variables
    completed = assembling.complete(
        record,
        assembling.Assembled(
            layout=built.layout,
            steps=list(_steps(built)),
            parts=built.divided.parts,
            samples=samples_of(*built.size, truth=truth),
            limitations=list(built.damage.limitations()),
        ),
    )
    says = _SIMULATED if truth and not record.synthetic else {}
    return completed.model_copy(update={"temporal": _period(built.written), **says})


def samples_of(height: int, width: int, *, truth: bool) -> Samples | None:
    """Return the patches of the centre crop; None of scenes that are too small."""
    patch = patch_of(height, width)
    if patch is None:
        return None
    windows = tuple(
        Window(dimension=dim, size=patch, stride=patch, start=centre_crop(length, patch)[0])
        for dim, length in (("y", height), ("x", width))
    )
    return Samples(
        asset=ASSET,
        each=("scene",),
        windows=windows,
        inputs=("refs", "bts"),
        targets=("bayes", *(("truth",) if truth else ()), "day"),
    )


def _period(written: Written) -> Period:
    times = [facts["time"] for facts in written.facts]
    first, last = (
        datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d") for t in (min(times), max(times))
    )
    return Period(start=first, end=last)


def _steps(built: Assembled) -> Iterator[str]:
    written = built.written
    count, days = len(written.ids), sum(facts["day"] for facts in written.facts)
    cloudy = written.total(CLOUDY) / max(written.total(PIXELS), 1)
    yield (
        f"{built.origin}: {count} scenes of {built.size[0]} by {built.size[1]} pixels, {days} "
        f"by day and {count - days} by night; the label says cloud in {cloudy:.1%} of the "
        "pixels."
    )
    if built.label == "summary":
        yield _SUMMARY
    if built.divided.orbits_apart:
        yield (
            f"{built.divided.orbits_apart} inference files are in no part of the split by "
            "orbit: a training file is of the same orbit."
        )
