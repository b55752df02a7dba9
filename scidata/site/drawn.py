"""What draws the pictures of a version's page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from scidata.site.pages import Preview
from scidata.site.sources import Version
from scidata.storage.base import Store


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A picture and its bytes."""

    preview: Preview
    data: bytes


Draw: TypeAlias = Callable[[Store, Version], Sequence[Drawn]]
"""Draws the previews of a version; the same each time."""


def draw_nothing(store: Store, version: Version) -> Sequence[Drawn]:
    """Draw nothing: for a site without pictures."""
    return ()
