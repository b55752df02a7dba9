"""CloudMask: scenes of Sentinel-3 SLSTR with cloud flags, and its smaller relatives."""
