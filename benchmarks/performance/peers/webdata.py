"""webdataset: tar files of 64 MB of whole samples, fetched by curl, shuffled in a buffer."""

import io
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np

from scidata.benchmarks.performance.peers import Epochs, Job, Terms, library, records
from scidata.benchmarks.performance.workloads import Block

ENVIRONMENT = "web"
REQUIREMENTS = ("webdataset==1.0.2",)
BUFFER = {"W1": 64, "W2": 1000, "W3": 64}
VARIANTS = {
    "none": Terms(
        shuffle="buffer of 64 | buffer of 1,000 | buffer of 64 records of 256 rows",
        crops="frozen",
        form="none",
        codec="none",
        workloads=("W1", "W2", "W3"),
    )
}


def prepare(job: Job) -> None:
    """Write each sample's raw bytes; of W3 a record of 256 rows, since one row is hopeless."""
    shutil.rmtree(job.folder, ignore_errors=True)
    job.folder.mkdir(parents=True)
    pattern = str(job.folder / "%05d.tar")
    with library("webdataset").ShardWriter(pattern, maxsize=64e6, verbose=0) as writer:
        for number, sample in enumerate(records(job.work)):
            values = {f"{name}.npy": _bytes(value) for name, value in sample.items()}
            writer.write({"__key__": f"{number:08d}", **values})


def open_epochs(job: Job) -> Epochs:
    """Shuffle the tars and a buffer of samples; one pipeline for all epochs."""
    webdataset = library("webdataset")
    tars = sorted(path.name for path in job.folder.glob("*.tar"))
    size = job.work.batch // 256 if job.workload == "W3" else job.work.batch

    def epoch(number: int) -> Iterator[Any]:
        stream = (
            webdataset.WebDataset(
                [job.http(f"{job.private}/{name}") for name in tars],
                shardshuffle=len(tars),
                seed=job.seed + number,
                empty_check=False,
            )
            .shuffle(BUFFER[job.workload], rng=_random(job.seed + number))
            .map(_decoded)
            .batched(size, collation_fn=_joined if job.workload == "W3" else _stacked)
        )
        return iter(webdataset.WebLoader(stream, batch_size=None, num_workers=job.workers))

    return epoch


def _bytes(value: Any) -> bytes:  # Any: numpy's array or number
    out = io.BytesIO()
    np.save(out, value)
    return out.getvalue()


def _random(seed: int) -> Any:  # Any: ruff's S311 knows nothing of shuffling
    return __import__("random").Random(seed)


def _decoded(sample: dict[str, Any]) -> Block:
    """Decode without a copy: the bytes after the header are the array."""
    return {
        name.removesuffix(".npy"): _array(value)
        for name, value in sample.items()
        if name.endswith(".npy")
    }


def _array(data: bytes) -> Any:  # Any: numpy's
    file = io.BytesIO(data)
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape)


def _names(part: Block) -> list[str]:
    """Leave out what webdataset adds: the key and where it came from."""
    return [name for name in part if not name.startswith("__")]


def _stacked(parts: list[Block]) -> Any:  # Any: a dictionary of tensors
    torch = library("torch")
    return {
        n: torch.from_numpy(np.stack([part[n] for part in parts])) for n in _names(parts[0])
    }


def _joined(parts: list[Block]) -> Any:  # Any: a dictionary of tensors
    torch = library("torch")
    return {
        n: torch.from_numpy(np.concatenate([part[n] for part in parts]))
        for n in _names(parts[0])
    }
