"""Has the level of a series changed? History's nominations: ranks, runs far off, runs on one side, drift."""
