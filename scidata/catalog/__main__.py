"""``python -m scidata.catalog FOLDER`` writes the public catalog into a checkout's folder."""

import sys
from pathlib import Path

from scidata.catalog.founding import write_public_catalogs

if __name__ == "__main__":
    for changed in write_public_catalogs(Path(sys.argv[1])):
        sys.stdout.write(f"wrote {changed}\n")
