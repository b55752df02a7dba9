"""The version of scidata itself: the one place that says it."""

__version__ = "0.1.0"

TOOL = f"scidata {__version__}"
"""How scidata names itself in what it writes."""
