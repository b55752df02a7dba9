"""What a process, its children and everybody else spent, read from Linux's /proc."""

import os
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
BUSY = (0, 1, 2, 5, 6, 7)
"""Columns of /proc/stat: user, nice, system, irq, softirq, steal."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Counters at one moment; the difference of two is what was spent between them."""

    own_s: float
    """CPU seconds of this session's processes, with those that ended."""
    server_s: float
    machine_s: float
    loopback_bytes: int
    requests: int | None

    def since(self, before: "Reading") -> dict[str, float | int | None]:
        """Return what was spent; `others_s` is CPU of processes that are not ours."""
        own, server = self.own_s - before.own_s, self.server_s - before.server_s
        both = self.requests is not None and before.requests is not None
        return {
            "cpu_s": own,
            "server_cpu_s": server,
            "others_cpu_s": max(0.0, self.machine_s - before.machine_s - own - server),
            "loopback_bytes": self.loopback_bytes - before.loopback_bytes,
            "requests": (self.requests or 0) - (before.requests or 0) - 1 if both else None,
        }


def read(servers: Iterable[int], status_url: str | None) -> Reading:
    """Read the counters; `servers` are the sessions of the server's processes."""
    sessions = _cpu_by_session()
    return Reading(
        own_s=sessions.get(os.getsid(0), 0.0),
        server_s=sum(sessions.get(server, 0.0) for server in servers),
        machine_s=_machine_s(),
        loopback_bytes=_loopback_bytes(),
        requests=None if status_url is None else _requests(status_url),
    )


def peak_bytes() -> int:
    """Return the sum of the peaks of this session's living processes, shared pages in each."""
    own, total = os.getsid(0), 0
    for pid in _pids():
        if (fields := _stat(pid)) and int(fields[3]) == own:
            total += _peak_of(pid)
    return total


def _cpu_by_session() -> dict[int, float]:
    spent: dict[int, float] = {}
    for pid in _pids():
        if fields := _stat(pid):
            session = int(fields[3])
            ticks = sum(int(value) for value in fields[11:15])
            spent[session] = spent.get(session, 0.0) + ticks * TICK_S
    return spent


def _pids() -> list[str]:
    return [entry.name for entry in PROC.iterdir() if entry.name.isdigit()]


def _stat(pid: str) -> list[str] | None:
    """Return the fields after the name, which itself may hold spaces; None if it is gone."""
    try:
        return (PROC / pid / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _peak_of(pid: str) -> int:
    try:
        lines = (PROC / pid / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith("VmHWM")), 0)


def _machine_s() -> float:
    fields = (PROC / "stat").read_text().splitlines()[0].split()[1:]
    return sum(int(fields[column]) for column in BUSY) * TICK_S


def _loopback_bytes() -> int:
    lines = (PROC / "net/dev").read_text().splitlines()
    return next(int(x.split()[1]) for x in lines if x.strip().startswith("lo:"))


def _requests(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own nginx
        return int(answer.read().split()[9])
