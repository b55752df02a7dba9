"""The loop: epochs, evaluations and checkpoints of one process; several do it in step."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed, nn

from scidata.benchmarks.machine import Energy
from scidata.benchmarks.mllog import Log
from scidata.benchmarks.runs import Checkpoints
from scidata.benchmarks.scoring import MODEL, Scorer, laid_out, open_part
from scidata.benchmarks.settings import Settings
from scidata.benchmarks.task import Evaluations, Setup, Task
from scidata.errors import InvalidError
from scidata.loaders.stream import Stream


@dataclass(kw_only=True)
class State:
    """How far training has come: plain values, saved in every checkpoint."""

    epoch: int = 0
    """Epochs done."""
    step: int = 0
    """Steps done, over all epochs."""
    loss_sum: float = 0.0
    """Of the epoch under way, times samples, of all processes."""
    loss_samples: int = 0
    samples: int = 0
    """Trained on, over all epochs and processes."""
    train_s: float = 0.0
    wait_s: float = 0.0
    """Of `train_s`: waiting for a batch."""
    evaluate_s: float = 0.0
    joules: float | None = None
    """Of the devices while training; None where nothing tells it."""
    curve: list[dict[str, Any]] = field(default_factory=list)  # Any: JSON
    """One entry an epoch."""
    best: float | None = None
    """Score of the best evaluation."""
    best_epoch: int | None = None
    waited: int = 0
    """Evaluations since the best one."""
    target_s: float | None = None
    """Seconds of training and evaluating until the target was reached."""
    ended: str = ""
    """Why training ended before its last epoch: ``target`` or ``patience``."""


class Training:
    """One run's training, on this process's device.

    Parameters
    ----------
    fabric : Fabric
        Launched.
    task, setup
    checkpoints : Checkpoints
    log : Log
    tell : callable
        Told how many batches more are done, of training and of scoring.
    """

    def __init__(
        self,
        fabric: Fabric,
        task: Task[Any],
        setup: Setup,
        *,
        checkpoints: Checkpoints,
        log: Log,
        tell: Callable[[int], None],
    ) -> None:
        self.fabric, self.task, self.setup = fabric, task, setup
        self.settings, self.state = setup.settings, State()
        self.checkpoints, self.log, self._tell = checkpoints, log, tell
        self.net = task.model(setup)
        if self.settings.channels_last:
            _lay_out(self.net)
        # Any: what Fabric wraps around a model or an optimizer is not of its type.
        model: Any = torch.compile(self.net) if self.settings.compile else self.net
        self._model: Any
        self._optimizer: Any
        self._model, self._optimizer = fabric.setup(
            model, optimizer_of(self.net, self.settings)
        )
        self.scorer = Scorer(fabric, task, setup, self.net, lambda: tell(1))
        self.stream = training_stream(task, setup, fabric.global_rank, fabric.world_size)
        self.steps = len(self.stream)
        """Of an epoch."""
        self._best: dict[str, Tensor] | None = None
        self._energy = Energy(fabric.device)
        if fabric.global_rank:
            # Each process drops out other neurons; the first one those of a process alone.
            torch.manual_seed((self.settings.seed + fabric.global_rank * 0x9E3779B9) % 2**63)

    @property
    def parameters(self) -> int:
        """Number of the model's parameters that are trained."""
        return sum(p.numel() for p in self.net.parameters() if p.requires_grad)

    def run(self) -> State:
        """Train to the end, from where `restore` left it."""
        state, validate = self.state, self.setup.profile.validate
        while state.epoch < self.settings.epochs and not state.ended:
            number = state.epoch + 1
            if state.step == state.epoch * self.steps:
                self.log.start("epoch_start", epoch_num=number)
            self._epoch()
            self.log.stop("epoch_stop", epoch_num=number)
            entry = self._entry(number)
            if self._is_evaluated(number):
                entry[validate] = self._evaluate(number)
            state.curve.append(entry)
            state.epoch, state.loss_sum, state.loss_samples = number, 0.0, 0
            self._save(None)
        if self.settings.keep == "best" and self._best is not None:
            self.net.load_state_dict(self._best)
        self.stream.close()
        return state

    def restore(self) -> bool:
        """Take up the last checkpoint; say whether there was one."""
        content = self.checkpoints.read()
        if content is None:
            return False
        rank = self.fabric.global_rank
        with self.checkpoints.understood():
            self.state = State(**content["state"])
            self.net.load_state_dict(content["model"])
            self._optimizer.load_state_dict(content["optimizer"])
            self._best = content["best"]
            if content["stream"] is not None:
                self.stream.load_state_dict(content["stream"])
            torch.set_rng_state(content["random"][rank])
            if self.fabric.device.type == "cuda":
                torch.cuda.set_rng_state(content["random_cuda"][rank], self.fabric.device)
            self.log.restart(int(content["log"]))
        validate = self.setup.profile.validate
        evaluated = sum(validate in entry for entry in self.state.curve)
        self._tell(self.state.step + (evaluated and evaluated * self.scorer.batches(validate)))
        return True

    def evaluations(self) -> int:
        """Return how many there are if training does not end early."""
        return sum(self._is_evaluated(n) for n in range(1, self.settings.epochs + 1))

    def _epoch(self) -> None:
        """Do what is left of an epoch."""
        self.stream.set_epoch(self.state.epoch)
        self._model.train()
        every = self.settings.checkpoint_every
        stretch = _Stretch(self.fabric, self._energy)
        for wait_s, samples in _timed(self.stream):
            loss, size = self._step(samples)
            stretch.add(loss, size, wait_s)
            self.state.step += 1
            self._tell(1)
            if every and self.state.step % every == 0 and self.state.step % self.steps:
                stretch.enter(self.state)
                self._save(self.stream.state_dict())
                stretch = _Stretch(self.fabric, self._energy)
        stretch.enter(self.state)

    def _step(self, samples: dict[str, Tensor]) -> tuple[Tensor, int]:
        batch = self.task.collate(self.setup, self.fabric.to_device(samples))
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self._optimizer.zero_grad(set_to_none=True)
        inputs = (laid_out(tensor, self.settings) for tensor in batch.inputs)
        loss = self.task.loss(self.setup, self._model(*inputs), batch)
        self.fabric.backward(loss)
        if self.settings.clip:
            self.fabric.clip_gradients(
                self._model,
                self._optimizer,
                max_norm=self.settings.clip,
                error_if_nonfinite=False,
            )
        self._optimizer.step()
        return loss.detach(), batch.size

    def _learning_rate(self) -> float:
        state, profile, metric = self.state, self.setup.profile, self.task.metric
        seen = [entry.get(profile.validate, {}).get(metric) for entry in state.curve]
        schedule = self.task.schedule or learning_rate
        return schedule(self.settings, state.step / self.steps, seen)

    def _entry(self, number: int) -> dict[str, Any]:  # Any: JSON
        state = self.state
        return {
            "epoch": number,
            "step": state.step,
            "samples": state.samples,
            "seconds": round(state.train_s + state.evaluate_s, 3),
            "learning_rate": self._optimizer.param_groups[0]["lr"],
            "loss": state.loss_sum / max(state.loss_samples, 1),
        }

    def _is_evaluated(self, number: int) -> bool:
        """Say whether an epoch ends with an evaluation: the last one does, if any."""
        every = self.settings.evaluate_every
        return bool(every) and (number % every == 0 or number == self.settings.epochs)

    def _evaluate(self, number: int) -> dict[str, float]:
        """Score the model on the part that training is watched on; maybe end training."""
        state, task, begin = self.state, self.task, perf_counter()
        self.log.start("eval_start", epoch_num=number)
        found = self.scorer.score(self.setup.profile.validate, baselines=False)[MODEL]
        score = found[task.metric]
        self.log.point("eval_accuracy", score, epoch_num=number, metric=task.metric)
        self.log.stop("eval_stop", epoch_num=number)
        state.evaluate_s += perf_counter() - begin
        if task.is_better(score, state.best):
            state.best, state.best_epoch, state.waited = score, number, 0
            if self.settings.keep == "best":
                held = self.net.state_dict()
                self._best = {k: v.detach().cpu().clone() for k, v in held.items()}
        else:
            state.waited += 1
        if task.reaches(score, self.setup.profile.target):
            if state.target_s is None:
                state.target_s = round(state.train_s + state.evaluate_s, 3)
            if self.settings.stop_at_target:
                state.ended = "target"
        if not state.ended and 0 < self.settings.patience <= state.waited:
            state.ended = "patience"
        return found

    def _save(self, stream: dict[str, Any] | None) -> None:  # Any: as the stream has it
        """Write a checkpoint; `stream` says where in the epoch it is, None that it is over."""
        device = self.fabric.device
        random, random_cuda = self._of_all(torch.get_rng_state()), list[Tensor]()
        if device.type == "cuda":
            random_cuda = self._of_all(torch.cuda.get_rng_state(device))
        if self.fabric.global_rank == 0:
            self.checkpoints.save(
                {
                    "state": asdict(self.state),
                    "model": self.net.state_dict(),
                    "best": self._best,
                    "optimizer": self._optimizer.state_dict(),
                    "stream": stream,
                    "random": random,
                    "random_cuda": random_cuda,
                    "log": self.log.size,
                }
            )

    def _of_all(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensor of every process."""
        if self.fabric.world_size == 1:
            return [tensor]
        mine = tensor.to(self.fabric.device)
        gathered = [torch.empty_like(mine) for _ in range(self.fabric.world_size)]
        distributed.all_gather(gathered, mine)
        return [each.cpu() for each in gathered]


class _Stretch:
    """Steps between two checkpoints: their losses stay on the device until the end."""

    def __init__(self, fabric: Fabric, energy: Energy) -> None:
        self._fabric, self._energy = fabric, energy
        self._begin, self._joules = perf_counter(), energy.joules()
        # Float64 where there is: same-seed runs compare the last digit.
        kind = torch.float32 if fabric.device.type == "mps" else torch.float64
        self._losses = torch.zeros((), dtype=kind, device=fabric.device)
        self._samples, self._wait_s = 0, 0.0

    def add(self, loss: Tensor, size: int, wait_s: float) -> None:
        self._losses += loss.to(self._losses.dtype) * size
        self._samples += size
        self._wait_s += wait_s

    def enter(self, state: State) -> None:
        """Add what was counted, over all processes, to the state."""
        total: Any = self._fabric.all_reduce(self._losses, reduce_op="sum")
        samples = self._samples * self._fabric.world_size
        state.loss_sum += float(total)
        state.loss_samples += samples
        state.samples += samples
        state.train_s += perf_counter() - self._begin
        state.wait_s += self._wait_s
        joules = self._energy.joules()
        if joules is not None and self._joules is not None:
            state.joules = (state.joules or 0.0) + joules - self._joules
        if not math.isfinite(state.loss_sum):
            raise InvalidError(
                f"the loss is not a number in epoch {state.epoch + 1}",
                where=f"step {state.step}",
                fix="give a smaller learning_rate, or clip gradients: --set clip=1",
            )


def learning_rate(settings: Settings, epochs: float, seen: Evaluations = ()) -> float:
    """Return the learning rate when so many epochs are done; evaluations do not change it.

    Examples
    --------
    >>> half = Settings(model="", epochs=2, batch_size=1, learning_rate=1.0, decay=0.5)
    >>> learning_rate(half, 0.0), learning_rate(half, 2.0)
    (1.0, 0.5)
    """
    left = (1 + math.cos(math.pi * min(epochs / settings.epochs, 1.0))) / 2
    rising = min(epochs / settings.warmup, 1.0) if settings.warmup else 1.0
    return settings.learning_rate * rising * (settings.decay + (1 - settings.decay) * left)


def optimizer_of(net: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Make the optimizer that the settings name."""
    lr, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            net.parameters(), lr=lr, momentum=settings.momentum, weight_decay=decay
        )
    kind: type[torch.optim.Adam | torch.optim.AdamW | torch.optim.Adamax] = {
        "adamw": torch.optim.AdamW,
        "adamax": torch.optim.Adamax,
    }.get(settings.optimizer, torch.optim.Adam)
    return kind(net.parameters(), lr=lr, weight_decay=decay)


