"""Attacks on scidata, one file for each kind; README.md lists them."""
