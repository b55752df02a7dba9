"""STEMDL, reconstruction: rasters of diffraction patterns, and the potential that gave them."""
