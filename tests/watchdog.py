"""What must be left when a stream has ended: nothing; and an alarm for what does not end."""

import faulthandler
import gc
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

LIMIT_S = 180
SETTLED_S = 5.0


@pytest.fixture
def watched() -> Iterator[None]:
    """Fail a test that hangs, with the stacks of all threads; and one that leaves threads."""

    def ring(number: int, frame: FrameType | None) -> None:
        faulthandler.dump_traceback()
        raise TimeoutError(f"no end after {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(LIMIT_S)
    # Where not even a signal is heard.
    faulthandler.dump_traceback_later(2 * LIMIT_S, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    gc.collect()
    settle(lambda: not own_threads(), own_threads)


def own_threads() -> list[str]:
    """Return the names of the threads of streams."""
    return [t.name for t in threading.enumerate() if t.name.startswith("scidata-")]


def open_files() -> dict[str, str]:
    """Return what each file descriptor of this process is."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except FileNotFoundError:
            continue  # the folder that was just listed
    return found


def settle(done: Callable[[], bool], what: Callable[[], object]) -> None:
    """Wait a little for what ends in the background."""
    until = time.monotonic() + SETTLED_S
    while not done():
        assert time.monotonic() < until, what()
        gc.collect()
        time.sleep(0.02)
