"""Which paths a version may hold: those that every disk, bag and address can name. Pure."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from scidata.errors import Problem

MAX_PATH_BYTES = 900

# Characters that some consumer escapes: bags, URLs, Windows. A manifest then needs no escaping.
FORBIDDEN = r'%\\:*?"<>|\x00-\x1f\x7f-\x9f'
"""In the brackets of a pattern."""

_FORBIDDEN = re.compile(f"[{FORBIDDEN}]")
# Marks that nobody sees: two names that look the same, or one that reads backwards.
_UNSEEN = {"Cf", "Zl", "Zp"}
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\..*)?",
    re.IGNORECASE,
)
# Nearly all paths break no rule, which is told of many lines at once, and so many times faster
# than of each: the first pattern must match all of a block, the second nowhere in it. What the
# second matches in lower case may be allowed all the same: those paths are looked at.
_PATHS = re.compile(rf"(?:/[^{FORBIDDEN}]++\n)*+")
_SUSPECT = re.compile(
    r"[./](?:[ /\n]|(?<=/)(?:\.(?:_|ds_store[/\n])|thumbs\.db[/\n]"
    r"|(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ./\n])"
    r"|(?<=\.)part[/\n])| [/\n]"
)
_PLAIN_PATH = re.compile(rf"[A-Za-z0-9_=+./-]{{1,{MAX_PATH_BYTES}}}")
_LITTER = re.compile(r"\.DS_Store|Thumbs\.db|\._.*|.*\.part")
_AT_ONCE = 20_000


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


def _are_plain(files: Mapping[str, object]) -> bool:
    """Tell quickly that no path breaks a rule; False if it takes a closer look to say so."""
    folded: list[str] = []
    paths = iter(files)
    while block := list(islice(paths, _AT_ONCE)):
        text = "/" + "\n/".join(block) + "\n"
        # A line feed in a path would make two lines of it.
        if not _PATHS.fullmatch(text) or text.count("\n") > len(block):
            return False
        if not break_no_rule(block):
            return False
        if not text.isascii() or text.lower() != text:
            folded += [path for path in block if path.casefold() != path]
    return not have_twins(files, folded)


def break_no_rule(paths: list[str]) -> bool:
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


def have_twins(files: Mapping[str, object], unfolded: list[str]) -> bool:
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
