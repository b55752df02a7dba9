"""xbatcher over zarr-python and obstore: patches of a fixed grid."""

from collections.abc import Iterator
from typing import Any

from scidata.benchmarks.performance.peers import Epochs, Job, Terms, library
from scidata.benchmarks.performance.peers.zarr_obstore import published_store
from scidata.benchmarks.performance.workloads import CROP

ENVIRONMENT = "arrays"
REQUIREMENTS = ("xbatcher==0.4.0", "xarray", "zarr==3.1.6", "obstore==0.12.1", "zarrs==0.2.3")
VARIANTS = {
    "grid": Terms(shuffle="global", crops="grid", workloads=("W1",)),
    "one": Terms(shuffle="global", workloads=("W2",)),
}


def prepare(job: Job) -> None:
    """Nothing: it reads the published Zarr."""


def open_epochs(job: Job) -> Epochs:
    """Open the published group with xarray; a generator of patches is a map-style dataset."""
    torch = library("torch")
    library("zarr").config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
    arrays = library("xarray").open_zarr(published_store(job), chunks=None, consolidated=True)
    # xbatcher keeps the name "sample" to itself.
    arrays = arrays.rename({"sample": "stack"} if job.workload == "W2" else {})
    # Dimensions that are not named would be flattened.
    dims = dict(arrays.sizes)
    dims |= {"scene": 1, "y": CROP, "x": CROP} if job.workload == "W1" else {"stack": 1}
    patches = library("xbatcher").BatchGenerator(arrays, input_dims=dims, preload_batch=False)
    names = tuple(job.work.arrays)

    class Patches(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]  # Any
        def __len__(self) -> int:
            return len(patches)

        def __getitem__(self, index: int) -> dict[str, Any]:  # Any: torch is imported late
            loaded = patches[index].load()
            return {name: torch.from_numpy(loaded[name].values[0, ...]) for name in names}

    def epoch(number: int) -> Iterator[Any]:
        order = torch.Generator().manual_seed(job.seed + number)
        return iter(
            torch.utils.data.DataLoader(
                Patches(),
                batch_size=job.work.batch,
                shuffle=True,
                generator=order,
                num_workers=job.workers,
            )
        )

    return epoch
