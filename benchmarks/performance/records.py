"""What the records of made-up datasets have in common."""

from typing import Any

import yaml


def synthetic(
    name: str, title: str, abstract: str, **sections: Any
) -> dict[str, Any]:  # Any: YAML at the edge
    """Return a record of data that were computed from random numbers.

    Parameters
    ----------
    name : str
        The dataset's id.
    title, abstract : str
    **sections
        What differs: variables, splits, samples.
    """
    founders = "The scidata founders"
    return {
        "format": "scidata-record/1",
        "id": name,
        "title": title,
        "abstract": abstract,
        "creators": [{"name": founders}],
        "contact": {"name": founders, "email": "nobody@example.org"},
        "publisher": {"name": founders},
        "license": "CC0-1.0",
        "access": "open",
        "language": "en",
        "keywords": ["benchmark", "synthetic"],
        "synthetic": True,
        "synthetic_note": "Computed from random numbers; nothing was measured.",
        **sections,
    }


def as_yaml(record: dict[str, Any]) -> str:  # Any: YAML at the edge
    """Return ``record.yaml``."""
    return yaml.safe_dump(record, sort_keys=False)


RANDOM_BYTES = as_yaml(
    synthetic(
        "speed",
        "Random bytes",
        "Random bytes in files, to measure how fast they are sent, fetched and compared.",
        provenance={"steps": [{"activity": "Draw random bytes"}]},
    )
)
"""The record of files that nobody looks into."""
