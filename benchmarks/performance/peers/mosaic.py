"""mosaicml-streaming: MDS shards of whole samples, kept on the disk after the first epoch."""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from scidata.benchmarks.performance.peers import Epochs, Job, Terms, joined, library, records
from scidata.benchmarks.performance.workloads import samples

ENVIRONMENT = "mosaic"
REQUIREMENTS = ("mosaicml-streaming==0.13.0",)
VARIANTS = {
    "zstd": Terms(
        shuffle="py1e",
        crops="frozen",
        form="zstd",
        codec="zstd-1",
        later="cache",
        workloads=("W1", "W2", "W3"),
    ),
    "records": Terms(
        shuffle="py1e over records of 256 rows",
        form="records",
        codec="zstd-1",
        later="cache",
        workloads=("W3",),
    ),
}
SHARD = 2**26


def prepare(job: Job) -> None:
    """Write shards of 64 MiB, compressed by zstd at level 1."""
    streaming = _streaming()
    shutil.rmtree(job.folder, ignore_errors=True)
    wanted = records(job.work) if job.variant == "records" else samples(job.work)
    writer = None
    for sample in wanted:
        values = {
            name: value if value.shape else value.item() for name, value in sample.items()
        }
        if writer is None:
            columns = {name: _column(job, value) for name, value in values.items()}
            writer = streaming.MDSWriter(
                out=str(job.folder), columns=columns, compression="zstd:1", size_limit=SHARD
            )
        writer.write(values)
    if writer is not None:
        writer.finish()


def open_epochs(job: Job) -> Epochs:
    """Stream with the default shuffle; its own cache lies in the job's folder."""
    streaming = _streaming()
    torch = library("torch")
    os.environ |= {
        "S3_ENDPOINT_URL": job.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    batch = job.work.batch // 256 if job.variant == "records" else job.work.batch
    dataset = streaming.StreamingDataset(
        remote=job.s3(job.private),
        local=str(job.cache / "mds"),
        shuffle=True,
        shuffle_seed=job.seed,
        batch_size=batch,
        num_canonical_nodes=1,
    )

    def collate(parts: list[Any]) -> Any:
        tensors = [{k: torch.from_numpy(v.copy()) for k, v in part.items()} for part in parts]
        return joined(tensors)

    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=batch,
        num_workers=job.workers,
        collate_fn=collate if job.variant == "records" else None,
    )

    def epoch(number: int) -> Iterator[Any]:
        return iter(loader)

    return epoch


def _column(job: Job, value: Any) -> str:  # Any: an array, or a number of Python
    if isinstance(value, int):
        return "int64"
    if isinstance(value, float):
        return "float32"
    # The last record of W3 is shorter, so that each says its own shape.
    shape = "" if job.variant == "records" else ":" + ",".join(map(str, value.shape))
    return f"ndarray:{value.dtype}{shape}"


def _streaming() -> Any:  # Any: not installed where types are checked
    """Import the library, which wants torchvision only to name its own subclasses.

    PyPI's torchvision needs CUDA's torch and fails beside the one for processors.
    """
    names = ("torchvision", "torchvision.datasets", "torchvision.datasets.folder")
    for name in (*names, "torchvision.transforms", "torchvision.transforms.functional"):
        stub = sys.modules.setdefault(name, ModuleType(name))
        stub.__spec__ = ModuleSpec(name, None)
        for wanted in ("VisionDataset", "to_tensor", "to_pil_image", "default_loader"):
            setattr(stub, wanted, type(wanted, (), {}))
        if "." in name:
            parent, _, child = name.rpartition(".")
            setattr(sys.modules[parent], child, stub)
    return library("streaming")
