"""The manifest: which files a version holds, with their digests.

Pure text. The form is that of BagIt 1.0 (RFC 8493) and of ``sha256sum``: per file 64 hex
digits, two blanks and the path, sorted by the path's UTF-8 bytes. The version's digest is the
sha256 of these bytes, so ``sha256sum manifest-sha256.txt`` recomputes it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from operator import lt
from types import MappingProxyType
from typing import Self

from scidata.digest import Digest
from scidata.errors import InvalidError, Problem
from scidata.paths import FORBIDDEN, break_no_rule, have_twins, path_fault, path_problems

MANIFEST = "manifest-sha256.txt"
MANIFEST_TABLE = "manifest.parquet"
"""The index of sizes; never the identity."""
TAG_MANIFEST = "tagmanifest-sha256.txt"
DECLARATION = "bagit.txt"
FACTS = "meta/facts.json"
PAYLOAD = "data/"
MAX_PROBLEMS = 100

_HEX_DIGITS = 64
_HEXES = re.compile(r"[0-9a-f]*+")
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
# Nearly all manifests break no rule, which is told of many lines at once, and so many times
# faster than of each.
_LINES = re.compile(rf"(?:[0-9a-f]{{64}}  {PAYLOAD}[^{FORBIDDEN}]++\n)*+")
_BLOCK = 2 * 2**20
"""Bytes of a manifest that are taken at once: few enough to stay near the processor."""
_LINES_AT_ONCE = 20_000
_PATH_AT = _HEX_DIGITS + 2


class Manifest(Mapping[str, Digest]):
    """Paths and digests of one version's payload, in manifest order.

    The law: ``Manifest.parse(m.text) == m``, and equal manifests have equal text.
    """

    def __init__(self, files: Mapping[str, Digest]) -> None:
        # Text, not Digest: a manifest may have millions of lines, of which few are looked at.
        # Characters sort as their UTF-8 bytes do.
        self._files = {path: files[path].hex for path in sorted(files)}
        problems = list(islice(path_problems(self._files), MAX_PROBLEMS))
        if problems:
            raise _refusal("manifest", problems)

    @classmethod
    def parse(cls, data: bytes, *, where: str = MANIFEST) -> Self:
        """Read and check a manifest that is not trusted.

        Raises
        ------
        InvalidError
            Naming every bad line: malformed, unsorted, duplicate, or with a path that leaves
            ``data/`` or breaks another path rule.
        """
        files = _plain_lines(data)
        if files is None:
            return cls(_checked_lines(data, where))
        return cls._checked(files)

    @classmethod
    def of_hexes(cls, files: Mapping[str, str]) -> Self:
        """Make a manifest of many files from their sha256 values without their algorithm.

        Raises
        ------
        InvalidError
            If a value is malformed, or a path breaks a rule.
        """
        values = list(files.values())
        if any(len(value) != _HEX_DIGITS for value in values) or not _HEXES.fullmatch(
            "".join(values)
        ):
            return cls({path: Digest(value) for path, value in files.items()})
        if problems := list(islice(path_problems(files), MAX_PROBLEMS)):
            raise _refusal("manifest", problems)
        return cls._checked({path: files[path] for path in sorted(files)})

    @classmethod
    def _checked(cls, files: dict[str, str]) -> Self:
        manifest = cls({})
        manifest._files = files
        return manifest

    @property
    def hexes(self) -> Mapping[str, str]:
        """Paths and sha256 values without their algorithm, to compare many of them."""
        return MappingProxyType(self._files)

    @property
    def text(self) -> bytes:
        """The canonical bytes: what is stored, and what the version's digest covers."""
        return b"".join(self._blocks())

    @cached_property
    def digest(self) -> Digest:
        """The version's digest."""
        value = hashlib.sha256()
        for block in self._blocks():
            value.update(block)
        return Digest(value.hexdigest())

    def _blocks(self) -> Iterator[bytes]:
        lines = iter(self._files.items())
        while block := "".join([f"{v}  {p}\n" for p, v in islice(lines, _LINES_AT_ONCE)]):
            yield block.encode()

    def under(self, path: str, files: Iterable[str] | None = None) -> "Manifest":
        """Return the part below a directory, with the directory stripped from the paths.

        `files` are all that lie there, in the manifest's order, for those who know them.
        """
        prefix = path.rstrip("/") + "/"
        below = (p for p in self._files if p.startswith(prefix)) if files is None else files
        # Shorter paths break no rule that the whole ones keep.
        return self._checked({p.removeprefix(prefix): self._files[p] for p in below})

    def __getitem__(self, path: str) -> Digest:
        return Digest(self._files[path])

    def __contains__(self, path: object) -> bool:
        return path in self._files  # without making a Digest of it

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def read_lines(data: bytes, *, where: str = MANIFEST) -> Iterator[tuple[list[str], list[str]]]:
    """Yield paths and sha256 values, some thousand at a time, of a manifest not trusted.

    All rules are checked but one, for which all paths would be kept: paths that differ by case
    only are not noticed.

    Raises
    ------
    InvalidError
        As `Manifest.parse`; blocks before the first bad line were yielded by then.
    """
    last = ""
    for block in _cut(data):
        found = None if block is None else _sound_block(block, last)
        if found is None:
            left = _checked_lines(data, where)  # raises, as something is wrong
            found = [p for p in left if p > last], [d.hex for p, d in left.items() if p > last]
            yield found
            return
        yield found
        last = found[0][-1]


