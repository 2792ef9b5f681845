"""Params: every mistake is one sentence that names the file or the key, before anything runs."""

from pathlib import Path

import pytest

from perflib import project
from perflib.errors import ParameterError
from perflib.guardrails import load_guardrails, load_waivers
from perflib.params import load_experiments, load_run
from perflib.plain_yaml import MAX_FILE_BYTES, read_yaml

RUN = "workload: reviews-tiny\n"
EXPERIMENT = "name: mine\nrecipe: [precision]\npredicted_speedup_ratio: 2.0\nbecause: a reason\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a test writes its params file."""
    return tmp_path / "mine.yaml"


def refused(path: Path, *said: str) -> str:
    """Check that a run's file is refused in one sentence that says all of ``said``."""
    with pytest.raises(ParameterError) as caught:
        load_experiments(load_run(path), path.parent)
    sentence = str(caught.value)

    assert sentence.isprintable()
    for words in said:
        assert words in sentence
    return sentence


# What is wrong with the text of a run's params file, and what the sentence must name.
BAD_RUNS = {
    "unknown key": (RUN + "max_live_count: 6\n", "`max_live_count` is not a parameter of", "`max_lives_count`?"),
    "unknown experiment": (RUN + "experiments: [mime]\n", "experiment `mime` has no file", "did you mean `mine`"),
    "experiment with a line break": (RUN + 'experiments: ["a\\nb"]\n', "has no file"),
    "experiment that leaves the folder": (RUN + "experiments: [../mine]\n", "has no file"),
    "repeated experiment": (RUN + "experiments: [mine, mine]\n", "name each one once"),
    "unknown scenario": (RUN + "scenarios: [singel]\n", "mine.yaml", "did you mean `single`"),
    "no scenario": (RUN + "scenarios: []\n", "mine.yaml"),
    "unknown key of a table": ("workload: {hf_modl: x}\n", "`hf_modl` is not a parameter", "did you mean `hf_model`"),
    "key of a table missing": ("workload: {hf_model: x, data: y, text: z}\n", "lacks `label`"),
    "no workload": ("seed: 1\n", "mine.yaml lacks `workload`"),
    "string for a number": (RUN + 'seed: "1"\n', "`seed`", "'1'"),
    "bool for a number": (RUN + "seed: true\n", "`seed`", "True"),
    "float for a count": (RUN + "max_lives_count: 6.5\n", "`max_lives_count`"),
    "number for a word": ("workload: 3\n", "workload"),
    "six to choose from": (
        RUN + "experiments: [a, b, c, d, e, f]\n",
        "6 experiments would be chosen from",
        "at most 5",
    ),
    "six finalists": (RUN + "experiments: [a, b, c, d, e, f]\nfinalists: [a, b, c, d, e, f]\n", "name at most 5"),
    "a finalist twice": (RUN + "experiments: [a, b]\nfinalists: [a, a]\n", "each once"),
    "a finalist of another run": (RUN + "experiments: [a]\nfinalists: [b]\n", "finalist `b` is no experiment"),
    "a ladder of another run": (RUN + "experiments: [a]\nladder: b\n", "`b` is no experiment of this run"),
    "a map of another run": (RUN + "experiments: [a]\nbreakeven: b\n", "`b` is no experiment of this run"),
    "an explanation of some": (RUN + "explain: some\n", "`explain`", "some"),
    "an explanation of nothing": (RUN + "explain:\n", "`explain`", "None"),
    "rivals without a ladder": (RUN + "experiments: [a]\nrivals: [a]\n", "rivals are given, but no ladder"),
    "word for a list": (RUN + "experiments: int8\n", "`experiments`"),
    "null": (RUN + "seed:\n", "`seed`", "None"),
    "below the range": (RUN + "max_lives_count: 4\n", "`max_lives_count`", "4"),
    "above the range": (RUN + "max_lives_count: 201\n", "`max_lives_count`"),
    "negative": (RUN + "seed: -1\n", "`seed`"),
    "seed beyond 32 bits": (RUN + "seed: 4294967296\n", "`seed`"),
    "a unit in the value": (RUN + "cell_timeout_sec: 30 min\n", "`cell_timeout_sec`", "30 min"),
    "a list of waivers": (RUN + "waivers: []\n", "`waivers`"),
    "waivers without a name": (RUN + "waiver: mine.yaml\n", "`waiver` is not a parameter", "did you mean `waivers`"),
    "another device": (RUN + "device: tpu\n", "`device`", "tpu"),
    "not YAML": ("workload: [unclosed\n", "mine.yaml is not plain YAML"),
    "tabs": ("workload:\n\t- a\n", "mine.yaml is not plain YAML"),
    "two documents": (RUN + "---\n" + RUN, "mine.yaml is not plain YAML"),
    "empty": ("", "mine.yaml is empty"),
    "comments only": ("# nothing\n", "mine.yaml is empty"),
    "a list": ("- workload\n", "mine.yaml holds a list"),
    "a word": ("workload\n", "mine.yaml holds a str"),
    "a tag that calls": ('workload: !!python/object/apply:os.system ["exit 7"]\n', "mine.yaml", "tag"),
    "a tag that names": ("workload: !!python/name:os.system\n", "mine.yaml", "tag"),
    "a harmless tag": ("workload: !!str 3\n", "mine.yaml", "tag"),
    "a tag without a name": ("workload: ! reviews-tiny\n", "mine.yaml", "tag"),
    "an anchor": ("workload: &a reviews-tiny\n", "mine.yaml", "anchor"),
    "an alias": ("workload: *a\n", "mine.yaml", "alias"),
    "a bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nworkload: *c\n", "mine.yaml", "anchor"),
    "a merge": ("<<: {workload: x}\n", "mine.yaml"),
    "a repeated key": (RUN + "seed: 1\nseed: 2\n", "mine.yaml", "`seed` stands twice"),
    "a repeated key inside": ("workload: {data: a, data: b}\n", "`data` stands twice"),
    "NaN": (RUN + "seed: .nan\n", "mine.yaml is nan"),
    "infinity": (RUN + "seed: -.inf\n", "mine.yaml is -inf"),
    "a float that is infinite": (RUN + "seed: 1.0e+999\n", "mine.yaml is inf"),
    "NaN deep inside": (RUN + "experiments: [[[.nan]]]\n", "mine.yaml is nan"),
    "too many digits": (RUN + f"seed: {'9' * 5000}\n", "mine.yaml is not plain YAML"),
    "an impossible date": (RUN + "seed: 2001-99-99\n", "`seed` in", "'2001-99-99'"),
    "a number without digits": (RUN + "seed: 0x_\n", "mine.yaml is not plain YAML"),
    "a date": (RUN + "seed: 2001-01-01\n", "`seed` in", "'2001-01-01'"),
    "a list as key": (RUN + "? [1]\n: 2\n", "mine.yaml"),
    "a number as key": (RUN + "1: 2\n", "mine.yaml", "1 is no parameter name"),
    "a bool as key": (RUN + "yes: 2\n", "True is no parameter name"),
    "a number as key inside": ("workload: {1: 2}\n", "mine.yaml", "1 is no key"),
    "a control code as key inside": ('workload: {"\\e[2J": 2}\n', "is no key"),
    "nested too deep": (f"workload: {'[' * 30}{']' * 30}\n", "mine.yaml is nested deeper"),
    "nested without end": (f"workload: {'[' * 100_000}\n", "mine.yaml is not plain YAML"),
}

