"""One file per library that quantizes: each has `check_parent` and `quantize`."""
