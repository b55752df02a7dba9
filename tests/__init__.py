"""Tests: names are sentences; read as a list, they are the specification."""
