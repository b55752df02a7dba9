"""What a user should know although nothing failed: a Python warning, shown where they called.

The command line prints these warnings on standard error.
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class ScidataWarning(UserWarning):
    """Something about a version or a store that its reader should know."""


def warn(text: str) -> None:
    """Warn, and point to the line outside scidata that led here."""
    warnings.warn(text, ScidataWarning, stacklevel=_callers_level(sys._getframe()))


@contextmanager
def told(tell: Callable[[str], None]) -> Iterator[None]:
    """Give what is warned of in here to `tell`; other Python warnings go on their way."""
    before = warnings.showwarning
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ScidataWarning)
        try:
            yield
        finally:
            warnings.showwarning = before
            for one in caught:
                if issubclass(one.category, ScidataWarning):
                    tell(str(one.message))
                else:
                    before(one.message, one.category, one.filename, one.lineno)


def _callers_level(frame: FrameType | None) -> int:
    """Count the frames of this package above the innermost, whose level is 1."""
    level = 0
    package = __name__.partition(".")[0]
    while frame is not None and _package(frame) == package:
        frame, level = frame.f_back, level + 1
    return level + 1


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
