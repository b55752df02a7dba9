"""Virtual environments of the loaders, and processes in them.

Loaders that agree on their dependencies share one. scidata itself is not installed there: its
checkout is on the path, and of it only what needs numpy alone is imported.
"""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import click

import scidata
from scidata.benchmarks.performance.peers import PEERS
from scidata.benchmarks.performance.runner import Order

TORCH = "torch==2.13.0"
ROOT = Path(scidata.__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended: what it wrote, and why it failed if it did."""

    written: str
    trouble: str


def peer(name: str) -> Any:  # Any: a module of `peers`
    """Import a loader's file."""
    return import_module(f"scidata.benchmarks.performance.peers.{name}")


def make(folder: Path, names: tuple[str, ...]) -> None:
    """Make the environments of these loaders unless they are there."""
    wanted_by: dict[str, set[str]] = {}
    for member in map(peer, PEERS):
        wanted_by.setdefault(member.ENVIRONMENT, set()).update(member.REQUIREMENTS)
    for environment in sorted({peer(name).ENVIRONMENT for name in names} - {""}):
        wanted = wanted_by[environment]
        stamp, text = folder / environment / "requirements", "\n".join(sorted(wanted))
        if stamp.exists() and stamp.read_text() == text:
            continue
        click.echo(f"installing {', '.join(sorted(wanted))}", err=True)
        python = folder / environment / "bin/python"
        subprocess.run(  # noqa: S603 - our own arguments
            [sys.executable, "-m", "venv", "--clear", str(folder / environment)], check=True
        )
        # All at once: a loader's dependencies must not bring another torch.
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([str(python), *install, TORCH, *sorted(wanted)], check=True)  # noqa: S603
        stamp.write_text(text)


def python_of(folder: Path, name: str) -> Path:
    """Return the interpreter of a loader's environment."""
    environment = peer(name).ENVIRONMENT
    return folder / environment / "bin/python" if environment else Path(sys.executable)


def run(
    python: Path, module: str, order: Order, *, limit_s: float, threads: str | None
) -> Ended:
    """Run a module in a session of its own; after the limit all its processes are ended."""
    with tempfile.TemporaryDirectory(prefix="scidata-loaders-") as temporary:
        told, out, log = (Path(temporary) / n for n in ("order.json", "out.jsonl", "log"))
        told.write_text(order.to_json())
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        if threads is not None:
            environ["OMP_NUM_THREADS"] = threads
        name = f"scidata.benchmarks.performance.{module}"
        with log.open("w") as file:
            process = subprocess.Popen(  # noqa: S603 - our own arguments
                [str(python), "-P", "-m", name, str(told), str(out)],
                cwd=temporary,
                env=environ,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
            trouble = _wait(process, limit_s)
        if trouble and trouble != "timed out":
            trouble = _last_words(log) or trouble
        return Ended(written=out.read_text() if out.exists() else "", trouble=trouble)


def _wait(process: "subprocess.Popen[bytes]", limit_s: float) -> str:
    try:
        status = process.wait(timeout=limit_s)
    except subprocess.TimeoutExpired:
        return "timed out"
    else:
        return f"exit status {status}" if status else ""
    finally:
        # Workers may outlive the process, too.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    said = [line for line in lines if "Error" in line or "Fatal" in line] or [
        x for x in lines if x
    ]
    return said[-1][:160] if said else ""
