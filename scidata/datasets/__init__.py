"""The founding datasets: one module or folder each, reading the original formats."""
