"""What of a source cannot be used: named, and left out only if that was asked for."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from scidata.errors import InvalidError, Problem
from scidata.record import Limitation

_MOST_LISTED = 100
_MOST_NAMED = 20


@dataclass(kw_only=True)
class Damage:
    """Problems of a source's files and samples, as they are found."""

    source: str
    """How messages name it."""
    skip: bool
    """Whether to do without what is damaged."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """Names of what cannot be used."""
        return sorted({problem.path for problem in self.problems})

    def judge(self, *, left: int) -> None:
        """Raise unless nothing is damaged, or it is to be skipped and something is left.

        Raises
        ------
        InvalidError
            Naming what is damaged.
        """
        if self.problems and not self.skip:
            first = self.problems[0]
            raise InvalidError(
                f"{len(self.paths):,} of its files and samples cannot be used, first "
                f"{first.path}: {first.message}",
                where=self.source,
                fix=self._fix(),
                problems=self.problems[:_MOST_LISTED],
            )
        if not left:
            raise InvalidError(
                "nothing is left: every file or sample is damaged or of another kind",
                where=self.source,
                fix="give --source another file or folder",
                problems=self.problems[:_MOST_LISTED],
            )

    def limitations(self) -> Iterator[Limitation]:
        """Say in the record what was left out."""
        reasons = {problem.path: problem.message for problem in self.problems}
        if not reasons:
            return
        named = "; ".join(f"{path}: {reasons[path]}" for path in sorted(reasons)[:_MOST_NAMED])
        more = f"; and {len(reasons) - _MOST_NAMED} more" if len(reasons) > _MOST_NAMED else ""
        yield Limitation(
            description=f"{len(reasons)} files or samples were left out. {named}{more}."
        )

    def _fix(self) -> str:
        fixes = {problem.fix for problem in self.problems}
        if len(fixes) == 1 and all("skip" not in fix for fix in fixes):
            return fixes.pop()  # nothing that is skipped would help
        return (
            "mend or remove what is listed, or add --damaged skip, and run the same command "
            "again: what was read before it is kept"
        )
