"""The progress bar: rate and time left on standard error."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress


class Bar:
    """A context manager that yields itself: call it with how much is done, and of how much."""

    def __init__(self, title: str, *, unit: str) -> None:
        amounts: list[ProgressColumn] = (
            [DownloadColumn(), TransferSpeedColumn()] if unit == "B" else [MofNCompleteColumn()]
        )
        self._bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *amounts,
            TextColumn("{task.fields[files]}", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(title, total=None, files="")

    def __call__(self, done: int, total: int) -> None:
        """Redraw."""
        self._bar.update(self._task, completed=done, total=total)

    def files(self, done: int, total: int) -> None:
        """Redraw the number of files."""
        self._bar.update(self._task, files=f"{done:,}/{total:,} files")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
