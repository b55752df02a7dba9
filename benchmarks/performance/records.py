"""What the records of made-up datasets have in common."""

from typing import Any


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
    founders = {"name": "The scidata founders"}
    return {
        "format": "scidata-record/1",
        "id": name,
        "title": title,
        "abstract": abstract,
        "creators": [founders],
        "contact": {**founders, "email": "nobody@example.org"},
        "publisher": founders,
        "license": "CC0-1.0",
        "access": "open",
        "language": "en",
        "keywords": ["benchmark", "synthetic"],
        "synthetic": True,
        "synthetic_note": "Computed from random numbers; nothing was measured.",
        **sections,
    }
