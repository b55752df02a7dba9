"""Benchmarks: a dataset, an objective and a reference implementation each."""

if __name__ != "scidata.benchmarks":
    msg = (
        "import 'scidata.benchmarks', not 'benchmarks': this folder is installed inside scidata"
    )
    raise ImportError(msg)
