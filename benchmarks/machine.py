"""What a result says of the code and the machine: enough to judge a speed, nothing private."""

import os
import platform
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import torch

import scidata


def code_facts() -> dict[str, str | None]:
    """Return scidata's version and, in a checkout, its commit (``-dirty`` if files differ)."""
    return {
        "scidata": scidata.__version__,
        "commit": _commit(Path(scidata.__file__).parents[1]),
    }


def hardware_facts(threads: int) -> dict[str, str | int]:
    """Return processor, cores and versions; neither host name nor user nor environment."""
    return {
        "cpu": _cpu(),
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": len(os.sched_getaffinity(0))
        if sys.platform == "linux"
        else os.cpu_count() or 1,
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def peak_memory_bytes() -> int:
    """Return the largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak if sys.platform == "darwin" else peak * 1024


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _commit(root: Path) -> str | None:
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    found = subprocess.run(  # noqa: S603  # a fixed command on our own folder
        [git, "-C", root, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or None
