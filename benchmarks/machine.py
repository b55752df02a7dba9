"""What a result says of the code and the machine: enough to judge a speed, nothing private."""

import os
import platform
import resource
import shutil
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

import scidata


def code_facts() -> dict[str, str | None]:
    """Return scidata's version and, in a checkout, its commit (``-dirty`` if files differ)."""
    return {
        "scidata": scidata.__version__,
        "commit": _commit(Path(scidata.__file__).parents[1]),
    }


def hardware_facts(threads: int, device: torch.device, devices: int) -> dict[str, str | int]:
    """Return processor, devices and versions; neither host name nor user nor environment."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "devices": devices,
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


class Energy:
    """What a device has used, if its driver counts it."""

    def __init__(self, device: torch.device) -> None:
        self._handle: Any = None  # Any: NVML has no types
        self._nvml: Any = None
        if device.type == "cuda" and find_spec("pynvml") is not None:
            self._nvml = import_module("pynvml")
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlInit()
                uuid = str(torch.cuda.get_device_properties(device).uuid)
                self._handle = self._nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode())

    def joules(self) -> float | None:
        """Return the energy since the driver was loaded; None where nothing tells it."""
        if self._handle is None:
            return None
        try:
            millijoules: int = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        except self._nvml.NVMLError:
            return None  # older devices tell only the power of the moment
        return millijoules / 1000


def peak_device_memory_bytes(device: torch.device) -> int | None:
    """Return the most memory that torch held on a GPU; None where there is none."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
