"""The four workloads of the loaders' measurements, made from a fixed seed.

Smooth fields with noise, rounded to so many bits that they compress as real data do: zstd at
level 1 makes W1 1.5 times smaller, W2 3.5 times, W3 1.3 times and W4 1.4 times. A block is what
one shard holds, and is made of its number alone, so that every format is written from the same
values. Only numpy is needed: this runs in every peer's environment.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SEED = 20
CROP = 256
CLOUDY = 0.5
CROPS_A_SCENE = 28
WINDOW, STRIDE = 26 * 14, 14
"""Days of one window, and from one window's start to the next one's."""

Block = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True)
class Array:
    """One array as it is published."""

    dtype: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None = None

    @property
    def nbytes(self) -> int:
        """Decoded bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is streamed, in samples and batches of which size."""

    name: str
    arrays: Mapping[str, Array]
    """The first one is the large one."""
    batch: int
    samples: int
    """In one epoch."""
    sample_bytes: int
    """Of one sample, decoded."""
    block: int
    """Entries of the first dimension in one shard."""
    make: Callable[[np.random.Generator, int], Block]

    @property
    def entries(self) -> int:
        """Length of the first dimension."""
        return self.main.shape[0]

    @property
    def main(self) -> Array:
        """The large array."""
        return next(iter(self.arrays.values()))

    @property
    def nbytes(self) -> int:
        """Decoded bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Yield where each block starts, and its part of every array."""
        for start in range(0, self.entries, self.block):
            length = min(self.block, self.entries - start)
            yield start, self.make(np.random.default_rng([SEED, start]), length)


def workload(name: str, scale: float = 1.0) -> Workload:
    """Return a workload by name; `scale` makes it smaller."""
    return WORKLOADS[name](scale)


def _scenes(scale: float) -> Workload:
    count, bands, height, width = max(2, round(32 * scale)), 9, 1200, 1500
    radiance = Array(
        dtype="float32",
        dims=("scene", "band", "y", "x"),
        shape=(count, bands, height, width),
        chunks=(1, bands, 128, 128),
        shards=(1, bands, 1280, 1536),
    )
    mask = Array(
        dtype="uint8",
        dims=("scene", "y", "x"),
        shape=(count, height, width),
        chunks=(1, 128, 128),
        shards=(1, 1280, 1536),
    )

    def make(rng: np.random.Generator, length: int) -> Block:
        field = smooth(rng, (length, bands, height, width), 24)
        clouds = (smooth(rng, (length, height, width), 12) > CLOUDY).astype(np.uint8)
        field += 0.3 * rng.standard_normal(field.shape, dtype=np.float32)
        return {"radiance": rounded(300 + 60 * field, 14), "mask": clouds}

    return Workload(
        name="W1",
        arrays={"radiance": radiance, "mask": mask},
        batch=16,
        samples=CROPS_A_SCENE * count,
        sample_bytes=CROP**2 * (4 * bands + 1),
        block=1,
        make=make,
    )


def _stacks(scale: float) -> Workload:
    count, size = max(128, round(8000 * scale)), 128
    image = Array(
        dtype="float32",
        dims=("sample", "channel", "y", "x"),
        shape=(count, 3, size, size),
        chunks=(1, 3, size, size),
        shards=(256, 3, size, size),
    )
    label = Array(dtype="int64", dims=("sample",), shape=(count,), chunks=(count,))

    def make(rng: np.random.Generator, length: int) -> Block:
        rate = 20 * np.exp(0.7 * smooth(rng, (length, 3, size, size), 8))
        rate += np.sqrt(rate) * rng.standard_normal(rate.shape, dtype=np.float32)
        counts = np.maximum(np.rint(rate), 0) * np.float32(0.0137)
        return {"image": counts, "label": rng.integers(0, 230, length)}

    return Workload(
        name="W2",
        arrays={"image": image, "label": label},
        batch=64,
        samples=count,
        sample_bytes=4 * 3 * size**2 + 8,
        block=256,
        make=make,
    )


def _rows(scale: float) -> Workload:
    count, width = max(1024, round(400_000 * scale)), 1000
    features = Array(
        dtype="float32",
        dims=("row", "feature"),
        shape=(count, width),
        chunks=(256, width),
        shards=(25_600, width),
    )
    target = Array(dtype="float32", dims=("row",), shape=(count,), chunks=(count,))

    def make(rng: np.random.Generator, length: int) -> Block:
        mixing = np.random.default_rng(SEED).standard_normal((16, width), dtype=np.float32)
        hidden = rng.standard_normal((length, 16), dtype=np.float32)
        values = hidden @ (np.float32(0.25) * mixing)
        values += np.float32(0.3) * rng.standard_normal(values.shape, dtype=np.float32)
        return {"features": rounded(values, 14), "target": hidden[:, 0].copy()}

    return Workload(
        name="W3",
        arrays={"features": features, "target": target},
        batch=512,
        samples=count,
        sample_bytes=4 * width + 4,
        block=25_600,
        make=make,
    )


def _series(scale: float) -> Workload:
    bins, days, variables = max(16, round(2400 * scale)), 26_000, 4
    series = Array(
        dtype="float32",
        dims=("bin", "time", "variable"),
        shape=(bins, days, variables),
        chunks=(1, days, variables),
        shards=(64, days, variables),
    )

    def make(rng: np.random.Generator, length: int) -> Block:
        years = np.arange(days, dtype=np.float32)[None, :, None] / np.float32(365.25)
        phase, level = rng.random((2, length, 1, variables), dtype=np.float32)
        turns = np.float32(2 * np.pi) * (years + phase)
        values = (level + np.sin(turns)).astype(np.float32, copy=False)
        values += np.float32(0.3) * rng.standard_normal(values.shape, dtype=np.float32)
        return {"series": rounded(values, 12)}

    return Workload(
        name="W4",
        arrays={"series": series},
        batch=256,
        samples=bins * ((days - WINDOW) // STRIDE + 1),
        sample_bytes=4 * variables * WINDOW,
        block=64,
        make=make,
    )


WORKLOADS = {"W1": _scenes, "W2": _stacks, "W3": _rows, "W4": _series}


def smooth(
    rng: np.random.Generator, shape: tuple[int, ...], coarse: int
) -> npt.NDArray[np.float32]:
    """Return fields over the last two dimensions, bilinear between coarse random values."""
    *lead, height, width = shape
    values = rng.standard_normal((*lead, coarse, coarse), dtype=np.float32)
    field = _weights(height, coarse) @ values @ _weights(width, coarse).T
    return field.astype(np.float32, copy=False)


def _weights(fine: int, coarse: int) -> npt.NDArray[np.float32]:
    at = np.linspace(0, coarse - 1, fine)
    low = np.minimum(at.astype(np.int64), coarse - 2)
    weights = np.zeros((fine, coarse), np.float32)
    weights[np.arange(fine), low] = 1 - (at - low)
    weights[np.arange(fine), low + 1] = at - low
    return weights


def rounded(values: npt.NDArray[np.float32], keep: int) -> npt.NDArray[np.float32]:
    """Round float32 to `keep` bits of the 23 after the point, as instruments do."""
    drop = 23 - keep
    bits = np.ascontiguousarray(values).view(np.uint32)
    bits += np.uint32(1 << (drop - 1))
    bits &= np.uint32((0xFFFFFFFF << drop) & 0xFFFFFFFF)
    return bits.view(np.float32)


def crops(start: int, block: Block, *, seed: int = SEED) -> Iterator[Block]:
    """Yield the samples of W1 as formats hold them that cannot crop: the same every epoch."""
    rng = np.random.default_rng([seed, start, 1])
    for radiance, mask in zip(block["radiance"], block["mask"], strict=True):
        for _ in range(CROPS_A_SCENE):
            y, x = (int(rng.integers(0, n - CROP + 1)) for n in mask.shape)
            at = np.s_[y : y + CROP, x : x + CROP]
            yield {
                "radiance": np.ascontiguousarray(radiance[:, *at]),
                "mask": np.ascontiguousarray(mask[at]),
            }


def samples(work: Workload) -> Iterator[Block]:
    """Yield every sample in order, for formats that hold whole samples."""
    for start, block in work.blocks():
        if work.name == "W1":
            yield from crops(start, block)
        else:
            names = tuple(block)
            for values in zip(*block.values(), strict=True):
                yield dict(zip(names, values, strict=True))
