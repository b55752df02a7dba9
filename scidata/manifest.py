"""The manifest: which files a version holds, with their digests; and which paths are allowed.

Pure text. The form is that of BagIt 1.0 (RFC 8493) and of ``sha256sum``: per file 64 hex
digits, two blanks and the path, sorted by the path's UTF-8 bytes. The version's digest is the
sha256 of these bytes, so ``sha256sum manifest-sha256.txt`` recomputes it.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from operator import lt
from types import MappingProxyType
from typing import Self

from scidata.digest import Digest
from scidata.errors import InvalidError, Problem

MANIFEST = "manifest-sha256.txt"
MANIFEST_TABLE = "manifest.parquet"
"""The index of sizes; never the identity."""
TAG_MANIFEST = "tagmanifest-sha256.txt"
DECLARATION = "bagit.txt"
FACTS = "meta/facts.json"
PAYLOAD = "data/"
MAX_PATH_BYTES = 900
MAX_PROBLEMS = 100

_HEX_DIGITS = 64
_HEXES = re.compile(r"[0-9a-f]*+")
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
# Characters that some consumer escapes: bags, URLs, Windows. A manifest then needs no escaping.
_FORBIDDEN = re.compile(r'[%\\:*?"<>|\x00-\x1f\x7f-\x9f]')
# Marks that nobody sees: two names that look the same, or one that reads backwards.
_UNSEEN = {"Cf", "Zl", "Zp"}
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\..*)?",
    re.IGNORECASE,
)
# Nearly all manifests break no rule, which is told of many lines at once, and so many times
# faster than of each: the first pattern must match all of a block, the second nowhere in it.
# What the second matches in lower case may be allowed all the same: those lines are looked at.
_LINES = re.compile(r'(?:[0-9a-f]{64}  data/[^%\\:*?"<>|\x00-\x1f\x7f-\x9f]++\n)*+')
_PATHS = re.compile(r'(?:/[^%\\:*?"<>|\x00-\x1f\x7f-\x9f]++\n)*+')
_SUSPECT = re.compile(
    r"[./](?:[ /\n]|(?<=/)(?:\.(?:_|ds_store[/\n])|thumbs\.db[/\n]"
    r"|(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ./\n])"
    r"|(?<=\.)part[/\n])| [/\n]"
)
_BLOCK = 2 * 2**20
"""Bytes of a manifest that are taken at once: few enough to stay near the processor."""
_LINES_AT_ONCE = 20_000
_HEX = 64
_PATH_AT = _HEX + 2
_PLAIN_PATH = re.compile(rf"[A-Za-z0-9_=+./-]{{1,{MAX_PATH_BYTES}}}")
_LITTER = re.compile(r"\.DS_Store|Thumbs\.db|\._.*|.*\.part")


def path_fault(path: str) -> str | None:
    """Say why a relative path may not be published, or None if it may.

    Examples
    --------
    >>> path_fault("data/grid.zarr/zarr.json") is None
    True
    >>> path_fault("data/../../etc/passwd")
    "has the component '..', which leaves its folder"
    """
    if _PLAIN_PATH.fullmatch(path) and not _SUSPECT.search(f"/{path.lower()}/"):
        return None  # as nearly all paths, ten times faster
    return _text_fault(path) or next(filter(None, map(_component_fault, path.split("/"))), None)


def _text_fault(path: str) -> str | None:
    if unicodedata.normalize("NFC", path) != path:
        return "is not in Unicode normal form C"
    if match := _FORBIDDEN.search(path):
        return f"contains {match[0]!r}"
    if len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes"
    if any("\ud800" <= c <= "\udfff" for c in path):
        return "is not valid UTF-8"
    if not path.isascii() and any(unicodedata.category(c) in _UNSEEN for c in path):
        return f"contains a character that nobody can see: {path!a}"
    return None


def _component_fault(name: str) -> str | None:
    if name in {"", ".", ".."}:
        return f"has the component {name!r}, which leaves its folder"
    if name != name.strip(" ") or name.endswith("."):
        return (
            f"has the component {name!r}, which begins or ends with a blank or ends with a dot"
        )
    if _RESERVED.fullmatch(name):
        return f"has the component {name!r}, which Windows reserves"
    if _LITTER.fullmatch(name):
        return f"has the component {name!r}, which is a leftover of a tool, not data"
    return None


def path_problems(paths: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for every path that breaks a rule or collides with another.

    Two collide that differ by case only, in any folder on the way, or of which one is a file
    where the other has a folder: no disk of every system can hold both.
    """
    listed = dict.fromkeys(paths)
    if _are_plain(listed):
        return
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in listed:
        fault = path_fault(path) or _collision(path, files, folders)
        if fault is not None:
            yield Problem(
                code="path",
                path=path,
                message=f"the path {fault}",
                fix="rename or remove the file",
            )


