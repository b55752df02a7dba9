"""What the name of a Sentinel-3 SLSTR Level-1 file says. Pure.

Source: Sentinel-3 PDGS file naming convention (EUMETSAT, EUM/LEO-SEN3/SPE/10/0070).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_NAME = re.compile(
    r"(?P<mission>S3[A-D_])_SL_1_RBT____"
    r"(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})_(?P<created>\d{8}T\d{6})_"
    r"(?P<duration>\d{4})_(?P<cycle>\d{3})_(?P<orbit>\d{3})_(?P<frame>\d{4})_"
    r"(?P<centre>[A-Z0-9]{3})_(?P<platform>[A-Z])_(?P<timeliness>[A-Z]{2})_"
    r"(?P<baseline>[A-Z0-9_]{3})",
    re.ASCII,
)


@dataclass(frozen=True, kw_only=True)
class SceneName:
    """A file name, parsed."""

    stem: str
    """The name without its suffix: the id of the scene."""
    mission: str
    """``S3A`` or ``S3B``."""
    start: datetime
    """First line of the frame, UTC."""
    stop: datetime
    created: datetime
    """When the product was processed."""
    duration_s: int
    cycle: int
    """Of 385 orbits, 27 days."""
    orbit: int
    """Within the cycle."""
    frame: int
    """Along-track coordinate of the frame."""
    centre: str
    timeliness: str
    """``NR`` near real time, ``NT`` not time critical."""
    baseline: str

    @property
    def passage(self) -> str:
        """The orbit that the frame is of: neighbouring frames share it."""
        return f"{self.mission}/{self.cycle:03d}/{self.orbit:03d}"


def parse_name(name: str) -> SceneName | None:
    """Read a file name such as ``S3A_SL_1_RBT____20191001T113221_….hdf``.

    Returns
    -------
    SceneName or None
        None if it is no name of an SLSTR Level-1 file, or names a day that does not exist.
    """
    match = _NAME.match(name)
    if match is None:
        return None
    rest = name[match.end() :]
    if rest and not rest.startswith("."):
        return None
    try:
        start, stop, created = (_moment(match[part]) for part in ("start", "stop", "created"))
    except ValueError:
        return None
    return SceneName(
        stem=match[0],
        mission=match["mission"],
        start=start,
        stop=stop,
        created=created,
        duration_s=int(match["duration"]),
        cycle=int(match["cycle"]),
        orbit=int(match["orbit"]),
        frame=int(match["frame"]),
        centre=match["centre"],
        timeliness=match["timeliness"],
        baseline=match["baseline"],
    )


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
