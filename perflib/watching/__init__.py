"""Watching for regressions run by run: what a run gives to the history, the check, promotions, the drill."""
