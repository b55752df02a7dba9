"""What the verbs of a DOI return."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from scidata.doi.judging import Verdict
from scidata.doi.session import Session
from scidata.doi.settling import Step

Attributes: TypeAlias = dict[str, Any]  # Any: JSON at the edge


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What would be sent of a version, and what the judges say of it."""

    name: str
    doi: str
    concept: str
    reserved: bool
    document: Attributes
    verdict: Verdict
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a verb did, or would do."""

    name: str
    doi: str
    concept: str
    api: str
    state: str
    url: str
    steps: tuple[Step, ...]
    judges: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the store and DataCite say of a version's DOI."""

    name: str
    doi: str
    concept: str
    api: str
    reserved: bool
    noted_findable: bool
    """The store says that it can be found."""
    state: str
    url: str
    registered: str | None
    differs: tuple[str, ...]
    """Attributes that DataCite has otherwise than `update` would write them."""
    warnings: tuple[str, ...] = ()


def done_of(session: Session, steps: list[Step], verdict: Verdict, warnings: list[str]) -> Done:
    """Sum up what was done of a version's DOI."""
    absent = [f"not judged by {text}" for text in verdict.absent]
    return Done(
        name=session.commit.name,
        doi=session.doi,
        concept=session.concept,
        api=session.api,
        state=steps[0].after,
        url=f"https://doi.org/{session.doi}",
        steps=tuple(steps),
        judges=verdict.judges,
        warnings=(*absent, *filter(None, [session.unheeded]), *warnings),
    )
