"""Scores anew what somebody predicted, beside the baselines, by the task's own measure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from scidata.benchmarks import mllog, predictions
from scidata.benchmarks.harness import Job
from scidata.benchmarks.scoring import MODEL, open_part
from scidata.benchmarks.task import Batch
from scidata.errors import InvalidError

_MOST_MEMORY_MIB, _MOST_BATCH = 512, 4096
_MISTAKES = (ValueError, TypeError, LookupError, RuntimeError)


class Rescorer:
    """Scores the predictions of a job that somebody else ran, on the CPU.

    Parameters
    ----------
    job : Job
        Task, profile and version are ours, the settings may be anybody's.
    """

    def __init__(self, job: Job) -> None:
        settings = job.settings
        # Anybody's settings: they may not ask for more than this machine wants to give.
        bounded = replace(
            settings,
            memory=min(settings.memory, _MOST_MEMORY_MIB),
            score_batch_size=min(settings.score_batch_size, _MOST_BATCH),
        )
        self.job = replace(job, settings=bounded)
        self.task = job.task
        self.setup = self.job.setup(torch.device("cpu"))

    def scores(self, kept: Mapping[str, predictions.Predictions]) -> dict[str, Any]:
        """Return the scores by part, forecaster and measure."""
        found = {part: self._part(part, kept[part]) for part in kept}
        plain: dict[str, Any] = mllog.plain(found)
        return plain

    def _part(self, part: str, kept: predictions.Predictions) -> dict[str, dict[str, float]]:
        stream = open_part(
            self.task, self.setup, part, "score",
            batch_size=self.job.settings.score_batch_size,
        )  # fmt: skip
        if stream.samples != len(kept.ids):  # before memory is spent on all of them
            stream.close()
            raise InvalidError(
                f"{len(kept.ids):,} predictions of {stream.samples:,} samples",
                where=part,
                fix="predict each sample of the part once",
            )
        rows = kept.rows()
        values = torch.from_numpy(kept.values.copy())

        def given(batch: Batch) -> torch.Tensor:
            ids = torch.stack([batch.samples[name] for name in kept.dimensions], dim=1)
            return values[[rows[tuple(each)] for each in ids.tolist()]]

        asked = {MODEL: given, **self.task.baselines(self.setup, part)}
        measures = {name: self.task.measure(self.setup, part) for name in asked}
        try:
            for samples in stream:
                batch = self.task.collate(self.setup, samples)
                for name, forecaster in asked.items():
                    measures[name].update(forecaster(batch), batch)
            return {
                name: {m: float(score) for m, score in measure.compute().items()}
                for name, measure in measures.items()
            }
        except _MISTAKES as error:
            if isinstance(error, InvalidError):
                raise
            raise InvalidError(
                f"the predictions of {part} cannot be scored: {type(error).__name__}",
                where=f"{predictions.FOLDER}/{part}",
                fix="predict each sample of the part once, in the shape the task wants",
            ) from error
        finally:
            stream.close()
