"""
One command from a params file to a report: plan, execute with papermill, judge, and leave a record that can be resumed.

This is the only place that imports papermill.
"""

from perflib.pipeline.run import Outcome, run_params

__all__ = ["Outcome", "run_params"]
