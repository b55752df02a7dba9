"""The plots of a version's page, drawn once: a version never changes, so they are kept.

What was drawn lies in the site, with its words in ``previews.json`` beside it. It is drawn
again if the version's digest, matplotlib, or how plots look is another.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from scidata.dataset import Dataset
from scidata.digest import Digest
from scidata.formats.text import to_json
from scidata.previews import REVISION, draw_previews
from scidata.site.addresses import page_path
from scidata.site.drawn import Draw, Drawn
from scidata.site.pages import Preview
from scidata.site.sources import Version
from scidata.storage.base import Store
from scidata.warning import warn

FILE = "previews.json"
SCHEMA = "scidata-previews/1"

_MAX_BYTES = 16 * 2**20


def draw_new(store: Store, found: Version) -> tuple[Drawn, ...]:
    """Draw the plots of a version."""
    opened = Dataset(store=store, commit=found.commit)
    return tuple(
        Drawn(
            preview=Preview(
                file=plot.name,
                caption=plot.caption,
                alt=plot.alt,
                width=plot.width,
                height=plot.height,
            ),
            data=plot.image,
        )
        for plot in draw_previews(opened)
    )


def keeping(out: Path, draw_new: Draw = draw_new) -> Draw:
    """Return what takes the plots that a site in `out` has, and draws the others."""

    def draw(store: Store, found: Version) -> Sequence[Drawn]:
        made_by = _made_by(found)
        if made_by is None:
            return ()
        here = out / page_path(found.commit.dataset, found.commit.version)
        kept = _kept(here, made_by)
        return draw_new(store, found) if kept is None else kept

    return draw


def listing(found: Version, drawn: Sequence[Drawn]) -> bytes:
    """Return ``previews.json``: the words of each plot, and what it was drawn from and by."""
    plots = [
        {**asdict(one.preview), "sha256": Digest.of(one.data).hex, "bytes": len(one.data)}
        for one in drawn
    ]
    return to_json({"schema": SCHEMA, "made_by": _made_by(found), "previews": plots})


def _made_by(found: Version) -> dict[str, Any] | None:  # Any: JSON
    try:
        drawn_by = version("matplotlib")
    except PackageNotFoundError:
        warn('no plots are drawn: pip install matplotlib, or "fair-scidata[site]"')
        return None
    return {"digest": found.commit.digest, "revision": REVISION, "matplotlib": drawn_by}


def _kept(here: Path, made_by: dict[str, Any]) -> tuple[Drawn, ...] | None:  # Any: JSON
    """Return the plots that lie there, if they are whole and drawn from and by the same."""
    try:
        document = json.loads(_read(here / FILE))
        if document["schema"] != SCHEMA or document["made_by"] != made_by:
            return None
        drawn = []
        for plot in document["previews"]:
            if "/" in plot["file"]:
                return None
            data = _read(here / plot["file"])
            if Digest.of(data).hex != plot["sha256"]:
                return None
            words = {k: plot[k] for k in ("file", "caption", "alt", "width", "height")}
            drawn.append(Drawn(preview=Preview(**words), data=data))
    except (OSError, ValueError, TypeError, KeyError):  # of another build, or of somebody else
        return None
    return tuple(drawn)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES)
