"""Alerts: one regression told once, to the right person, with what to do; kept, merged, delivered and closed."""
