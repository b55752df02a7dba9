"""What use cases take from their process: the clock, chance, who asks, where notes are kept."""

import getpass
import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

STATE = "stores.json"


def state_folder() -> Path:
    """Return the folder of the user's in which scidata keeps notes; it need not exist."""
    import platformdirs

    return Path(platformdirs.user_state_dir("scidata", appauthor=False))


def _user_state() -> Path:
    return state_folder() / STATE


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no environment names the user, and no list of users does
        return f"uid-{os.getuid()}"


def _random_token() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The clock, chance, and who it is."""

    now: Callable[[], datetime] = _utc_now
    token: Callable[[], str] = _random_token
    host: str = field(default_factory=socket.gethostname)
    user: str = field(default_factory=_user_name)
    pid: int = field(default_factory=os.getpid)
    memory: Path = field(default_factory=_user_state)
    """Where it is noted which stores passed the probe."""

    @property
    def time(self) -> str:
        """The time as files have it: UTC, ISO 8601 with ``Z``."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