def _plain_lines(data: bytes) -> dict[str, str] | None:
    """Read a manifest that breaks no rule; else None."""
    files: dict[str, str] = {}
    folded: list[str] = []
    last = ""
    for block in _cut(data):
        if block is None or (found := _sound_block(block, last)) is None:
            return None
        paths, hexes = found
        if not block.isascii() or block.lower() != block:
            folded += [path for path in paths if path.casefold() != path]
        files.update(zip(paths, hexes, strict=True))
        last = paths[-1]
    return None if have_twins(files, folded) else files


def _cut(data: bytes) -> Iterator[bytes | None]:
    """Yield blocks of whole lines; None if one has no end, or is longer than a path may be."""
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _BLOCK) + 1
        if not end:
            yield None
            return
        yield data[start:end]
        start = end


def _sound_block(block: bytes, last: str) -> tuple[list[str], list[str]] | None:
    """Read lines that follow a path and break no rule; else None."""
    try:
        text = block.decode()
    except UnicodeDecodeError:
        return None
    if not _LINES.fullmatch(text):
        return None
    if block.isascii() and block.count(b" ") == 2 * block.count(b"\n"):
        words = text.split()
        paths, hexes = words[1::2], words[::2]
    else:  # there are blanks in paths
        lines = text[:-1].split("\n")
        paths, hexes = (
            [line[_PATH_AT:] for line in lines],
            [line[:_HEX_DIGITS] for line in lines],
        )
    sound = last < paths[0] and _in_order(paths) and break_no_rule(paths)
    return (paths, hexes) if sound else None


def _in_order(paths: list[str]) -> bool:
    return all(map(lt, paths, islice(paths, 1, None)))


def _checked_lines(data: bytes, where: str) -> dict[str, Digest]:
    files: dict[str, Digest] = {}
    problems: list[Problem] = []
    last = b""
    for number, line in enumerate(_lines(data, where), start=1):
        match = _LINE.fullmatch(line)
        fault = _line_fault(match, last)
        if fault is not None or match is None:
            problems.append(_line_problem(where, number, fault or "is malformed"))
        else:
            files[match[2]] = Digest(match[1])
            last = match[2].encode()
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise _refusal(where, problems)
    return files


def _lines(data: bytes, where: str) -> list[str]:
    if data and not data.endswith(b"\n"):
        raise _refusal(where, [_line_problem(where, data.count(b"\n") + 1, "is cut off")])
    try:
        return data.decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise _refusal(where, [_line_problem(where, number, "is not UTF-8")]) from error


def _line_fault(match: re.Match[str] | None, last: bytes) -> str | None:
    if match is None:
        return "is not '<64 hex digits>  <path>'"
    path = match[2]
    if not path.startswith(PAYLOAD):
        return f"names {path!r}, which lies outside {PAYLOAD}"
    if fault := path_fault(path):
        return f"names {path!r}, which {fault}"
    if path.encode() <= last:
        return f"names {path!r} out of order or twice"
    return None


def _line_problem(where: str, number: int, message: str) -> Problem:
    return Problem(
        code="manifest-line",
        path=f"{where}:{number}",
        message=f"the line {message}",
        fix="fetch the manifest again from a trusted copy",
    )


def _refusal(where: str, problems: list[Problem]) -> InvalidError:
    return InvalidError.listing(problems, where=where, fix="see each problem's remedy")
