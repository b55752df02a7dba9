"""Samples, the units that make them, and how a store lays them out. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from scidata.datasets.array_store import Attributes, CodecName
from scidata.errors import Problem

Facts: TypeAlias = Mapping[str, Any]  # Any: numbers, texts and lists of numbers, by name


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What lies at one place of a store's first dimension."""

    id: str
    arrays: Mapping[str, npt.NDArray[Any]]
    """By variable."""
    facts: Facts = field(default_factory=dict)
    """What is known of it; in a store all samples have the same ones."""
    tallies: Mapping[str, int] = field(default_factory=dict)
    """What was counted in it, for the record alone."""


class Unit(Protocol):
    """Samples that are made together, in whichever process: it travels by pickle."""

    @property
    def stamp(self) -> str:
        """Another one if it would give other samples."""
        ...

    @property
    def count(self) -> int:
        """Samples at most."""
        ...

    def produce(self) -> Sequence[Sample | Problem]:
        """Make the samples; what is wrong with one stands in its place."""
        ...


@dataclass(frozen=True, kw_only=True)
class Variable:
    """An array that every sample has."""

    shape: Mapping[str, int]
    """Of a sample, by dimension."""
    dtype: str
    attributes: Attributes
    chunk: tuple[int, ...] | None = None
    """Of an inner chunk; by default a sample's own shape."""
    codec: CodecName = "zstd"
    counted: bool = True
    """Whether statistics are made of it."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Shape without names."""
        return tuple(self.shape.values())


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A small array of what is known of every sample."""

    dtype: str
    attributes: Attributes
    shape: Mapping[str, int] = field(default_factory=dict)
    """Of a sample, by dimension."""


@dataclass(frozen=True, kw_only=True)
class Coordinate:
    """An array that does not differ from sample to sample."""

    dimension: str
    values: tuple[str | float, ...]
    attributes: Attributes

    @property
    def array(self) -> npt.NDArray[Any]:  # Any: texts or numbers
        """Its values; texts are objects."""
        texts = any(isinstance(value, str) for value in self.values)
        return np.array(self.values, object if texts else np.float64)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What all samples of a store have in common."""

    asset: str
    """The store is ``data/<asset>.zarr``."""
    title: str
    dimension: str
    """The first one of every array; its coordinate has the ids."""
    naming: str
    """What an id is, in words."""
    variables: Mapping[str, Variable]
    facts: Mapping[str, Fact]
    coordinates: Mapping[str, Coordinate] = field(default_factory=dict)
    chunk: int = 1
    """Samples in an inner chunk."""
    shard: int = 1
    """Samples in a shard, a multiple of `chunk`."""

    @property
    def document(self) -> dict[str, Any]:  # Any: JSON
        """What tells it from another."""
        return asdict(self)
