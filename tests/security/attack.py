"""Runs one file of attacks and says what it attacks."""

import ast
import sys
from pathlib import Path

import pytest


def run(file: str) -> None:
    """Print what a file attacks, run it, and end with pytest's exit code."""
    said = ast.get_docstring(ast.parse(Path(file).read_text())) or ""
    sys.stdout.write(f"{said}\n\n")
    sys.stdout.flush()
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", file]))
