"""Where a stream's time goes, counted while it runs; a training loop may read it any time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Stage = Literal["fetch", "decode", "assemble", "wait"]


@dataclass(frozen=True)
class Meter:
    """Counts since the stream was made, or since `Gauge.reset`."""

    samples: int = 0
    batches: int = 0
    bytes: int = 0
    """Of batches, as tensors."""
    fetched: int = 0
    """Bytes that came from the store."""
    requests: int = 0
    fetch_s: float = 0.0
    """Seconds of all requests together; many are under way at once."""
    decode_s: float = 0.0
    """Seconds of all decoding threads together."""
    assemble_s: float = 0.0
    """Seconds in which batches were put together."""
    wait_s: float = 0.0
    """Seconds in which the loop that asked for a batch waited for it."""
    first_batch_s: float = 0.0
    """From the beginning of the iteration to its first batch."""
    elapsed_s: float = 0.0
    """Since the first iteration began."""

    @property
    def stall(self) -> float:
        """Share of the elapsed time in which the loop waited for data, 0 to 1."""
        return self.wait_s / self.elapsed_s if self.elapsed_s else 0.0

    def to_json(self) -> dict[str, float]:
        """Return the counts, and the stall beside them."""
        return {**asdict(self), "stall": self.stall}


class Gauge:
    """Adds up what several threads report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._counts: dict[str, Any] = {}  # Any: whole numbers and seconds
            self._began: float | None = None

    def add(self, **counts: float) -> None:
        """Add to some counts."""
        with self._lock:
            for name, value in counts.items():
                self._counts[name] = self._counts.get(name, 0) + value

    def begin(self) -> float:
        """Mark the beginning of an iteration."""
        now = time.perf_counter()
        with self._lock:
            if self._began is None:
                self._began = now
        return now

    def first(self, begin: float) -> None:
        """Say that an iteration that began then has its first batch."""
        took = time.perf_counter() - begin
        with self._lock:
            self._counts["first_batch_s"] = took

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Add the seconds that the block takes."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.add(**{f"{stage}_s": time.perf_counter() - begin})

    def read(self) -> Meter:
        """Return the counts."""
        with self._lock:
            began, counts = self._began, dict(self._counts)
        elapsed = 0.0 if began is None else time.perf_counter() - began
        return replace(Meter(elapsed_s=elapsed), **counts)

    def __getstate__(self) -> dict[str, object]:
        """Another process counts for itself."""
        return {}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Begin at nothing."""
        self.__init__()  # type: ignore[misc]  # a lock cannot travel
