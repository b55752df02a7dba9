"""How FAIR a dataset is: points by principle, and for each one lost what to write or to run.

Nothing is asked of the network. What only a published site can show (its pages, headers and
answers) is said to be unknown here, and counts neither way.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from scidata.correction import CORRECTABLE
from scidata.fair.evidence import Evidence, of_path, of_version
from scidata.fair.rules import RULES, Rule
from scidata.storage import StoreLike

State: TypeAlias = Literal["met", "lost", "unknown"]

__all__ = ["RULES", "Evidence", "Fairness", "Outcome", "Rule", "assess", "judge"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one rule says."""

    rule: Rule
    state: State
    finding: str = ""
    """What is lacking, or why it cannot be known; empty if it is met."""
    remedy: str = ""
    """What to write or to run, if points are lost."""


@dataclass(frozen=True, kw_only=True)
class Fairness:
    """What all rules say of a record, a staged dataset or a version."""

    name: str
    outcomes: tuple[Outcome, ...]

    def points(self, *states: State, principle: str | None = None) -> int:
        """Add up the points of the rules in some state, by default of all principles."""
        return sum(
            outcome.rule.points
            for outcome in self.outcomes
            if outcome.state in states and principle in (None, outcome.rule.principle)
        )

    @property
    def lost(self) -> tuple[Outcome, ...]:
        """The rules that cost points, the dearest first."""
        found = [outcome for outcome in self.outcomes if outcome.state == "lost"]
        return tuple(sorted(found, key=lambda outcome: -outcome.rule.points))

    @property
    def unknown(self) -> tuple[Outcome, ...]:
        """The rules that cannot be answered here."""
        return tuple(outcome for outcome in self.outcomes if outcome.state == "unknown")

    @property
    def score(self) -> float:
        """Percent of the points that can be known here; rounded down, so that 100 is all."""
        known = self.points("met", "lost")
        return 1000 * self.points("met") // known / 10 if known else 0.0


def assess(target: str | Path, store: StoreLike | None = None) -> Fairness:
    """Score a record, a staged dataset or a version by the FAIR principles.

    Parameters
    ----------
    target : str or Path
        A record's file, the folder of a staged dataset, or ``tevolop``, ``tevolop@1.0.0`` or
        ``tevolop@sha256:…``. Of a folder names and metadata are read, and no byte is hashed.
    store : Store, str, Path or None
        By default ``$SCIDATA_STORE``, else the user's data folder.

    Raises
    ------
    NotFoundError
        If there is no such record or version.
    InvalidError
        If the record has errors: what is not valid is not scored.
    IntegrityError
        If a file of the version differs from what was committed.
    StorageError
        If the store, or the folder, cannot be read.
    """
    found = of_path(target)
    return judge(of_version(str(target), store) if found is None else found)


def judge(evidence: Evidence) -> Fairness:
    """Apply every rule to what is known of a dataset; pure."""
    return Fairness(name=evidence.name, outcomes=tuple(_outcome(r, evidence) for r in RULES))


def _outcome(rule: Rule, evidence: Evidence) -> Outcome:
    if rule.lacks is None:
        return Outcome(rule=rule, state="unknown", finding="only a published site shows it")
    if rule.needs not in evidence.has:
        finding = "it is not published" if rule.needs == "version" else "there are no data"
        return Outcome(rule=rule, state="unknown", finding=finding)
    lacking = rule.lacks(evidence)
    if not lacking:
        return Outcome(rule=rule, state="met")
    return Outcome(rule=rule, state="lost", finding=lacking, remedy=_remedy(rule, evidence))


def _remedy(rule: Rule, evidence: Evidence) -> str:
    if rule.field:
        correctable = re.split(r"\W", rule.field)[0] in CORRECTABLE
        then = (correctable and evidence.correct) or evidence.again
        return f"write {rule.example} ({rule.field}), then {then}"
    return rule.example.format(name=evidence.name, options=evidence.options)
