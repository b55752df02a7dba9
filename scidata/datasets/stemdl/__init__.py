"""STEMDL: electron diffraction patterns of crystals, published files or simulated."""
