"""h5py on a file of s3fs, in blocks of 1 MiB: by default it would read twenty times as much."""

from scidata.benchmarks.performance.peers import Epochs, Job, library
from scidata.benchmarks.performance.peers.pools import TERMS
from scidata.benchmarks.performance.peers.threads import open_arrays

ENVIRONMENT = "arrays"
REQUIREMENTS = ("h5py==3.16.0", "s3fs==2026.9.0")
VARIANTS = {
    name: type(terms)(**{**vars(terms), "form": "hdf5", "codec": "gzip-1+shuffle"})
    for name, terms in TERMS.items()
}
BLOCK = 2**20
BLOCKS = 64


def prepare(job: Job) -> None:
    """Write one file with the published chunks."""
    job.folder.mkdir(parents=True, exist_ok=True)
    with library("h5py").File(job.folder / "arrays.h5", "w", libver="latest") as file:
        arrays = {
            name: file.create_dataset(
                name,
                shape=array.shape,
                dtype=array.dtype,
                chunks=array.chunks,
                compression="gzip",
                compression_opts=1,
                shuffle=True,
            )
            for name, array in job.work.arrays.items()
        }
        for start, block in job.work.blocks():
            for name, values in block.items():
                arrays[name][start : start + len(values)] = values


def open_epochs(job: Job) -> Epochs:
    """Open the file; HDF5 reads one thing at a time, so that one thread is enough."""
    system = library("s3fs").S3FileSystem(
        anon=True, client_kwargs={"endpoint_url": job.endpoint}
    )
    source = system.open(
        f"{job.bucket}/{job.private}/arrays.h5",
        block_size=BLOCK,
        cache_type="blockcache",
        cache_options={"maxblocks": BLOCKS},
    )
    file = library("h5py").File(source, "r")
    return open_arrays(job, {name: file[name] for name in job.work.arrays}, 1)
