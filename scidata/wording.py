"""What people read: amounts of bytes, counted nouns, and text that a terminal only shows."""

import re
from collections.abc import Mapping

_OBEYED = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"  # controls, escapes, ends of lines
    r"|[\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # what turns the direction of writing
    r"|[\ud800-\udfff]"  # bytes of a file name that are no UTF-8
)


_IN_URL = re.compile(
    r"(\w+://)[^/\s@'\"]+@|([?&](?:x-amz-[\w-]+|[\w-]*(?:token|secret|sig"
    r"|signature|key|password)[\w-]*)=)[^&\s'\"]+",
    re.IGNORECASE,
)
SECRET_VARIABLES = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "DATACITE_PASSWORD",
    "DATACITE_API_KEY",
)
_MIN_SECRET = 8
"""Characters: a shorter value would be found in words that have nothing to do with it."""


def discreet(text: str, environ: Mapping[str, str]) -> str:
    """Leave out the credentials of an environment, and those inside addresses.

    Examples
    --------
    >>> discreet("https://me:pass@host/x?X-Amz-Signature=00ff&a=1 c0ffee00",
    ...     {"AWS_SESSION_TOKEN": "c0ffee00"})
    'https://***@host/x?X-Amz-Signature=***&a=1 ***'
    """
    for name in SECRET_VARIABLES:
        value = environ.get(name, "")
        if len(value) >= _MIN_SECRET:
            text = text.replace(value, "***")
    return _IN_URL.sub(lambda match: f"{match[1]}***@" if match[1] else f"{match[2]}***", text)


def printable(text: str) -> str:
    r"""Write out whatever a terminal would obey instead of showing it, line feeds included.

    Examples
    --------
    >>> printable("data/\x1b[2J\nsound"), printable("Müller’s 40 × 60 px")
    ('data/\\x1b[2J\\nsound', 'Müller’s 40 × 60 px')
    """
    return _OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def amount(count: int) -> str:
    """Write a number of bytes with a decimal unit.

    Examples
    --------
    >>> amount(972081), amount(17)
    ('972.1 kB', '17 B')
    """
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:  # noqa: PLR2004 decimal units
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def counted(count: int, noun: str) -> str:
    """Write how many of something there are; the noun takes an s.

    Examples
    --------
    >>> counted(1, "file"), counted(51891, "event")
    ('1 file', '51,891 events')
    """
    return f"{count:,} {noun}" + "s" * (count != 1)
