"""Numbers as people read them: amounts of bytes, and counted nouns."""


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
