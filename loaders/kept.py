"""What a process says to the worker processes that it keeps from one epoch to the next.

A ``DataLoader`` with ``persistent_workers`` gives its workers the dataset once, when they
begin. What is said later stands in memory that they share.
"""

import multiprocessing
import os
from typing import Any

import torch


class Word:
    """Two numbers in shared memory, written by the process that made it.

    It travels to workers by fork, spawn and forkserver; in a plain pickle it is a copy, which
    nobody writes to.
    """

    def __init__(self, epoch: int) -> None:
        self._owner = os.getpid()
        numbers: Any = torch.tensor([epoch, 0])  # Any: share_memory_ has no types
        self._numbers: torch.Tensor = numbers.share_memory_()

    @property
    def is_own(self) -> bool:
        """Whether this process writes it."""
        return self._owner == os.getpid()

    @property
    def is_heard(self) -> bool:
        """Whether the process that writes it has begun this one."""
        parent = multiprocessing.parent_process()
        return parent is not None and parent.pid == self._owner

    @property
    def epoch(self) -> int:
        """The epoch that was chosen last."""
        return int(self._numbers[0])

    @property
    def loads(self) -> int:
        """How many states were loaded."""
        return int(self._numbers[1])

    def say(self, epoch: int, *, loads: int) -> None:
        """Tell the workers."""
        self._numbers[0], self._numbers[1] = epoch, loads
