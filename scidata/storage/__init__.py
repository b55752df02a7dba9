"""Stores: where versions live."""
