"""``python -m scidata.catalog FOLDER`` writes the public catalog into a checkout's folder."""

import sys
from pathlib import Path

from scidata.catalog.founding import check_folder, write_public_catalogs
from scidata.errors import ScidataError

USAGE = "usage: python -m scidata.catalog FOLDER, such as catalogs in a checkout of scidata\n"


def main(arguments: list[str]) -> int:
    """Write what changed, and name it; returns the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(USAGE)
        return 2
    try:
        folder = Path(arguments[0])
        check_folder(folder)
        changed = write_public_catalogs(folder)
    except ScidataError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.writelines(f"wrote {path}\n" for path in changed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
