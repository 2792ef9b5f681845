"""
Which step of a recipe gave what: every step is timed against the one before, and the last against the baseline.

A factor of the total is not the total: steps help or hinder each other, and each factor has noise of its own. So the
total is a pairing of its own, and what the product of the steps leaves open is shown as such. Two artifacts that a run
has timed already are not timed again.

    found = measure_ladder(session, "best", recipe, Effort(["single", "offline"], 5, 1))
"""

from perflib.ladder.measure import Compare, Effort, measure_ladder, measure_model_alone

__all__ = ["Compare", "Effort", "measure_ladder", "measure_model_alone"]