# Keys that would be code, or look like another key, once papermill writes them into a notebook.
BAD_KEYS = (
    "x=__import__('os').system('id'); alpha",
    "alpha beta",
    "alpha\\nimport os",
    "import",
    "lambda",
    "None",
    "__class__",
    "__import__('os')",
    "seed.x",
    "seed-",
    "1seed",
    "",
    "ѕeed",  # a Cyrillic letter
    "ｓeed",  # a full-width one, which Python itself would read as `seed`
    "seed\\u200b",
    "seed\\0",
    "#",
)


@pytest.mark.parametrize("what", BAD_RUNS)
def test_a_wrong_run_is_refused_in_one_sentence(path: Path, what: str) -> None:
    """Each mistake is named with the file or the key."""
    text, *said = BAD_RUNS[what]
    path.write_text(text, encoding="utf-8")
    refused(path, *said)


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_could_be_code_is_refused(path: Path, key: str) -> None:
    """Only ASCII identifiers that a model knows ever reach a notebook."""
    path.write_text(f'{RUN}"{key}": 1\n', encoding="utf-8")
    refused(path, "mine.yaml")


def test_a_tag_runs_nothing(path: Path, tmp_path: Path) -> None:
    """Reading a hostile file leaves no trace of its command."""
    path.write_text(f'workload: !!python/object/apply:os.mkdir ["{tmp_path / "made"}"]\n')
    refused(path)

    assert not (tmp_path / "made").exists()


