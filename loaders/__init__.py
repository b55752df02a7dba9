"""Stream the samples of a published version into PyTorch."""

if __name__ != "scidata.loaders":
    msg = "import 'scidata.loaders', not 'loaders': this folder is installed inside scidata"
    raise ImportError(msg)
