"""The figures of the loaders' measurements as one document, and as tables for a person."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import click

from scidata.benchmarks.performance.peers import Terms

Epoch = dict[str, Any]  # Any: JSON
OURS = "scidata_stream"
MAX_PEAK_MB, MAX_FIRST_BATCH_S = 1000, 1


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the machine can do at most, in bytes a second."""

    raw_get: float
    decode: float
    memcpy: float


@dataclass(kw_only=True)
class Row:
    """One variant of one loader on one workload; a list of epochs for each fresh process."""

    loader: str
    variant: str
    workload: str
    terms: Terms
    codec: str
    array_bytes: int
    """Decoded, of the whole workload."""
    stored_bytes: int
    """As it lies on the server."""
    runs: list[list[Epoch]] = field(default_factory=list)
    trouble: str = ""

    @property
    def firsts(self) -> list[Epoch]:
        """The first epoch of each process: nothing is cached, and opening counts."""
        return [run[0] for run in self.runs if run]

    @property
    def laters(self) -> list[Epoch]:
        """All other epochs."""
        return [epoch for run in self.runs for epoch in run[1:]]

    @property
    def cold(self) -> list[Epoch]:
        """The epochs that came from the server."""
        return self.firsts if self.terms.later == "cache" else [*self.firsts, *self.laters]


def summary(row: Row, limits: Limits) -> dict[str, Any]:  # Any: JSON
    """Return the figures of a row: medians."""
    every = [*row.firsts, *row.laters]
    return {
        "loader": row.loader,
        "variant": row.variant,
        "workload": row.workload,
        "trouble": "; ".join(part for part in (row.trouble, miscounted(every)) if part),
        "shuffle": row.terms.reach(row.workload),
        "crops": row.terms.crops if row.workload == "W1" else None,
        "codec": row.codec,
        "later_epochs_from": row.terms.later,
        "whole_epochs": all(epoch["whole"] for epoch in every),
        "first_samples_per_s": median(row.firsts, _rate),
        "later_samples_per_s": median(row.laters, _rate),
        "first_MB_per_s": median(row.firsts, _speed),
        "later_MB_per_s": median(row.laters, _speed),
        "first_batch_s": median(row.firsts, lambda e: e["first_batch_s"]),
        "first_cpu_s_per_GB": median(row.firsts, _cpu),
        "later_cpu_s_per_GB": median(row.laters, _cpu),
        "peak_MB": max((e["peak_bytes"] / 1e6 for e in every), default=None),
        "others_cpu_s": max((e["others_cpu_s"] for e in every), default=None),
        "served_MB_per_epoch": median(row.cold, lambda e: e["loopback_bytes"] / 1e6),
        "requests_per_epoch": median(row.cold, lambda e: e["requests"]),
        "share_of_raw_get": median(
            row.cold, lambda e: row.stored_bytes * _pace(e) / limits.raw_get
        ),
        "share_of_decode": median(
            row.cold, lambda e: row.array_bytes * _pace(e) / limits.decode
        ),
        "runs": row.runs,
    }


def miscounted(epochs: list[Epoch]) -> str:
    """Say if a whole epoch has other samples, or fewer bytes, than the workload."""
    for epoch in epochs:
        if epoch["whole"] and epoch["samples"] != epoch["wanted"]:
            return f"{epoch['samples']} samples instead of {epoch['wanted']}"
        if epoch["whole"] and epoch["bytes"] < epoch["wanted_bytes"]:
            return f"{epoch['bytes']} bytes instead of {epoch['wanted_bytes']}"
    return ""


def goals(summaries: list[dict[str, Any]]) -> dict[str, bool]:  # Any: JSON
    """Say which goals are met, of those whose two sides were measured."""
    found = {
        (s["workload"], s["loader"], s["variant"]): s
        for s in summaries
        if s["first_samples_per_s"] is not None
    }
    met: dict[str, bool] = {}
    for name in sorted({key[0] for key in found}):
        rows = {key[1:]: s for key, s in found.items() if key[0] == name}
        ours = rows.get((OURS, "window"))
        if ours is not None:
            met |= dict(_window_goals(name, ours, rows))
        exact, other = rows.get((OURS, "exact")), rows.get(("tensor_store", "global"))
        if name == "W1" and exact and other:
            ratio = exact["first_samples_per_s"] / other["first_samples_per_s"]
            met["W1 exact at least as fast as tensorstore"] = ratio >= 1
    return met


