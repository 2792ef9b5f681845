"""
The house defaults of a rollout: stages, limits, windows, times. They are ours, not a standard's; a plan copies them.

| what | value | why |
|---|---|---|
| stages | 0, 1, 10, 50, 100 % | ten times as many users a step, until half can be compared with half |
| mirrored | all, then 1 of 5 | labels need both answers; it also keeps the baseline warm for the way back |
| error rate | at most 1 % | what users of a web service are commonly promised: 99 % of the answers |
| label agreement | at least 98 % | or 1.5 times the disagreement of the test split, where that is more |
| share of answers | half of that | the gate for changes that all go one way, such as everything becoming positive |
| p99 latency | at most 1.10 times | a tenth is noticed by nobody, and more is not what the benchmark promised |
| windows | 5 min, else 15 min | errors are few and loud; labels and tails need more requests before they say anything |
| breaches | 2 in a row | one window may be a hiccup; with chance at 1 % a window, two are one in ten thousand |
| least time | 60 min, then 30 min | shadow costs users nothing; each gate has spoken twice before the next step |
| way back | 5 min | routing tables of several balancers are renewed within minutes; nothing is built or loaded |
| expiry | 90 days | traffic, prices and packages will have changed |
"""

from perflib.results.governance import RolloutStage, StageGate

ERRORS, LATENCY, AGREEMENT, SHIFT = "error_ratio", "p99_sec", "label_agreement_ratio", "answer_shift_ratio"

ERROR_LIMIT_RATIO = 0.01
LEAST_DISAGREEMENT_LIMIT_RATIO = 0.02
DISAGREEMENT_FACTOR_RATIO = 1.5
LATENCY_FACTOR_RATIO = 1.10
SHORT_WINDOW_SEC, LONG_WINDOW_SEC = 300.0, 900.0
BREACH_COUNT = 2
SHADOW_SEC, STAGE_SEC = 3600.0, 1800.0
ROLLBACK_SEC = 300.0
EXPIRY_DAYS = 90
MIRROR_RATIO = 0.2
# A 99th percentile of fewer calls rests on less than ten of them.
LEAST_TAIL_COUNT = 1000
# Name, share of the requests that the candidate answers, share that the other arm answers too.
STAGES = (
    ("shadow", 0.0, 1.0),
    ("canary-1", 0.01, MIRROR_RATIO),
    ("canary-10", 0.10, MIRROR_RATIO),
    ("half", 0.5, MIRROR_RATIO),
    ("full", 1.0, MIRROR_RATIO),
)


def make_gates(*, disagreement_limit_ratio: float) -> tuple[StageGate, ...]:
    """
    Return what every stage watches.

    ``p99_sec`` is the candidate's 99th percentile over the baseline's; ``answer_shift_ratio`` is how far the share of
    any one answer (of positive ones, where there are two) has moved among requests that both arms answered.

    Args:
        disagreement_limit_ratio: Share of the mirrored requests that may get another label.
    """
    agreement_ratio = round(1 - disagreement_limit_ratio, 6)
    return (
        StageGate(ERRORS, "<=", ERROR_LIMIT_RATIO, "", SHORT_WINDOW_SEC, BREACH_COUNT),
        StageGate(AGREEMENT, ">=", agreement_ratio, "", LONG_WINDOW_SEC, BREACH_COUNT),
        StageGate(LATENCY, "<=", LATENCY_FACTOR_RATIO, "baseline", LONG_WINDOW_SEC, BREACH_COUNT),
        StageGate(SHIFT, "abs<=", round(disagreement_limit_ratio / 2, 6), "", LONG_WINDOW_SEC, BREACH_COUNT),
    )


def make_stages(gates: tuple[StageGate, ...], *, least_request_count: int) -> tuple[RolloutStage, ...]:
    """Return the five stages; every gate of each has to see so many requests before the next begins."""
    return tuple(
        RolloutStage(
            name=name,
            traffic_ratio=traffic_ratio,
            mirror_ratio=mirror_ratio,
            least_sec=STAGE_SEC if traffic_ratio else SHADOW_SEC,
            least_request_count=least_request_count,
            gates=gates,
        )
        for name, traffic_ratio, mirror_ratio in STAGES
    )
