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
    made: Path
    """What `demonstrate` made."""

    @property
    def folder(self) -> Path:
        return self.made / "scidata-demo"

    @property
    def printed(self) -> dict[str, Any]:  # Any: JSON at the edge
        document: dict[str, Any] = json.loads((self.made / "printed.json").read_text())
        return document


def demonstrate(made: Path) -> None:
    """Run the demo as a user would, asking for JSON; keep what it prints."""
    made.mkdir()
    done = subprocess.run(
        [SCIDATA, "demo", "--out", made / "scidata-demo", "--json"],
        cwd=made,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (made / "printed.json").write_text(done.stdout)
