"""Every error that scidata raises on purpose, and nothing else.

The tree, with the exit code that the command line gives each class::

    ScidataError            1
    ├── NotFoundError       3   also LookupError
    ├── InvalidError        4   also ValueError; carries every Problem found
    ├── IntegrityError      5   also ValueError; carries every Damage found
    ├── StorageError        6   also OSError
    ├── ConflictError       7   also FileExistsError
    └── SignatureError      8   also PermissionError; says which signature failed, and how

``kind`` and ``exit_code`` are append-only: scripts match on them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, Self


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with an input, and its remedy."""

    code: str
    """Short and stable, such as ``orcid-check-digit``: scripts match on it."""
    path: str
    """A place in a record (``creators[0].orcid``), a line (``1992.catalog:17``) or a key."""
    message: str
    fix: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.path}: {self.message} ({self.fix})"


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One file that differs from its manifest."""

    path: str
    """As the manifest writes it, such as ``data/events.parquet``."""
    state: Literal["bad", "missing", "extra"]
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        detail = (
            f": expected {self.expected}, found {self.found}" if self.state == "bad" else ""
        )
        return f"{self.state} {self.path}{detail}"


class ScidataError(Exception):
    """Base of all: what happened, where, and what to do next.

    Parameters
    ----------
    message : str
        What happened, with the offending value quoted.
    where : str
        The file, store or field it happened in.
    fix : str
        What to do next; a command, where one helps.
    """

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str, fix: str) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}\n  where: {self.where}\n  fix:   {self.fix}"


class NotFoundError(ScidataError, LookupError):
    """The named dataset, version, asset, split or file does not exist."""

    kind = "not-found"
    exit_code = 3


class InvalidError(ScidataError, ValueError):
    """An input breaks a rule; ``problems`` lists every rule it breaks."""

    kind = "invalid"
    exit_code = 4

    def __init__(
        self, message: str, *, where: str, fix: str, problems: Iterable[Problem] = ()
    ) -> None:
        super().__init__(message, where=where, fix=fix)
        self.problems = tuple(problems)

    @classmethod
    def listing(cls, problems: Iterable[Problem], *, where: str, fix: str) -> Self:
        """Say how many problems there are, and the first of them."""
        problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems, first"
        first = f"{problems[0].path}: {problems[0].message}"
        return cls(f"{count}: {first}", where=where, fix=fix, problems=problems)


class IntegrityError(ScidataError, ValueError):
    """Bytes differ from their digest; ``damage`` lists every file concerned."""

    kind = "integrity"
    exit_code = 5

    def __init__(
        self, message: str, *, where: str, fix: str, damage: Iterable[Damage] = ()
    ) -> None:
        super().__init__(message, where=where, fix=fix)
        self.damage = tuple(damage)


class StorageError(ScidataError, OSError):
    """A store or disk cannot be reached, read or written."""

    kind = "storage"
    exit_code = 6


class ConflictError(ScidataError, FileExistsError):
    """Something immutable exists already with other content."""

    kind = "conflict"
    exit_code = 7


class SignatureError(ScidataError, PermissionError):
    """No trusted key signed a version; ``state`` says what there is instead.

    Not an `IntegrityError`: nothing is said of the version's files, which were not looked at.
    """

    kind = "signature"
    exit_code = 8

    def __init__(
        self,
        message: str,
        *,
        where: str,
        fix: str,
        state: Literal["missing", "malformed", "wrong", "untrusted"],
        problems: Iterable[Problem] = (),
    ) -> None:
        super().__init__(message, where=where, fix=fix)
        self.state = state
        self.problems = tuple(problems)
        """One for each signature that was found; its code is ``signature-`` and its state."""
