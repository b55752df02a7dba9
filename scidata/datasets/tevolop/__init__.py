"""TEvolOp: earthquakes of Southern California, from catalogues to training samples."""
