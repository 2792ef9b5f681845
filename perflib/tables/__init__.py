"""
Tables for people: HTML with a caption, scoped headers, one unit per column and the baseline's row marked.

Speed never stands without quality beside it. Every text from a model, a file or a person is escaped.
"""

from perflib.tables.answers import exemplars_table, probes_table
from perflib.tables.backlog import backlog_table, failed_list
from perflib.tables.breakeven import breakeven_table, forecast_table
from perflib.tables.findings import findings_table, outcomes_table
from perflib.tables.finops import carbon_table, instance_table, unit_cost_table
from perflib.tables.gates import gates_table
from perflib.tables.history import alerts_table, change_points_table, confirmation_table, series_table
from perflib.tables.ladder import ladder_table, rivals_table, waterfall_table
from perflib.tables.markup import pill, table
from perflib.tables.model import baseline_table, ceilings_table, machine_table
from perflib.tables.profile import kinds_table, machine_ceilings_table, modules_table, operators_table, shapes_table
from perflib.tables.speed import comparison_table, metrics_table, timings_table
from perflib.tables.summary import reasons_list, sentences_of, summary_table
from perflib.tables.techniques import bounds_table, padding_table, techniques_table, trials_table

__all__ = [
    "alerts_table",
    "backlog_table",
    "baseline_table",
    "bounds_table",
    "breakeven_table",
    "carbon_table",
    "ceilings_table",
    "change_points_table",
    "comparison_table",
    "confirmation_table",
    "exemplars_table",
    "failed_list",
    "findings_table",
    "forecast_table",
    "gates_table",
    "instance_table",
    "kinds_table",
    "ladder_table",
    "machine_ceilings_table",
    "machine_table",
    "metrics_table",
    "modules_table",
    "operators_table",
    "outcomes_table",
    "padding_table",
    "pill",
    "probes_table",
    "reasons_list",
    "rivals_table",
    "sentences_of",
    "series_table",
    "shapes_table",
    "summary_table",
    "table",
    "techniques_table",
    "timings_table",
    "trials_table",
    "unit_cost_table",
    "waterfall_table",
]
