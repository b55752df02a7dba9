"""Scores of masks: how predicted cloud agrees with a label and, if known, with the truth."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric

CLIP = 16.118
"""Logit of 1 - 1e-7: the reference code clips probabilities there."""
_LABEL, _TRUTH = 0, 1
_NIGHT, _DAY = 0, 1


def weighted_bce(logits: Tensor, target: Tensor, beta: float) -> Tensor:
    """Binary cross-entropy in which cloud weighs `beta`; the mean over all pixels.

    Parameters
    ----------
    logits, target : any shape, float32
        `target` is 1 where there is cloud, else 0.
    beta : float
        1 is plain cross-entropy.

    Notes
    -----
    Source: reference code of the MLCommons Science benchmark CloudMask, with x the logit:
    mean[(1 - y) x + (1 + (beta - 1) y) (ln(1 + exp(-|x|)) + max(-x, 0))].
    """
    x = logits.clamp(-CLIP, CLIP)
    weight = 1 + (beta - 1) * target
    rest = torch.log1p(torch.exp(-x.abs())) + torch.relu(-x)
    return ((1 - target) * x + weight * rest).mean()


class MaskScores(Metric):
    """Accuracy, IoU, F1 and both cross-entropies, of all pixels and by day and by night.

    Parameters
    ----------
    beta : float
        Weight of cloud in the weighted cross-entropy.
    """

    full_state_update = False
    counts: Tensor
    losses: Tensor
    pixels: Tensor

    def __init__(self, beta: float) -> None:
        super().__init__()
        self._beta = beta
        # Of label or truth, by night or day, what is there, what was predicted.
        counts = torch.zeros(2, 2, 2, 2, dtype=torch.int64)
        self.add_state("counts", counts, dist_reduce_fx="sum")
        self.add_state("losses", torch.zeros(2), dist_reduce_fx="sum")
        self.add_state("pixels", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self, logits: Tensor, target: Tensor, day: Tensor, truth: Tensor | None = None
    ) -> None:
        """Take in a batch.

        Parameters
        ----------
        logits : (B, H, W) float32
        target : (B, H, W)
            The label: 1 where there is cloud.
        day : (B,)
            1 of images by day.
        truth : (B, H, W), optional
            1 where there is cloud in truth.
        """
        cloud = logits > 0
        self._count(_LABEL, target, cloud, day)
        if truth is not None:
            self._count(_TRUTH, truth, cloud, day)
        size, wanted = target.numel(), target.float()
        plain = functional.binary_cross_entropy_with_logits(logits.clamp(-CLIP, CLIP), wanted)
        weighted = weighted_bce(logits, wanted, self._beta)
        self.losses += size * torch.stack([plain, weighted])
        self.pixels += size

    def compute(self) -> dict[str, float]:
        """Return the scores.

        Returns
        -------
        dict
            Those of the truth only where there was any; of a stratum without pixels, or an IoU
            or F1 without any cloud there or predicted, not a number.
        """
        plain, weighted = (self.losses / self.pixels).tolist()
        found = dict(_named("", self.counts[_LABEL]))
        found |= {"BCE": plain, "WBCE": weighted}
        if self.counts[_TRUTH].any():
            found |= dict(_named(" against the truth", self.counts[_TRUTH]))
        return found

    def _count(self, kind: int, there: Tensor, cloud: Tensor, day: Tensor) -> None:
        strata = (day != 0).long().reshape(-1, 1, 1).expand_as(cloud)
        cells = (strata * 2 + (there != 0).long()) * 2 + cloud.long()
        self.counts[kind] += torch.bincount(cells.flatten(), minlength=8).reshape(2, 2, 2)


def _named(suffix: str, counts: Tensor) -> Iterator[tuple[str, float]]:
    for name, held in (
        ("", counts.sum(dim=0)),
        (", day", counts[_DAY]),
        (", night", counts[_NIGHT]),
    ):
        (clear, false), (missed, hit) = held.tolist()
        total = clear + false + missed + hit
        yield f"accuracy{suffix}{name}", _share(clear + hit, total)
        yield f"IoU{suffix}{name}", _share(hit, hit + false + missed)
        yield f"F1{suffix}{name}", _share(2 * hit, 2 * hit + false + missed)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
