"""Where a run computes: Lightning Fabric on one device, on several, or below torchrun.

Processes that scidata starts itself tell the first one's progress and errors through a queue,
so that a mistake of the user is not a traceback of another process.
"""

import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any, TypeAlias

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import multiprocessing
from torch.multiprocessing.spawn import (
    ProcessExitedException,
    ProcessRaisedException,
    start_processes,
)

from scidata import errors
from scidata.benchmarks import torchrun
from scidata.benchmarks.settings import Settings
from scidata.errors import InvalidError, ScidataError, StorageError
from scidata.hashing import Progress

Work: TypeAlias = Callable[[Fabric, Any, Progress], Any]  # Any: what a job is, and gives
"""What every process does: takes its Fabric, a job and whom to tell the progress."""

_PRECISION = {"32": "32-true", "bf16": "bf16-mixed"}


def launch(settings: Settings, work: Work, job: object, progress: Progress) -> Any:
    """Do the work on the devices that the settings ask for; return what the first process gave.

    Raises
    ------
    InvalidError
        If there are no such devices, or the job cannot be sent to other processes.
    ScidataError
        As the work raises it, in whichever process.
    StorageError
        If a process ended without saying why.
    """
    if torchrun.is_below() or settings.devices == 1:
        return work(_fabric(settings), job, progress)
    _require_portable(job)
    queue = multiprocessing.get_context("spawn").SimpleQueue()
    told = _Told(progress)
    listener = Thread(target=told.listen, args=(queue,), daemon=True)
    listener.start()
    try:
        start: Any = start_processes  # Any: it has no types
        start(
            _be_process,
            args=(settings, work, job, (queue, _free_port())),
            nprocs=settings.devices,
            start_method="spawn",
        )
    except (ProcessRaisedException, ProcessExitedException) as error:
        ended = str(error).strip().splitlines()[-1]
    else:
        ended = ""
    finally:
        queue.put(("end", None))
        listener.join()
    if told.error is not None:
        raise told.error
    if ended:
        raise StorageError(
            f"a training process ended: {ended}",
            where=f"{settings.devices} devices",
            fix="run the same command again to continue from the last checkpoint",
        )
    return told.result


def _fabric(settings: Settings) -> Fabric:
    """Return a Fabric that has met the other processes, if there are any."""
    # It tells everybody of every process that joins.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    local, nodes = settings.devices, 1
    if torchrun.is_below():
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // local
    precision: Any = _PRECISION[settings.precision]  # Any: a literal of Fabric's
    try:
        fabric = Fabric(
            accelerator=settings.device,
            devices=local,
            num_nodes=nodes,
            strategy="ddp" if torchrun.is_below() or settings.devices > 1 else "auto",
            precision=precision,
            # Else a job below Slurm would wait for processes that nobody starts.
            plugins=None if torchrun.is_below() else [LightningEnvironment()],
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise InvalidError(
            f"there is no such device: {str(error).splitlines()[0]}",
            where=f"device {settings.device}, devices {settings.devices}",
            fix="give --device cpu, or as many devices as there are",
        ) from error
    fabric.launch()
    return fabric


def _be_process(
    rank: int,
    settings: Settings,
    work: Work,
    job: object,
    meeting: tuple[Any, int],  # Any: multiprocessing's queue; and a port
) -> None:
    """Do the work in a process that `launch` started."""
    queue, port = meeting
    # As a launcher's environment says it; Fabric takes it from there.
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(settings.devices),
        "LOCAL_RANK": str(rank),
    }

    def tell(done: int, total: int) -> None:
        if rank == 0:
            queue.put(("progress", (done, total)))

    try:
        found = work(_fabric(settings), job, tell)
    except ScidataError as error:
        parts = {"message": error.message, "where": error.where, "fix": error.fix}
        queue.put((type(error).__name__, parts))
        raise
    if rank == 0:
        queue.put(("result", found))


class _Told:
    """What the processes say through their queue."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.result: Any = None  # Any: what the work gives
        self.error: ScidataError | None = None

    def listen(self, queue: Any) -> None:  # Any: multiprocessing's
        while (told := queue.get())[0] != "end":
            kind, content = told
            if kind == "progress":
                self._progress(*content)
            elif kind == "result":
                self.result = content
            else:
                # The first one: the others fail because that process is gone.
                self.error = self.error or _error(kind, content)


def _error(name: str, parts: Mapping[str, str]) -> ScidataError:
    kind: type[ScidataError] = getattr(errors, name)
    return kind(**parts)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _require_portable(job: object) -> None:
    try:
        pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InvalidError(
            f"the task cannot be sent to other processes: {error}",
            where="devices",
            fix="define its functions in a module, or start the script with torchrun",
        ) from error


@contextmanager
def seeded(settings: Settings, device: torch.device) -> Iterator[None]:
    """Seed torch and set its threads, and leave both as they were for the caller."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        torch.set_num_threads(settings.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
