"""One run of ``scidata demo``, shared by every test that looks at what it leaves behind."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCIDATA = Path(sys.executable).parent / "scidata"


@dataclass(frozen=True)
class Demonstration:
    folder: Path
    printed: dict[str, Any]  # Any: JSON at the edge


def demonstrate(folder: Path) -> Demonstration:
    """Run the demo into a folder as a user would, asking for JSON."""
    done = subprocess.run(
        [SCIDATA, "demo", "--out", folder, "--json"],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Demonstration(folder=folder, printed=json.loads(done.stdout))
