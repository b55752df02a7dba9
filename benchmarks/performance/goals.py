"""Goals of a measurement: what was wanted, what was found, and whether that is enough."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One figure and its limit."""

    name: str
    found: float
    sense: Literal["at least", "less than"]
    limit: float
    unit: str
    why: str = ""
    """Why it cannot be reached here, if that is known."""

    @property
    def reached(self) -> bool:
        """Whether the figure keeps to its limit."""
        if self.sense == "at least":
            return self.found >= self.limit
        return self.found < self.limit

    def document(self) -> dict[str, Any]:  # Any: JSON
        """As JSON."""
        return {**vars(self), "reached": self.reached}

    def __str__(self) -> str:
        """As one line."""
        verdict = "reached" if self.reached else "MISSED "
        line = f"{verdict}  {self.name}: {self.found:.2f} {self.unit}"
        line += f" ({self.sense} {self.limit:g} {self.unit})"
        return line if self.reached or not self.why else f"{line}; {self.why}"


def conclude(goals: list[Goal], *, quiet: bool, judged: bool) -> None:
    """Print the goals, and end with 1 if one is missed, where the figures mean something."""
    if not quiet:
        for goal in goals:
            click.echo(str(goal) if judged else f"not judged at this size  {goal.name}")
    raise SystemExit(1 if judged and not all(goal.reached for goal in goals) else 0)


def beneath(allowed_s: float, floor_s: float, acts: str) -> str:
    """Say that a goal allows less time than the acts take one after the other, if it does."""
    if allowed_s >= floor_s:
        return ""
    return f"it allows {allowed_s:.2f} s, and on this machine {acts} alone take {floor_s:.2f} s"


def machine() -> dict[str, Any]:  # Any: JSON
    """Say on what the figures were measured, and how busy it was."""
    return {
        "cpu": cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
        "python": platform.python_version(),
    }


def cpu_model() -> str:
    """Name the processor as the kernel does."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
