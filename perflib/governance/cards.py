"""
The model card of a candidate, with the metadata of the Hugging Face hub, from records alone and without a network.

The hub's own checker is never asked: it would send the card away. Every foreign word is written without markup.
"""

from collections.abc import Iterable

from perflib import units
from perflib.governance.card_facts import CardMetric, card_metrics, limits
from perflib.governance.ledger import Ledger
from perflib.governance.models import model_sha256
from perflib.plain import markdown
from perflib.results.governance import ArmCarbon, Carbon

_TASKS = {"texts": "text-classification", "images": "image-classification"}
# Smaller ones would be zeros in four digits.
_SMALL = 5e-5


def make_card(ledger: Ledger, name: str, carbon: Carbon | None) -> str:
    """
    Return a candidate's model card: YAML metadata, then Markdown.

    Args:
        ledger: What the run left.
        name: Of the candidate.
        carbon: Estimate of the run's emissions; None where none was made.

    Raises:
        ParameterError: If the run has no such candidate.
    """
    from huggingface_hub import ModelCard

    ledger.candidate(name)
    metrics = card_metrics(ledger, name)
    sections = [
        f"# {markdown(name)}, a candidate for {markdown(ledger.workload)}",
        _details(ledger, name),
        _uses(ledger, name),
        f"## Bias, Risks, and Limitations\n\n{_bullets(markdown(one) for one in limits(ledger, name))}",
        _training(ledger, name),
        _evaluation(ledger, name, metrics),
        _environment(carbon, name),
        _specifications(ledger, name),
        _GLOSSARY,
        "## Model Card Authors\n\nWritten by perflib from the records of the run; no sentence was written by hand.",
        "## Model Card Contact\n\nWhoever signed the evidence pack that this card lies in; VERIFY.md names the keys.",
    ]
    body = "\n\n".join(sections)
    return str(ModelCard(f"---\n{_metadata(ledger, name, metrics)}\n---\n\n{body}\n"))


_GLOSSARY = """## Glossary

* Baseline: the model that answers users today.
* Flip: an answer that was right and is wrong now, or the other way round.
* Gate, guardrail: a limit that was fixed before the answers were seen.
* Interval: the bounds between which a number lies with the confidence that is stated beside it.
* Slice: a part of the test data, such as one domain or one length."""


def _metadata(ledger: Ledger, name: str, metrics: Iterable[CardMetric]) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    validation = ledger.validations.get(name)
    stages = [step.stage for step in ledger.builds[name].steps] if name in ledger.builds else []
    task = _task(ledger)
    results = [
        EvalResult(
            task_type=task,
            dataset_type=ledger.workload,
            dataset_name=ledger.workload,
            dataset_split="test",
            dataset_revision=validation.split_sha256 if validation else None,
            metric_type=one.kind,
            metric_name=f"{one.name}, {one.part}" if one.part else one.name,
            metric_value=one.value,
            metric_args=_arguments(one),
        )
        for one in metrics
    ]
    data = ModelCardData(
        model_name=f"{ledger.workload}-{name}",
        pipeline_tag=task,
        tags=list(dict.fromkeys(["perflib", *stages])),
        eval_results=results or None,
    )
    return str(data.to_yaml())


def _arguments(metric: CardMetric) -> dict[str, object] | None:
    known = {
        "slice": metric.part or None,
        "low": metric.low,
        "high": metric.high,
        "level": metric.level_ratio,
        "examples": metric.example_count,
    }
    return {key: value for key, value in known.items() if value is not None} or None


def _details(ledger: Ledger, name: str) -> str:
    candidate, baseline = ledger.candidate(name), ledger.baseline
    validation = ledger.validations.get(name)
    lines = [
        f"A compressed form of the model behind {markdown(ledger.workload)}. Verdict of its run: {candidate.verdict}.",
        f"sha256 of the model: `{model_sha256(ledger, name) or 'nothing was built'}`",
        f"Run: {markdown(ledger.summary.run_id)}, code {markdown(ledger.summary.commit)}",
    ]
    if baseline is not None:
        size, count = units.size(baseline.size_bytes), baseline.parameter_count
        lines.append(f"Made from: `{baseline.artifact_sha256}`, {size}, {count:,} parameters")
    if validation is not None and validation.classes:
        lines.append(f"Answers: {', '.join(markdown(one.label) for one in validation.classes)}")
    return f"## Model Details\n\n{_bullets(lines)}"


def _uses(ledger: Ledger, name: str) -> str:
    workload, candidate = markdown(ledger.workload), ledger.candidate(name)
    if candidate.verdict == "approved" and candidate.is_finalist:
        direct = (
            f"It may answer in place of the baseline for {workload}, on the class of machines that it was timed on."
        )
    else:
        direct = f"None: it is {candidate.verdict} and may not be shipped from this run."
    return (
        f"## Uses\n\n### Direct Use\n\n{direct}\n\n"
        "### Downstream Use\n\nWhatever uses the baseline's labels; "
        "thresholds on its probabilities have to be checked again.\n\n"
        "### Out-of-Scope Use\n\nOther tasks, languages and kinds of input than those of the test data; "
        "decisions about people without a person."
    )


