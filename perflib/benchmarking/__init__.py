"""Timing: one process per arm, coins for the order, lives as evidence, and an exact decision."""