def training_stream(task: Task[Any], setup: Setup, rank: int, world_size: int) -> Stream:
    """Open one process's share of the training part: full batches, as many for each.

    Raises
    ------
    InvalidError
        If the batch cannot be shared evenly, or is more than the training part.
    """
    settings, part = setup.settings, setup.profile.parts[0]
    if settings.batch_size % world_size:
        raise InvalidError(
            f"batch_size {settings.batch_size} cannot be shared by {world_size} devices",
            where="settings",
            fix=f"give a multiple of {world_size}",
        )
    stream = open_part(
        task,
        setup,
        part,
        "train",
        batch_size=settings.batch_size // world_size,
        shuffle=settings.shuffle,
        seed=settings.seed,
        rank=rank,
        world_size=world_size,
        last="drop",
    )
    if not len(stream):
        raise InvalidError(
            f"batch_size {settings.batch_size} is more than the {stream.samples} samples",
            where=f"{setup.profile.split}/{part}",
            fix=f"--set batch_size={max(stream.samples // world_size * world_size, 1)}",
        )
    return stream


def _timed(batches: Iterable[dict[str, Tensor]]) -> Iterator[tuple[float, dict[str, Tensor]]]:
    """Yield how long each batch was waited for, and the batch."""
    iterator = iter(batches)
    while True:
        begin = perf_counter()
        batch = next(iterator, None)
        if batch is None:
            return
        yield perf_counter() - begin, batch


def _lay_out(net: nn.Module) -> None:
    # torch types this overload of Module.to without the keyword alone.
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
