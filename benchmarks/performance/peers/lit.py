"""litdata: chunks of 64 MB of whole samples, kept on the disk after the first epoch."""

import shutil
from collections.abc import Iterator
from typing import Any

from scidata.benchmarks.performance.peers import Epochs, Job, Terms, joined, library, records
from scidata.benchmarks.performance.workloads import samples

ENVIRONMENT = "lit"
REQUIREMENTS = ("litdata==0.2.76", "zstd")
SAMPLES = Terms(
    shuffle="chunk-wise",
    crops="frozen",
    form="none",
    codec="none",
    later="cache",
    workloads=("W1", "W2", "W3"),
)
ROWS = {"shuffle": "chunks, records of 256 rows", "form": "records", "workloads": ("W3",)}
VARIANTS = {
    "none": SAMPLES,
    "zstd": Terms(
        **{**vars(SAMPLES), "form": "zstd", "codec": "zstd", "workloads": ("W1", "W2")}
    ),
    "records": Terms(**{**vars(SAMPLES), **ROWS}),
}


def prepare(job: Job) -> None:
    """Write chunks with litdata's own writer, in this process."""
    torch = library("torch")
    shutil.rmtree(job.folder, ignore_errors=True)
    job.folder.mkdir(parents=True)
    cache = library("litdata.streaming.cache").Cache(
        str(job.folder),
        chunk_bytes=64_000_000,
        compression="zstd" if job.variant == "zstd" else None,
    )
    wanted = records(job.work) if job.variant == "records" else samples(job.work)
    for number, sample in enumerate(wanted):
        cache[number] = {name: torch.as_tensor(value) for name, value in sample.items()}
    cache.done()
    cache.merge()


def open_epochs(job: Job) -> Epochs:
    """Stream with a cache that is never full, in the job's folder."""
    litdata = library("litdata")
    # Its options for obstore are fixed, and refuse a server without TLS.
    options = library("litdata.streaming.downloader")._OBSTORE_CLIENT_OPTIONS
    options["allow_http"] = True
    dataset = litdata.StreamingDataset(
        job.s3(job.private),
        cache_dir=str(job.cache / "lit"),
        shuffle=True,
        seed=job.seed,
        max_cache_size="200GB",
        storage_options={
            "endpoint_url": job.endpoint,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "region_name": "us-east-1",
        },
    )
    records_of_rows = job.variant == "records"
    loader = litdata.StreamingDataLoader(
        dataset,
        batch_size=job.work.batch // 256 if records_of_rows else job.work.batch,
        num_workers=job.workers,
        collate_fn=joined if records_of_rows else None,
    )

    def epoch(number: int) -> Iterator[Any]:
        return iter(loader)

    return epoch