def test_a_missing_file_is_named_with_its_neighbour(path: Path) -> None:
    """A typing error in the path is answered with the file that was meant."""
    path.write_text(RUN)
    refused(path.with_name("mime.yaml"), "mime.yaml does not exist", "did you mean `mine.yaml`")
    refused(path.parent / "none" / "mine.yaml", "does not exist")


def test_a_file_that_is_too_large_is_not_read(path: Path) -> None:
    """A megabyte is no params file."""
    path.write_text(RUN + "#" * MAX_FILE_BYTES)
    refused(path, "mine.yaml is larger than")


def test_many_keys_are_refused_without_delay(path: Path) -> None:
    """Twenty thousand keys are looked at once each, not against each other."""
    path.write_text("\n".join(f"key_{number}: 1" for number in range(20_000)) + "\nkey_0: 2\n")
    refused(path, "`key_0` stands twice")


@pytest.mark.parametrize("content", [b"\x80\x81", b"workload: \x00\x01", b"\xff\xfew\x00", bytes(range(256))])
def test_a_binary_file_is_refused(path: Path, content: bytes) -> None:
    """Bytes that are no text are named as such."""
    path.write_bytes(content)
    refused(path, "mine.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A path that is no file is said to be unreadable."""
    refused(tmp_path, "cannot be read")


# What is wrong with an experiment's file, and what the sentence must name.
BAD_EXPERIMENTS = {
    "another name": (EXPERIMENT.replace("mine", "yours"), "says name: yours"),
    "a name that is no word": (EXPERIMENT.replace("mine", "../mine"), "no short word"),
    "a reserved name": (EXPERIMENT.replace("mine", "baseline"), "taken by the run itself"),
    "the name of a later step": (EXPERIMENT.replace("mine", "why"), "taken by the run itself"),
    "the name of another": (EXPERIMENT.replace("mine", "breakeven"), "taken by the run itself"),
    "unknown key": (EXPERIMENT + "becuse: x\n", "`becuse` is not a parameter", "did you mean `because`"),
    "unknown stage": (
        EXPERIMENT.replace("precision", "precison"),
        "stage `precison` is not known",
        "did you mean `precision`",
    ),
    "a stage with a line break": (EXPERIMENT.replace("precision", '"a\\nb"'), "is not known"),
    "unknown option": (
        EXPERIMENT.replace("precision", "quantize: {calibration_example: 3}"),
        "did you mean `calibration_examples",
    ),
    "option of the wrong type": (
        EXPERIMENT.replace("precision", 'quantize: {calibration_examples: "3"}'),
        "calibration_examples",
        "'3'",
    ),
    "option that is a bool": (
        EXPERIMENT.replace("precision", "quantize: {calibration_examples: true}"),
        "calibration_examples",
    ),
    "a number as option": (EXPERIMENT.replace("precision", "quantize: {1: 2}"), "1 is no key"),
    "two stages on a line": (EXPERIMENT.replace("precision", "{quantize: {}, precision: {}}"), "not one stage"),
    "no recipe": (EXPERIMENT.replace("[precision]", "[]"), "recipe"),
    "a word for a recipe": (EXPERIMENT.replace("[precision]", "precision"), "`recipe`"),
    "a function as stage": (EXPERIMENT.replace("precision", "os:system"), "stage `os:system` is no dataclass"),
    "a stage from nowhere": (EXPERIMENT.replace("precision", '":Foo"'), "cannot be imported"),
    "a stage from here": (EXPERIMENT.replace("precision", '".a:Foo"'), "cannot be imported"),
    "no speed-up": (EXPERIMENT.replace("2.0", "0.0"), "`predicted_speedup_ratio`"),
    "a bool as speed-up": (EXPERIMENT.replace("2.0", "true"), "`predicted_speedup_ratio`"),
    "no reason": (EXPERIMENT.replace("because: a reason\n", ""), "lacks `because`"),
}


@pytest.mark.parametrize("what", BAD_EXPERIMENTS)
def test_a_wrong_experiment_is_refused_in_one_sentence(tmp_path: Path, what: str) -> None:
    """Each mistake is named with the experiment's file or key."""
    (tmp_path / "run.yaml").write_text(RUN + "experiments: [mine]\n")
    text, *said = BAD_EXPERIMENTS[what]
    (tmp_path / "mine.yaml").write_text(text)
    refused(tmp_path / "run.yaml", "mine", *said)


def test_the_defaults_are_those_of_the_quickstart(path: Path) -> None:
    """A file with a workload only is a whole run."""
    path.write_text(RUN)
    params = load_run(path)

    assert params.scenarios == ["single", "offline"]
    assert (params.max_lives_count, params.units_per_life_count, params.seed, params.device) == (6, 2, 0, "cpu")
    assert (params.guardrails, params.waivers) == ("guardrails.yaml", "waivers.yaml")
    assert (params.ladder, params.explain, params.breakeven) == ("", "none", "")


def test_a_table_workload_is_read(path: Path) -> None:
    """Four keys name a model and a labelled file."""
    path.write_text("workload: {hf_model: a/b, data: reviews.csv, text: body, label: stars}\n")

    assert load_run(path).workload.model_dump() == {  # type: ignore[union-attr]
        "hf_model": "a/b",
        "data": "reviews.csv",
        "text": "body",
        "label": "stars",
    }


def test_a_whole_number_and_a_long_reason_are_fine(tmp_path: Path) -> None:
    """A speed-up of 2 is 2.0, and a reason may take several lines."""
    (tmp_path / "run.yaml").write_text(RUN + "experiments: [mine]\n")
    (tmp_path / "mine.yaml").write_text(EXPERIMENT.replace("2.0", "2").replace("a reason", "|\n  two\n  lines"))
    (experiment,) = load_experiments(load_run(tmp_path / "run.yaml"), tmp_path)

    assert experiment.predicted_speedup_ratio == 2.0
    assert experiment.because == "two\nlines\n"


NO_RUNS = {"guardrails.yaml", "waivers.yaml", "alerts.yaml", "prices.yaml", "backlog.yaml"}
SHIPPED = sorted(one for one in (project.root() / "params").glob("*.yaml") if one.name not in NO_RUNS)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_run_loads_with_its_experiments_and_guardrails(path: Path) -> None:
    """What a newcomer starts with is correct, down to the profiles that its experiments name, and waives nothing."""
    params = load_run(path)
    experiments = load_experiments(params)
    limits, sha256 = load_guardrails(params.guardrails)

    assert [one.name for one in experiments] == params.experiments
    assert {one.guardrail_profile for one in experiments} <= set(limits)
    assert len(sha256) == 64
    assert load_waivers(params.waivers) == ()


def test_every_shipped_experiment_loads(tmp_path: Path) -> None:
    """Each file in ``params/experiments`` can be named by a run."""
    folder = project.root() / "params" / "experiments"
    names = sorted(file.stem for file in folder.glob("*.yaml"))
    lines = RUN + f"experiments: [{', '.join(names)}]\nfinalists: [{names[0]}]\n"
    (tmp_path / "run.yaml").write_text(lines)

    assert [one.name for one in load_experiments(load_run(tmp_path / "run.yaml"))] == names


def test_read_yaml_keeps_plain_values(path: Path) -> None:
    """Strings, numbers, booleans, nulls, lists and mappings come through as they are."""
    path.write_text("a: [1, 2.5, true, null, word]\nb: {c: 'yes'}\n")

    assert read_yaml(path) == {"a": [1, 2.5, True, None, "word"], "b": {"c": "yes"}}


def test_the_shipped_alerts_can_be_read_and_tell_nobody() -> None:
    """Whoever wants to be told has to name a channel first."""
    from perflib.watching.commands import read_routes

    routes = read_routes()

    assert routes.default.to == ()
    assert routes.routes == ()