def _window_goals(
    name: str, ours: dict[str, Any], rows: dict[tuple[str, str], dict[str, Any]]
) -> Iterator[tuple[str, bool]]:
    peers = {key: s for key, s in rows.items() if key[0] != OURS}
    first = "first_samples_per_s"
    times = 1.5 if ours["codec"] == "zstd" and name != "W3" else 2
    if peers:
        best = max(s[first] for s in peers.values())
        yield f"{name} first epoch {times} x the best peer", ours[first] >= times * best
        least = min(s["first_cpu_s_per_GB"] for s in peers.values())
        spent = ours["first_cpu_s_per_GB"]
        yield f"{name} CPU s/GB below every peer's", spent < least
    habit = max((s[first] for key, s in peers.items() if key[0] == "zarr_s3fs"), default=None)
    if habit is not None:
        yield f"{name} 15 x zarr + s3fs", ours[first] >= 15 * habit
    cached = [s["later_samples_per_s"] for s in peers.values() if _cached(s)]
    later = ours["later_samples_per_s"]
    if cached and later is not None and name in ("W1", "W2"):
        wanted = 1.0 if name == "W1" else 1.5
        yield f"{name} later {wanted} x the best local cache", later >= wanted * max(cached)
    yield f"{name} peak at most 1 GB", ours["peak_MB"] <= MAX_PEAK_MB
    yield f"{name} first batch within 1 s", ours["first_batch_s"] <= MAX_FIRST_BATCH_S


def print_tables(document: dict[str, Any]) -> None:  # Any: JSON
    """Print a table for each workload."""
    for name, limits in document["limits"].items():
        click.echo(
            f"\n{name}, scale {document['scale']:g}, published codec {document['codec']}, "
            f"{document['latency_ms']:g} ms added to requests: raw GET "
            f"{limits['raw_get'] / 1e6:.0f} MB/s, decoding on two threads "
            f"{limits['decode'] / 1e6:.0f} MB/s, memcpy {limits['memcpy'] / 1e6:.0f} MB/s"
        )
        click.echo(
            f"{'loader':<24}{'1st/s':>9}{'later/s':>9}{'MB/s':>6}{'batch s':>8}{'CPU/GB':>7}"
            f"{'later':>6}{'peak':>6}{'GETs':>7}{'MB':>6}{'get%':>5}{'dec%':>5}{'oth':>5}"
            "  codec; crops; shuffle; later epochs"
        )
        for row in document["rows"]:
            if row["workload"] == name:
                click.echo(_line(row))
    click.echo("")
    click.echo(
        "1st/s, later/s: samples a second in the first and in later epochs, * where an epoch "
        "was left before\nits end. MB/s: decoded, first epoch. CPU/GB: CPU seconds a decoded "
        "GB, without the server's. get%, dec%: of\nthe limits, if each stored byte is fetched "
        "once and each chunk decoded once. oth: CPU seconds of others."
    )
    for goal, reached in document["goals"].items():
        click.echo(f"{'met ' if reached else 'MISSED '}{goal}")


def _line(row: dict[str, Any]) -> str:
    name = f"{row['loader']}:{row['variant']}"
    if row["first_samples_per_s"] is None:
        return f"{name:<24} {row['trouble'] or 'measured nothing'}"
    first, later = _number(row["first_samples_per_s"]), _number(row["later_samples_per_s"])
    terms = "; ".join(
        part for part in (row["codec"], row["crops"], row["shuffle"], _source(row)) if part
    )
    return (
        f"{name:<24}{first if row['whole_epochs'] else first + '*':>9}{later:>9}"
        f"{_number(row['first_MB_per_s']):>6}{row['first_batch_s']:>8.2f}"
        f"{_number(row['first_cpu_s_per_GB'], 1):>7}{_number(row['later_cpu_s_per_GB'], 1):>6}"
        f"{_number(row['peak_MB']):>6}{_number(row['requests_per_epoch']):>7}"
        f"{_number(row['served_MB_per_epoch']):>6}{100 * row['share_of_raw_get']:>5.0f}"
        f"{100 * row['share_of_decode']:>5.0f}{_number(row['others_cpu_s'], 1):>5}  {terms}"
        f"{'; ' + row['trouble'] if row['trouble'] else ''}"
    )


def _source(row: dict[str, Any]) -> str:
    return "own cache" if _cached(row) else "server"


def _cached(row: dict[str, Any]) -> bool:
    return bool(row["later_epochs_from"] == "cache" and row["later_samples_per_s"] is not None)


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def median(epochs: list[Epoch], figure: Callable[[Epoch], float | None]) -> float | None:
    """Return the median of a figure; None if there is none."""
    values = [value for epoch in epochs if (value := figure(epoch)) is not None]
    return statistics.median(values) if values else None


def _rate(epoch: Epoch) -> float:
    return float(epoch["samples"] / epoch["seconds"])


def _speed(epoch: Epoch) -> float:
    return float(epoch["bytes"] / epoch["seconds"] / 1e6)


def _cpu(epoch: Epoch) -> float | None:
    return float(epoch["cpu_s"] / epoch["bytes"] * 1e9) if epoch["bytes"] else None


def _pace(epoch: Epoch) -> float:
    """Epochs a second."""
    return float(epoch["samples"] / epoch["wanted"] / epoch["seconds"])
