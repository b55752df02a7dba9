"""Stream the samples of a published version into PyTorch.

`arrays` opens a Zarr asset as xarray data, and fails where a chunk is missing, without torch.
`samples`, `plan` and `order` decide what comes when (pure); `contents` and one file a format
say where the chunks lie; `fetch`, `reader`, `pool` and `engine` bring them; `stream` is the
iterable; `opening` makes one from a version, and `intake` from a catalog entry.
"""

if __name__ != "scidata.loaders":
    msg = "import 'scidata.loaders', not 'loaders': this folder is installed inside scidata"
    raise ImportError(msg)
