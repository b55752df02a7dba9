"""Scoring: one pass over a part asks the model and its baselines; each has its own measures."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed, nn

from scidata.benchmarks.predictions import Keeper
from scidata.benchmarks.settings import Settings
from scidata.benchmarks.task import Batch, Forecaster, Setup, Task, Use
from scidata.errors import InvalidError
from scidata.loaders.stream import Stream

MODEL = "model"
IMAGE_DIMENSIONS = 4


class Scorer:
    """Scores on any part of the split; every process scores its own share.

    Parameters
    ----------
    fabric : Fabric
        Launched.
    task, setup
    net : nn.Module
        The model itself, without what Fabric wraps around it: shares may differ in their
        number of batches, so nothing here may wait for other processes but the measures.
    step : callable
        Called after each batch.
    """

    def __init__(
        self,
        fabric: Fabric,
        task: Task[Any],
        setup: Setup,
        net: nn.Module,
        step: Callable[[], None],
    ) -> None:
        self._fabric, self._task, self._setup = fabric, task, setup
        self._net, self._step = net, step
        self._streams: dict[str, Stream] = {}

    def stream(self, part: str) -> Stream:
        """Open this process's share of a part."""
        if part not in self._streams:
            mixed = self._task.mixed
            stream = open_part(
                self._task,
                self._setup,
                part,
                "score",
                batch_size=self._setup.settings.score_batch_size,
                shuffle="window" if mixed and mixed(self._setup) else "none",
                rank=self._fabric.global_rank,
                world_size=self._fabric.world_size,
            )
            if stream.samples < self._fabric.world_size:
                raise InvalidError(
                    f"{self._fabric.world_size} devices cannot share {stream.samples} samples",
                    where=f"{self._setup.profile.split}/{part}",
                    fix="give fewer devices",
                )
            self._streams[part] = stream
        return self._streams[part]

    def batches(self, part: str) -> int:
        """Return how many batches this process's share of a part has."""
        return len(self.stream(part))

    def model(self, batch: Batch) -> Tensor:
        """Ask the model, in the precision of the run."""
        inputs = tuple(laid_out(tensor, self._setup.settings) for tensor in batch.inputs)
        with self._fabric.autocast():
            if self._task.predict is not None:
                found = self._task.predict(
                    self._setup, self._net, batch._replace(inputs=inputs)
                )
            else:
                found = self._net(*inputs)
        return found.float() if found.dtype == torch.bfloat16 else found

    def score(
        self, part: str, *, baselines: bool, keeper: Keeper | None = None
    ) -> dict[str, dict[str, float]]:
        """Score the model on a part, and the baselines if wanted; a keeper gets predictions.

        Returns
        -------
        dict
            By forecaster, then by measure; the same in every process.
        """
        asked: dict[str, Forecaster] = {MODEL: self.model}
        if baselines:
            asked |= self._task.baselines(self._setup, part)
        measures = {}
        for name in asked:
            measures[name] = self._task.measure(self._setup, part)
            measures[name].to(self._setup.device)
        self._share_buffers()
        with _evaluating(self._net):
            for samples in self.stream(part):
                batch = self._task.collate(self._setup, self._fabric.to_device(samples))
                for name, forecaster in asked.items():
                    found = forecaster(batch)
                    measures[name].update(found, batch)
                    if keeper is not None and name == MODEL:
                        keeper.take(found, batch)
                self._step()
        self.stream(part).close()
        return {name: _numbers(measure.compute()) for name, measure in measures.items()}

    def _share_buffers(self) -> None:
        """Give every process the first one's running means: each had batches of its own."""
        if self._fabric.world_size > 1:
            for buffer in self._net.buffers():
                distributed.broadcast(buffer, 0)


def open_part(
    task: Task[Any],
    setup: Setup,
    part: str,
    use: Use,
    **order: Any,  # Any: as Dataset.stream takes them
) -> Stream:
    """Open a part of the split with the options that the task has for it."""
    options = task.stream(setup, part, use) if task.stream is not None else {}
    return setup.stream(part, **{**options, **order})


def laid_out(tensor: Tensor, settings: Settings) -> Tensor:
    """Lay out images as the settings say; anything else stays as it is."""
    if settings.channels_last and tensor.dim() == IMAGE_DIMENSIONS:
        return tensor.contiguous(memory_format=torch.channels_last)
    return tensor


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    before = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        net.train(before)


def _numbers(found: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in found.items()}
