"""
Recompute a validation record from the kept answers alone: `python tests/recompute_validation.py RUN_FOLDER NAME`.

It ends with code 1 and the names of all values that differ. Not recomputable from answers: `UNKNOWN` (the seed, limits
of A2 and A7-bound and whether A3-negative forgives ties are believed), and slices of a tree, as nobody kept their rows.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

# fmt: off
UNKNOWN = ("identity", "invariance", "overlaps", "cut_ratio", "long_ratio", "churn", "seed", "gates", "explored")
ARMS, Z, LEAST = ("baseline", "candidate"), special.ndtri, 1e-12
def leaves(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict | list):
        return {} if pd.isna(value) else {path[1:]: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {where: leaf for key, one in items for where, leaf in leaves(one, f"{path}.{key}").items()}
def label_of(p: Any) -> Any:  # an answer that is not finite is a label of its own, and wrong
    return np.where(np.isfinite(p).all(axis=1), np.nan_to_num(p).argmax(axis=1), -1)
def change_of(n10: int, n01: int, n: int, level: float = 0.95) -> dict[str, Any]:
    def excess(d: float, n10: int, n01: int) -> Any:  # Tango (1998): zero at the bound
        b, c = -n10 - n01 - (2 * n - n10 + n01) * d, n01 * d * (1 + d)
        return n01 - n10 - n * d - Z(level) * max((max(b * b - 8 * n * c, 0)**0.5 - b) / 2 - n * d * (1 + d), 0)**0.5
    ways = ((n10, n01), (n01, n10)) if n else ()
    low, high = [optimize.bisect(excess, -1, (c - b) / n - LEAST, (b, c), 1e-14) for b, c in ways] or (-1, -1)
    return {"estimate": (n01 - n10) / max(n, 1), "low": low, "high": -high, "level_ratio": level}
def family(members: Any, bound: float = 2, may: Any = None) -> Any:  # changes; Holm over those that may and bear a flip
    pairs = [(int(sum(before & ~after)), int(sum(after & ~before)), len(before)) for before, after in members]
    order = sorted((i for i in range(len(pairs)) if may is None or may[i]), key=lambda i: -pairs[i][2])
    enough = [m for m, i in enumerate(order, 1) if change_of(1, 0, pairs[i][2], 1 - 0.05 / m)["low"] > -bound]
    scores = {i: (pairs[i][0] - pairs[i][1]) / max(sum(pairs[i][:2]), 1)**0.5 for i in order[:max([0, *enough])]}
    levels, share = {}, len(scores)
    for i in sorted(scores, key=lambda i: (-scores[i], i)):
        levels[i] = 1 - 0.05 / share
        share -= scores[i] > Z(levels[i])
    return [(*pair, i in levels, change_of(*pair, levels.get(i, 0.95))) for i, pair in enumerate(pairs)]
def bootstrap(names: Any, score: Any, arms: Any, draw_count: int, level: float = 0.95) -> list[dict[str, Any]]:
    rng, n = np.random.default_rng(record["seed"]), len(arms[0])
    draws = (rng.integers(n, size=n) if draw else np.arange(n) for draw in range(draw_count + 1))
    changes = np.array([np.subtract(score(arms[1][rows]), score(arms[0][rows])) for rows in draws])
    found = zip(names, changes[0], *np.quantile(changes[1:], [1 - level, level], axis=0), strict=True)
    return [dict(zip(("name", "estimate", "low", "high", "level_ratio"), (*one, level), strict=True)) for one in found]
def trust(r: Any) -> list[Any]:  # ECE with bins of equal width, of equal mass, then means: Brier, log loss, accuracy
    return [*(abs(np.bincount(r[:, i].astype(int), r[:, 2])).sum() / len(r) for i in (0, 1)), *r[:, 3:].mean(axis=0)]
def spread(r: Any) -> list[Any]:  # the widest range of a share over groups; a cell is a group and a class
    hits, counts = (np.bincount(r[:, 0].astype(int), some, 100).reshape(-1, 2) for some in (r[:, 1], None))
    return [np.fmax.reduce(np.fmax.reduce(hits / counts) - np.fmin.reduce(hits / counts))]

if __name__ == "__main__":
    np.seterr(all="ignore")
    folder, name = Path(sys.argv[1], "records"), sys.argv[2]
    record, probes = json.loads((folder / f"validation-{name}.json").read_text()), folder / f"probes-{name}.parquet"
    limit = {gate["id"]: gate["limit"] for gate in record["gates"]}
    forgiving = [one["id"] for one in record["gates"] if "ties of the baseline left out" in one["sentence"]]
    frame: Any = pd.read_parquet(folder / f"predictions-{name}.parquet")
    p, q = (frame.filter(regex=rf"^{arm}_\d+$").to_numpy(float) for arm in ARMS)
    label, was, now, ties = frame["label"].to_numpy(), label_of(p), label_of(q), np.diff(np.sort(p))[:, -1] < 0.001
    n, classes, bound, before, after = len(p), range(len(p.T)), limit.get("A7-bound", 0.05), was == label, now == label
    counted, arms = np.where(ties & ("A3-negative" in forgiving), before, after), list[Any]()
    [(n10, n01, _, _, change)] = family([(before, after)])
    ours: Any = {"example_count": n, "baseline_accuracy_ratio": before.mean(), "candidate_accuracy_ratio": after.mean(),
        "negative_flip_count": n10, "positive_flip_count": n01, "changed_label_count": sum(was != now),
        "tie_count": sum((before != after) & ties), "negative_tie_count": sum(before & ~after & ties),
        "accuracy_change_ratio": change | {"high": None}, "slices": [], "classes": [], "gaps": [], "probes": [],
        "relative_negative_flip_ratio": n10 / n / (before.mean() * np.mean(~after)),
        "mcnemar_p": stats.binomtest(n10, n10 + n01).pvalue if n10 + n01 else 1,
        "needed_example_count": np.ceil((Z(0.95) + Z(0.8))**2 * max(n10 + n01, 1) / n / limit.get("A2", 0.01)**2),
        "non_finite_count": sum(now < 0), "worst_sum_error_ratio": np.abs(q[now >= 0].sum(axis=1) - 1).max(initial=0)}
    if (is_finite := (was >= 0) & (now >= 0)).any():
        a, b, m = (np.maximum(arm[is_finite], LEAST) for arm in (p, q, (p + q) / 2))
        kl, kl_a, kl_b = ((one * np.log(one / other)).sum(axis=1) for one, other in ((a, b), (a, m), (b, m)))
        kl, js_bits = np.maximum(kl, 0), np.clip((kl_a + kl_b) / 2 / np.log(2), 0, 1)
        a, b = (np.log(arm) - np.log(arm).mean(axis=1, keepdims=True) for arm in (a, b))
        power, noise, quantiles = (a**2).sum(), ((a - b)**2).sum() or np.nan, np.quantile(kl, (0.5, 0.99, 0.999))
        ours["distances"] = {"label_loyalty_ratio": np.mean(was == now), "kl_median_nat": quantiles[0],
            "kl_p99_nat": quantiles[1], "kl_p999_nat": quantiles[2], "kl_max_nat": max(kl), "kl_mean_nat": kl.mean(),
            "probability_loyalty_ratio": np.mean(1 - js_bits**0.5), "sqnr_db": 10 * np.log10(power / noise),
            "cosine_ratio": (a * b).sum() / (power * (b**2).sum())**0.5}
    for arm, answers, right in ((ARMS[0], p, before), (ARMS[1], q, after)):
        if np.isfinite(answers).all():
            top, truth = answers.max(axis=1), np.eye(len(classes))[label]
            wide, mass = sum(top >= i / 15 for i in range(15)) - 1, (stats.rankdata(top, "ordinal") - 1) * 15 // n
            brier, nll = ((answers - truth)**2).sum(axis=1), -np.log(np.maximum(answers[truth > 0], LEAST))
            arms.append(np.column_stack([wide, mass, right - top, brier, nll, right]))
            count, sure, hit = (np.bincount(wide, values, 15) for values in (np.ones(n), top, right))
            bins = pd.DataFrame({"low_ratio": np.arange(15) / 15, "high_ratio": np.arange(1, 16) / 15,
                "example_count": count, "confidence_ratio": sure / count, "accuracy_ratio": hit / count})
            ece, ece_mass, brier, nll, _ = trust(arms[-1])
            ours[f"{arm}_confidence"] = {"ece_ratio": ece, "ece_mass_ratio": ece_mass, "brier_score": brier,
                "nll_nat": nll, "mce_ratio": np.fmax.reduce(abs(sure - hit) / count), "bins": bins.to_dict("records")}
    if len(arms) == 2:
        ours["differences"] = bootstrap(("ece", "ece_mass", "brier", "nll", "accuracy"), trust, arms, 10_000)
    columns = {key[6:]: frame[key].to_numpy() for key in frame.filter(regex="^slice_") if frame[key].nunique() > 1}
    cut = [(key, value, values == value) for key, values in columns.items() for value in sorted(set(values))]
    changes = family([(before[rows], counted[rows]) for *_, rows in cut], bound)
    for (key, value, rows), (n10, n01, m, is_gated, change) in zip(cut, changes, strict=True):
        wilson = stats.binomtest(int(sum(before[rows])), m).proportion_ci(0.95, "wilson")
        ours["slices"].append({"column": key, "value": value, "example_count": m, "is_exploratory": False,
            "baseline_accuracy_ratio": before[rows].mean(), "candidate_accuracy_ratio": after[rows].mean(),
            "baseline_low_ratio": wilson.low, "baseline_high_ratio": wilson.high, "change_ratio": (n01 - n10) / m,
            "negative_flip_count": n10, "positive_flip_count": n01, "change_low_ratio": change_of(n10, n01, m)["low"],
            "is_gated": is_gated, **{f"holm_{side}_ratio": change[side] for side in ("low", "high") if is_gated}})
    for i, (*_, m, ok, recall) in enumerate(family([(before[label == i], after[label == i]) for i in classes], bound)):
        rate = change_of(sum((was == i) & (now != i)), sum((was != i) & (now == i)), n, 1 - 0.025 / len(classes))
        ours["classes"] += [{"example_count": m, "is_gated": ok, "recall_change": recall, "rate_change": rate}]
    groups = {key: [rows for name, _, rows in cut if name == key and sum(rows) >= 50] for key in columns}
    groups = {key: some for key, some in groups.items() if key != "baseline margin" and len(some) > 1}
    for key, some in groups.items():
        ours["gaps"].append({"column": key})
        mixed = [rows for rows in some if len(classes) == 2 == len(set(label[rows]))]
        for field, parts, kind in (("gap_increase", some, 0), ("odds_increase", mixed, label)):
            if len(parts) > 1:
                cell = 2 * sum(place * rows for place, rows in enumerate(parts, 1)) + kind
                both = [np.column_stack([cell, np.where(cell > 1, right, np.nan)]) for right in (before, after)]
                [ours["gaps"][-1][field]] = bootstrap([None], spread, both, 2_000, 1 - 0.05 / len(groups))
    for suite, asked in pd.read_parquet(probes).groupby("suite", sort=False) if probes.exists() else ():
        label, rule = asked["label"].fillna(-1).to_numpy(int), asked["rule"].to_numpy()
        for arm in ARMS:
            first, then = (asked.filter(regex=f"^{arm}_{side}_").to_numpy(float) for side in ("before", "after"))
            was, now, fall = label_of(first), label_of(then), (first - then)[range(len(asked)), label]
            wrong = np.select([rule == "same", rule == "right"], [was != now, now != label], fall > 0.1 + 1e-6)
            asked[f"{arm} right"] = ~wrong & (now >= 0) & ((was >= 0) | (rule == "right"))
            is_pair = (suite == "counterfactual") & (was >= 0) & (now >= 0)
            asked[f"{arm} gap"] = np.where(is_pair, (first - then)[:, 1], np.nan)
        kinds = list(asked.groupby(["kind", "version"], sort=False))
        may = [suite != "perturbation" or (len(part) >= 300 and key[0] != "lookalike letters") for key, part in kinds]
        changes = family([(part["baseline right"], part["candidate right"]) for _, part in kinds], 2, may)
        for ((kind, version), part), (n10, n01, count, is_gated, change) in zip(kinds, changes, strict=True):
            more = {"estimate": (n10 - n01) / count, "low": -change["high"], "high": -change_of(n10, n01, count)["low"]}
            growth = (part["candidate gap"].abs() - part["baseline gap"].abs()).mean()
            ours["probes"].append({"suite": suite, "kind": kind, "version": version, "probe_count": count,
                "is_gated": is_gated, "increase": change | more, "token_gap_change_ratio": growth,
                **{f"{arm}_fail_count": sum(~part[f"{arm} right"]) for arm in ARMS},
                **{f"{arm}_mean_gap_ratio": part[f"{arm} gap"].mean() for arm in ARMS}})
    record["explored"], kept = ([x for x in record["slices"] if x["is_exploratory"] == flag] for flag in (True, False))
    theirs, mine = leaves(record | {"slices": kept}), leaves(ours)
    numbers = {path for path, one in theirs.items() if not isinstance(one, str)}
    known = {path for path in numbers if not path.startswith(UNKNOWN)} | set(mine)
    pairs = {path: (theirs.get(path, np.inf), mine.get(path, np.inf)) for path in known}
    errors = {path: a != b if isinstance(b, str) else abs(a - b) / max(1, abs(b)) for path, (a, b) in pairs.items()}
    print(f"{len(known)} values compared, {len(numbers - known)} not; largest difference {max(errors.values()):.1e}")
    sys.exit(", ".join(sorted(path for path, error in errors.items() if not error <= 1e-9)) or 0)
