"""A fire drill for the watch: three planted regressions, one each in artifact, lock and parameters, end to end."""
