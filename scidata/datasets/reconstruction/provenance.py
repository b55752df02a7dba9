"""What the record says of rasters that were built."""

from collections.abc import Iterator, Mapping, Sequence

from scidata.datasets.reconstruction.pair import CBED, POTENTIAL
from scidata.datasets.reconstruction.store import ASSET, Written
from scidata.datasets.stemdl.splits import Parts
from scidata.errors import Problem
from scidata.record import Limitation, Record, Samples, SplitPart, SplitRule, Step

_MOST_NAMED = 20


def complete(
    record: Record,
    origin: str,
    written: Written,
    parts: Mapping[str, Parts],
    problems: Sequence[Problem] = (),
) -> Record:
    """Return the record of what was built: its counts, limits, variables, splits, samples.

    Parameters
    ----------
    record : Record
        As shipped; rules of splits that there are not are left out.
    origin : str
        Begins the sentence on what was built.
    written : Written
    parts : mapping
        By split, the default first.
    problems : sequence of Problem
        Of what was skipped.
    """
    none = "" if parts else " No splits: there are too few samples."
    step = Step(activity=f"{origin}: {len(written.ids)} samples.{none}")
    known = {CBED, POTENTIAL, "sample", *(written.facts[0] if written.facts else ())}
    steps = (*record.provenance.steps, step)
    return record.model_copy(
        update={
            "provenance": record.provenance.model_copy(update={"steps": steps}),
            "limitations": (*record.limitations, *_limitations(problems)),
            "variables": tuple(v for v in record.variables if v.name in known),
            "splits": tuple(_rules(record, parts)),
            "samples": Samples(
                asset=ASSET, each=("sample",), inputs=(CBED,), targets=(POTENTIAL,)
            ),
        }
    )


def _rules(record: Record, parts: Mapping[str, Parts]) -> Iterator[SplitRule]:
    rules = {rule.name: rule for rule in record.splits}
    for number, (name, lists) in enumerate(parts.items()):
        described = {part.name: part.description for part in rules[name].parts}
        held = tuple(
            SplitPart(name=part, description=f"{described[part]}; {len(ids)} samples")
            for part, ids in lists.items()
        )
        changes = {
            "default": not number, "asset": ASSET, "dimension": "sample", "parts": held,
        }  # fmt: skip
        yield rules[name].model_copy(update=changes)


def _limitations(problems: Sequence[Problem]) -> Iterator[Limitation]:
    if problems:
        named = "; ".join(f"{p.path}: {p.message}" for p in problems[:_MOST_NAMED])
        more = len(problems) - _MOST_NAMED
        rest = f"; and {more} more" if more > 0 else ""
        yield Limitation(description=f"{len(problems)} samples were left out. {named}{rest}.")
