"""Making a prior: distance samples of meshes, and the auto-decoder."""
