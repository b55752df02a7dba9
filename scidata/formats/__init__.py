"""Outward forms: pure functions of a record and its computed facts, one file each."""