def _collision(path: str, files: dict[str, str], folders: dict[str, str]) -> str | None:
    """Note a path, and say what it collides with among those noted before."""
    folded = path.casefold()
    twin = files.setdefault(folded, path)
    if twin != path:
        return f"differs from {twin!r} by case only"
    if folded in folders:
        return f"is a file, and {folders[folded]!r} a folder"
    folder, slash, _ = path.rpartition("/")
    while slash and folders.get(folded := folder.casefold()) != folder:
        twin = folders.setdefault(folded, folder)
        if twin != folder:
            return f"lies in {folder!r}, which differs from {twin!r} by case only"
        if folded in files:
            return f"lies in {folder!r}, which is a file, too"
        folder, slash, _ = folder.rpartition("/")
    return None


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
    return None if _have_twins(files, folded) else files


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
        paths, hexes = [line[_PATH_AT:] for line in lines], [line[:_HEX] for line in lines]
    sound = last < paths[0] and _in_order(paths) and _break_no_rule(paths)
    return (paths, hexes) if sound else None


def _are_plain(files: Mapping[str, object]) -> bool:
    """Tell quickly that no path breaks a rule; False if it takes a closer look to say so."""
    folded: list[str] = []
    paths = iter(files)
    while block := list(islice(paths, _LINES_AT_ONCE)):
        text = "/" + "\n/".join(block) + "\n"
        # A line feed in a path would make two lines of it.
        if not _PATHS.fullmatch(text) or text.count("\n") > len(block):
            return False
        if not _break_no_rule(block):
            return False
        if not text.isascii() or text.lower() != text:
            folded += [path for path in block if path.casefold() != path]
    return not _have_twins(files, folded)


def _break_no_rule(paths: list[str]) -> bool:
    """Tell whether paths without forbidden characters are allowed."""
    text = "/" + "\n/".join(paths) + "\n"
    longest = max(map(len, paths))
    if not text.isascii():
        if not unicodedata.is_normalized("NFC", text):
            return False
        if any(unicodedata.category(character) in _UNSEEN for character in set(text)):
            return False
        try:
            longest = max(len(path.encode()) for path in paths)
        except UnicodeEncodeError:
            return False
    if longest > MAX_PATH_BYTES:
        return False
    if not _SUSPECT.search(text.lower()):
        return True
    return not any(path_fault(path) for path in paths if _SUSPECT.search(f"/{path.lower()}\n"))


def _in_order(paths: list[str]) -> bool:
    return all(map(lt, paths, islice(paths, 1, None)))


def _have_twins(files: Mapping[str, object], unfolded: list[str]) -> bool:
    """Tell whether two paths collide, given all that differ from their folded form."""
    folded = {path.casefold() for path in unfolded}
    if len(folded) < len(unfolded) or any(p in files for p in folded.difference(unfolded)):
        return True
    folders = folders_of(files)
    lower = {folder.casefold() for folder in folders} if unfolded else folders
    return len(lower) < len(folders) or any(f in files or f in folded for f in lower)


def folders_of(paths: Iterable[str]) -> set[str]:
    """Return every folder that plain paths lie in, and those that these lie in."""
    folders = {path.rpartition("/")[0] for path in paths}
    for folder in list(folders):
        above = folder.rpartition("/")[0]
        while above and above not in folders:
            folders.add(above)
            above = above.rpartition("/")[0]
    return folders - {""}


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