def _training(ledger: Ledger, name: str) -> str:
    build = ledger.builds.get(name)
    if build is None:
        return "## Training Details\n\nNo record says how it was made."
    validation = ledger.validations.get(name)
    is_retrained = validation is not None and validation.profile == "retrained"
    trained = "It was trained again." if is_retrained else "Nothing was trained after the baseline."
    rows = [
        f"| {markdown(step.stage)} | {units.duration(step.build_sec)} | {units.size(step.size_bytes)} |"
        for step in build.steps
    ]
    table = "\n".join(["| stage | time | size after it |", "|---|---|---|", *rows])
    proofs = [
        f"{markdown(str(proof['stage']))}: {markdown(key)} = {markdown(str(value))}"
        for proof in build.proofs
        for key, value in proof.items()
        if key != "stage"
    ]
    checked = f"\n\nWhat the stages proved of themselves:\n\n{_bullets(proofs)}" if proofs else ""
    return f"## Training Details\n\n{trained} It was made in {units.duration(build.build_sec)}.\n\n{table}{checked}"


def _evaluation(ledger: Ledger, name: str, metrics: tuple[CardMetric, ...]) -> str:
    validation = ledger.validations.get(name)
    if validation is None:
        data, factors = "Its answers were not compared with anything.", "None."
    else:
        count, split = validation.example_count, validation.split_sha256
        data = f"{count:,} examples of the test split, whose sha256 is `{split}`."
        columns = dict.fromkeys(markdown(one.column) for one in validation.slices)
        factors = f"Both models were compared by: {', '.join(columns) or 'nothing but the whole split'}."
    whole = _table([one for one in metrics if not one.part])
    parts = _table([one for one in metrics if one.part])
    slices = f"\n\n#### By part of the data\n\n{parts}" if parts else ""
    gates = _gates(ledger, name)
    return (
        f"## Evaluation\n\n### Testing Data\n\n{data}\n\n### Factors\n\n{factors}\n\n"
        "### Metrics\n\nAccuracy and its change against the baseline, example by example; speed as the baseline's time "
        "over the candidate's, measured in pairs of fresh processes. Bounds stand beside numbers that have them. "
        "Those of accuracy hold on each side with 95 %; those of slices pay for all slices together.\n\n"
        f"### Results\n\n{whole or 'Nothing was measured.'}{slices}{gates}"
    )


def _gates(ledger: Ledger, name: str) -> str:
    validation = ledger.validations.get(name)
    if validation is None or not validation.gates:
        return ""
    rows = [f"| {markdown(one.id)} | {one.verdict} | {markdown(one.sentence)} |" for one in validation.gates]
    return "\n\n#### Guardrails\n\n" + "\n".join(["| id | verdict | what it found |", "|---|---|---|", *rows])


def _environment(carbon: Carbon | None, name: str) -> str:
    arm = next((one for one in carbon.arms if one.name == name), None) if carbon else None
    if carbon is None or arm is None:
        words = "No energy was estimated for this candidate."
    else:
        basis = "Measured with a meter" if arm.is_metered else "An estimate: modelled from power and time, not metered"
        example = " The assumptions are examples that nobody has confirmed." if carbon.is_example else ""
        words = f"{_emission(arm)} {basis}.{example} {markdown(carbon.boundary)} {markdown(carbon.method)}"
    return f"## Environmental Impact\n\n{words}"


def _emission(arm: ArmCarbon) -> str:
    score = arm.score_gram
    low, middle, high = (units.three_digits(one) for one in (score.p10, score.p50, score.p90))
    return f"{middle} g of CO2 equivalent per 1,000 inferences (from {low} to {high})."


def _specifications(ledger: Ledger, name: str) -> str:
    comparison, card = ledger.comparisons.get(name), ledger.summary.machine
    lines = [f"Machine: {markdown(str(card.get('cpu_model', 'unknown')))}, {card.get('core_count', 'unknown')} cores"]
    flags = card.get("isa_flags") or ("none that were recorded",)
    lines.append(f"Processor features: {markdown(', '.join(map(str, flags)))}")
    if comparison is not None:
        versions = comparison.candidate_environment.versions
        packages = ", ".join(f"{package} {version}" for package, version in sorted(versions.items()))
        lines.append(f"Python {markdown(comparison.candidate_environment.python)}; {markdown(packages)}")
    return f"## Technical Specifications\n\n{_bullets(lines)}"


def _table(metrics: list[CardMetric]) -> str:
    if not metrics:
        return ""
    rows = [
        f"| {markdown(one.name)} | {markdown(one.part) or 'all'} | {_number(one.value)} | {_bounds(one)} "
        f"| {'–' if one.example_count is None else f'{one.example_count:,}'} |"
        for one in metrics
    ]
    return "\n".join(["| number | of | value | bounds | examples |", "|---|---|---|---|---|", *rows])


def _bounds(metric: CardMetric) -> str:
    if metric.level_ratio is None:
        return "–"
    low = "−∞" if metric.low is None else _number(metric.low)
    high = "∞" if metric.high is None else _number(metric.high)
    return f"{low} to {high} ({units.percent(metric.level_ratio, 0)})"


def _number(value: float) -> str:
    if value != 0 and abs(value) < _SMALL:
        return f"{value:.2e}".replace("-", "−", 1) if value < 0 else f"{value:.2e}"
    digits_count = 0 if abs(value) >= 1_000 else 1 if abs(value) >= 100 else 4
    return f"{value:,.{digits_count}f}".replace("-", "−")


def _task(ledger: Ledger) -> str:
    return _TASKS.get(ledger.baseline.unit if ledger.baseline else "", "other")


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"* {line}" for line in lines)
