"""A split part: an explicit list of sample ids in a text file, one a line, sorted.

It lies in a version as ``data/splits/<split>/<part>.txt``, so its digest is the file's line in
the manifest and nobody writes it twice. Pure: text to ids and back.
"""

import hashlib
from collections.abc import Iterable

from scidata.digest import Digest
from scidata.errors import InvalidError, Problem

SPLITS = "data/splits/"


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


def _refusal(where: str, messages: list[str]) -> InvalidError:
    problems = [
        Problem(code="split", path=where, message=m, fix="write the split with scidata.split")
        for m in messages
    ]
    return InvalidError.listing(problems, where=where, fix="write one id a line, sorted, once")
