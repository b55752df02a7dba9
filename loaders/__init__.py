"""Stream the samples of a published version into PyTorch.

`arrays` opens a Zarr asset of a version and fails where a chunk is missing; it needs no torch.
`plan` decides which samples come in which
order (pure); `samples` turns blocks into batches; `stream` is the iterable; `opening` makes one
from a version, and `intake` from a catalog entry.
"""

if __name__ != "scidata.loaders":
    msg = "import 'scidata.loaders', not 'loaders': this folder is installed inside scidata"
    raise ImportError(msg)
