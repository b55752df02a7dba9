"""Seconds and peak memory of building TEvolOp, in a process of its own.

    python benchmarks/performance/build.py --source scedc_socal_1950_2026.csv.gz

Goal: the full catalogue of 805,003 events in under 60 s and 1 GB. Without --source the shipped
earthquakes of magnitude 2.5 and above are built.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

GOAL_SECONDS = 60.0
GOAL_BYTES = 1_000_000_000
_CHILD = "import sys; from scidata.cli import main; main(sys.argv[1:])"


def measure(source: Path | None) -> dict[str, object]:
    """Build once into a temporary folder.

    Returns
    -------
    dict
        Seconds by the wall and of CPU, peak resident bytes, events and bytes written.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tevolop"
        arguments = ["build", "tevolop", "--out", str(out), "--json"]
        arguments += ["--source", str(source)] if source else []
        begin = perf_counter()
        done = subprocess.run(  # noqa: S603 - this very Python, with our own arguments
            [sys.executable, "-c", _CHILD, *arguments], stdout=subprocess.PIPE, check=True
        )
        seconds = perf_counter() - begin
        written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in
    document = json.loads(done.stdout)
    return {
        "schema": "scidata-performance-build/1",
        "source": document["source"],
        "events": document["counts"]["kept"],
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_bytes": usage.ru_maxrss * unit,
        "written_bytes": written,
        "load_average": os.getloadavg()[0],
    }


def main() -> None:
    """Measure, print, and exit 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description="Time a build of TEvolOp.")
    parser.add_argument("--source", type=Path, help="catalogue file or folder")
    parser.add_argument("--json", action="store_true", help="print one JSON document only")
    chosen = parser.parse_args()
    result = measure(chosen.source)
    seconds, peak = float(str(result["seconds"])), int(str(result["peak_bytes"]))
    reached = seconds < GOAL_SECONDS and peak < GOAL_BYTES
    if chosen.json:
        print(json.dumps({**result, "reached_goal": reached}, indent=1))  # noqa: T201
    else:
        print(  # noqa: T201 - a script's result
            f"{result['events']} events: {seconds:.1f} s of {GOAL_SECONDS:.0f} s, "
            f"{peak / 1e6:.0f} MB of {GOAL_BYTES / 1e6:.0f} MB at most "
            f"({result['cpu_seconds']} s of CPU, load {result['load_average']:.1f})"
        )
    sys.exit(not reached)


if __name__ == "__main__":
    main()
