"""
Computed conclusions: one sentence per result, with its values, its uncertainty and its n.

Notebooks and the report show these; nobody types a number into prose.
"""

from perflib.sentences.answers import (
    churn_sentence,
    confidence_sentence,
    notes_sentence,
    probes_sentence,
    quality_sentence,
    slices_sentence,
)
from perflib.sentences.backlog import backlog_lines, backlog_sentence, failed_sentence, money_sentence, tornado_sentence
from perflib.sentences.breakeven import breakeven_sentence
from perflib.sentences.build import build_sentence
from perflib.sentences.findings import findings_sentence, outcomes_sentence, promise_sentence
from perflib.sentences.finops import carbon_sentence, realisable_sentence, saving_sentence
from perflib.sentences.history import (
    check_sentence,
    confirmation_sentence,
    nomination_sentence,
    series_sentence,
    watch_noise_sentence,
)
from perflib.sentences.ladder import (
    alone_sentence,
    consistency_sentence,
    end_to_end_sentence,
    ladder_sentence,
    rivals_sentence,
    waterfall_sentence,
)
from perflib.sentences.model import baseline_sentence, ceilings_sentence, repeats_sentences
from perflib.sentences.profile import (
    kinds_sentence,
    limit_sentence,
    matrix_sentence,
    memory_sentence,
    overhead_sentence,
    profile_sentence,
    reach_sentence,
)
from perflib.sentences.rehearsal import fault_sentence, metric_words, rehearsal_sentence, way_back_sentence
from perflib.sentences.search import recipe_words, search_sentences
from perflib.sentences.speed import comparison_sentence, prediction_sentence, speed_sentence
from perflib.sentences.study import calibration_sentence, noise_sentence, rules_sentence
from perflib.sentences.techniques import (
    bounds_sentence,
    choice_sentence,
    family_sentence,
    guess_sentence,
    padding_sentence,
    trials_sentence,
    why_sentence,
    work_sentence,
)

__all__ = [
    "alone_sentence",
    "backlog_lines",
    "backlog_sentence",
    "baseline_sentence",
    "bounds_sentence",
    "breakeven_sentence",
    "build_sentence",
    "calibration_sentence",
    "carbon_sentence",
    "ceilings_sentence",
    "check_sentence",
    "choice_sentence",
    "churn_sentence",
    "comparison_sentence",
    "confidence_sentence",
    "confirmation_sentence",
    "consistency_sentence",
    "end_to_end_sentence",
    "failed_sentence",
    "family_sentence",
    "fault_sentence",
    "findings_sentence",
    "guess_sentence",
    "kinds_sentence",
    "ladder_sentence",
    "limit_sentence",
    "matrix_sentence",
    "memory_sentence",
    "metric_words",
    "money_sentence",
    "noise_sentence",
    "nomination_sentence",
    "notes_sentence",
    "outcomes_sentence",
    "overhead_sentence",
    "padding_sentence",
    "prediction_sentence",
    "probes_sentence",
    "profile_sentence",
    "promise_sentence",
    "quality_sentence",
    "reach_sentence",
    "realisable_sentence",
    "recipe_words",
    "rehearsal_sentence",
    "repeats_sentences",
    "rivals_sentence",
    "rules_sentence",
    "saving_sentence",
    "search_sentences",
    "series_sentence",
    "slices_sentence",
    "speed_sentence",
    "tornado_sentence",
    "trials_sentence",
    "watch_noise_sentence",
    "waterfall_sentence",
    "way_back_sentence",
    "why_sentence",
    "work_sentence",
]
