"""What tests of check share: changes to the tiny dataset, and what is found then."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from scidata.check import Checked, check

Change = Callable[[dict[str, Any]], object]  # Any: YAML at the edge


def change_record(staged: Path, change: Change) -> Checked:
    """Check the dataset after a change of its record's fields."""
    path = staged / "record.yaml"
    fields = yaml.safe_load(path.read_bytes())
    change(fields)
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return check(staged)


def change_split(staged: Path, change: Callable[[str], str]) -> Checked:
    """Check the dataset after a change of its training part."""
    path = staged / "data" / "splits" / "sample" / "train.txt"
    path.write_text(change(path.read_text()))
    return check(staged)


def found(checked: Checked) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in checked.errors]
