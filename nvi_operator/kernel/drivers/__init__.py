"""One driver per kind: the other half of `kinds/`."""
