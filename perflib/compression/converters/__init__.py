"""One file per engine that a model can be moved to: each has `check_parent` and `convert`."""
