"""A split part: an explicit list of sample ids in a text file, one a line, sorted.

It lies in a version as ``data/splits/<split>/<part>.txt``, so its digest is the file's line in
the manifest and nobody writes it twice. Pure: text to ids and back.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from scidata.digest import Digest
from scidata.errors import InvalidError, Problem

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SPLITS = "data/splits/"
MAX_PART_BYTES = 256 * 2**20

Meaning: TypeAlias = int | str
"""What an id or a label says: a number, microseconds since 1970, or its text."""

_WHOLE = re.compile(r"-?[0-9]{1,40}", re.ASCII)
_YEAR_OR_MONTH = {4: "-01-01", 7: "-01"}  # by length: 2020, 2020-01
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def split_path(split: str, part: str) -> str:
    """Return where a part lies below the version's prefix."""
    return f"{SPLITS}{split}/{part}.txt"


def to_text(ids: Iterable[str]) -> bytes:
    """Write ids as sorted lines.

    Raises
    ------
    InvalidError
        If an id occurs twice, is empty or contains white space.
    """
    lines = sorted(ids)
    bad = [
        i for n, i in enumerate(lines) if not i or i.split() != [i] or lines[n - 1 : n] == [i]
    ]
    if bad:
        raise _refusal(
            "split", [f"the id {i!r} is empty, repeated or contains blanks" for i in bad]
        )
    return "".join(f"{i}\n" for i in lines).encode()


def parse(data: bytes, *, where: str) -> tuple[str, ...]:
    """Read ids that `to_text` wrote; ``parse(to_text(ids)) == tuple(sorted(ids))``.

    Raises
    ------
    InvalidError
        If the text is not what `to_text` would write for its ids.
    """
    try:
        ids = tuple(data.decode().split("\n")[:-1])
        if to_text(ids) != data:
            raise _refusal(where, ["the ids are not sorted lines"])
    except UnicodeDecodeError as error:
        raise _refusal(where, ["the text is not UTF-8"]) from error
    return ids


def digest(ids: Iterable[str]) -> Digest:
    """Digest of the part: what ``sha256sum`` prints for its file."""
    return Digest(hashlib.sha256(to_text(ids)).hexdigest())


def overlap(train: Iterable[str], held_out: Iterable[str]) -> tuple[str, ...]:
    """Ids that two parts share, sorted: a split with any leaks."""
    return tuple(sorted(set(train) & set(held_out)))


def meaning(text: str, kind: str) -> Meaning | None:
    """Say which label an id means: the one rule for checks and loaders.

    Parameters
    ----------
    text : str
        The id, as a split file spells it.
    kind : str
        Of the labels, as NumPy's ``dtype.kind``.

    Returns
    -------
    int, str or None
        For whole numbers the number, with or without leading zeros; for times the instant, UTC
        where no offset is given; else the text itself. None if it can mean no label.
    """
    if kind in "iu":
        return int(text) if _WHOLE.fullmatch(text) else None
    if kind != "M":
        return text
    try:
        moment = datetime.fromisoformat(text + _YEAR_OR_MONTH.get(len(text), ""))
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)


def label_meanings(labels: "npt.NDArray[np.generic]") -> list[Meaning]:
    """Say what each label of a dimension or column means, to compare with `meaning`."""
    values: Any = labels  # Any: NumPy's types do not tell numbers from times
    if labels.dtype.kind in "iu":
        return [int(value) for value in values.tolist()]
    if labels.dtype.kind == "M":
        return [int(value) for value in values.astype("datetime64[us]").astype("int64")]
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()]


def repeated(ids: Iterable[str], kind: str) -> tuple[str, str] | None:
    """Find two ids that mean one label, such as ``007`` and ``7``."""
    seen: dict[Meaning, str] = {}
    for i in ids:
        means = meaning(i, kind)
        if means is not None and seen.setdefault(means, i) != i:
            return seen[means], i
    return None


def _refusal(where: str, messages: list[str]) -> InvalidError:
    problems = [
        Problem(code="split", path=where, message=m, fix="write the split with scidata.split")
        for m in messages
    ]
    return InvalidError.listing(problems, where=where, fix="write one id a line, sorted, once")
