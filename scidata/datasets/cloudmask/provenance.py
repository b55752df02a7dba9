"""What a build knows of its scenes, as fields of the record: nothing of it is typed by hand."""

from datetime import UTC, datetime

from scidata.datasets import assembling
from scidata.datasets.assembling import Assembled
from scidata.datasets.cloudmask.geometry import centre_crop, patch_of
from scidata.datasets.cloudmask.layout import ASSET, CLOUDY, PIXELS
from scidata.datasets.sample_store import Written
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


def complete(record: Record, built: Assembled, *, label: str, orbits_apart: int) -> Record:
    """Return the record of what was built: its period, counts, limits, splits and samples.

    Parameters
    ----------
    record : Record
    built : Assembled
    label : str
        Which mask of the source is the label.
    orbits_apart : int
        Files that are in no part of the split by orbit.
    """
    variables = built.layout.variables
    size = variables["bayes"].shape["y"], variables["bayes"].shape["x"]
    steps = [_summary(built, size)]
    if label == "summary":
        steps.append(_SUMMARY)
    if orbits_apart:
        steps.append(
            f"{orbits_apart} inference files are in no part of the split by orbit: a training "
            "file is of the same orbit."
        )
    truth = "truth" in variables
    samples = samples_of(*size, truth=truth)
    completed = assembling.complete(record, built, steps=steps, samples=samples)
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


def _summary(built: Assembled, size: tuple[int, int]) -> str:
    written = built.written
    count, days = len(written.ids), sum(facts["day"] for facts in written.facts)
    cloudy = written.total(CLOUDY) / max(written.total(PIXELS), 1)
    return (
        f"{built.origin}: {count} scenes of {size[0]} by {size[1]} pixels, {days} by day and "
        f"{count - days} by night; the label says cloud in {cloudy:.1%} of the pixels."
    )
