"""Watching for regressions: history, change points, paired reruns, machines in quarantine, alerts."""
