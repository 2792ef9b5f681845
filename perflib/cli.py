"""
The command line: parse, call, print, exit code. Imports are lazy, so that ``perflib --help`` is quick.

    0 done   1 usage or set-up   2 all quarantined   3 slower   4 a notebook failed   5 inconclusive
    130, 143 interrupted
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from perflib.cli_evidence import add_evidence_commands
from perflib.cli_watch import add_watch_commands
from perflib.errors import PerflibError


class _Parser(argparse.ArgumentParser):
    """A parser whose usage errors leave with 1, as all of perflib's do."""

    def error(self, message: str) -> NoReturn:
        self.exit(1, f"perflib: {message}; see `{self.prog} --help`.\n")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    args = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = args.command
    try:
        code = command(args)
    except PerflibError as error:
        print(f"perflib: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        print("perflib: interrupted.", file=sys.stderr)
        code = 130
    sys.exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="perflib", description="Make a machine-learning model cheaper to run, and prove it.")
    parser.add_argument("--version", action="store_true", help="print the version and leave")
    parser.set_defaults(command=_no_command)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)

    run = commands.add_parser("run", help="run a params file: baseline, experiments, report")
    run.add_argument("params", type=Path, metavar="PARAMS", help="such as params/quickstart.yaml")
    run.add_argument("--run-dir", type=Path, metavar="DIR", help="the run's folder; by default a new one in outputs/")
    run.add_argument("--resume", action="store_true", help="redo only what is missing or whose inputs changed")
    run.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these experiments of the file")
    run.set_defaults(command=_run)

    prepare = commands.add_parser("prepare", help="fetch, verify and train what a workload needs, once")
    prepare.add_argument("workload", nargs="?", default="sentiment-minilm", metavar="WORKLOAD")
    prepare.add_argument("--seed", type=int, default=0)
    prepare.add_argument("--churn", action="store_true", help="also count what training with another seed changes")
    prepare.set_defaults(command=_prepare)

    report = commands.add_parser("report", help="decide, report and build the evidence of a run again")
    report.add_argument("run", nargs="?", metavar="RUN", help="a run folder or its name; by default the newest")
    report.add_argument("--pdf", action="store_true", help="also print report.pdf, with Chromium")
    report.add_argument("--force", action="store_true", help="even where the pack is signed: signatures are lost")
    report.set_defaults(command=_report)

    _add_compare(commands)
    _add_compress(commands)
    _add_profile(commands)
    add_watch_commands(commands)
    add_evidence_commands(commands)

    validate = commands.add_parser("validate", help="is a candidate still right, and for whom?")
    validate.add_argument("candidate", metavar="RUN:NAME", help="a candidate of a run")
    validate.add_argument("--guardrails", type=Path, metavar="FILE", help="other limits to try; nothing is kept then")
    validate.add_argument("--profile", metavar="NAME", help="of the limits; by default the one it was judged by")
    validate.add_argument("--json", action="store_true", help="print the record as strict JSON")
    validate.set_defaults(command=_validate)

    machine = commands.add_parser("machine", help="print the machine card, its ceilings and what it can see")
    machine.add_argument("--json", action="store_true", help="as strict JSON")
    machine.add_argument("--card", action="store_true", help="the card alone, without measuring anything")
    machine.add_argument(
        "--calibrate", action="store_true", help="compare models whose truth is known, hundreds of times"
    )
    machine.add_argument("--budget-min", type=float, default=90.0, metavar="MIN", help="of --calibrate; by default 90")
    machine.set_defaults(command=_machine)
    return parser


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser("compare", help="is B faster or slower than A, and how sure can this machine be?")
    compare.add_argument("baseline", metavar="A", help="an artifact's folder, or RUN:name")
    compare.add_argument("candidate", metavar="B", help="an artifact's folder, or RUN:name")
    compare.add_argument(
        "--scenario", nargs="+", default=["single", "offline"], metavar="NAME", help="single, offline, server"
    )
    compare.add_argument("--alpha", type=float, default=0.01, help="bound on a wrong verdict; by default 0.01")
    compare.add_argument("--mde", type=float, default=0.03, help="PASS rules out slowdowns this large; by default 0.03")
    compare.add_argument("--max-lives", type=int, default=60, metavar="N", help="pairs of processes; by default 60")
    compare.add_argument("--units", type=int, default=2, metavar="N", help="quads per scenario and life; by default 2")
    compare.add_argument("--budget-sec", type=float, metavar="SEC", help="time that the lives may take")
    compare.add_argument("--latency-target-sec", type=float, metavar="SEC", help="of the server scenario")
    compare.add_argument("--seed", type=int, default=0, help="of the coins")
    for arm in "ab":
        compare.add_argument(f"--python-{arm}", metavar="PATH", help=f"another Python for arm {arm.upper()}")
        compare.add_argument(f"--command-{arm}", metavar="CMD", help=f"another command for arm {arm.upper()}")
    compare.add_argument("--run-dir", type=Path, metavar="DIR", help="where the record goes; by default in outputs/")
    compare.add_argument("--json", action="store_true", help="print the whole record")
    compare.set_defaults(command=_compare)


def _add_compress(commands: Any) -> None:
    compress = commands.add_parser("compress", help="build a recipe's artifact, without timing it")
    compress.add_argument("workload", metavar="WORKLOAD", help="a name, or module:Class")
    compress.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file with `recipe:`, or an experiment's")
    compress.add_argument("--seed", type=int, default=0, help="of whatever is trained")
    compress.add_argument("--run-dir", type=Path, metavar="DIR", help="where it goes; by default a folder in outputs/")
    compress.add_argument("--json", action="store_true", help="print the record as strict JSON")
    compress.set_defaults(command=_compress)

    search = commands.add_parser("search", help="try combinations of stages under guardrails")
    search.add_argument("workload", metavar="WORKLOAD", help="a name, or module:Class")
    search.add_argument("--space", type=Path, required=True, metavar="FILE", help="what to combine, as params/spaces/")
    search.add_argument("--budget-sec", type=float, default=1800.0, metavar="SEC", help="by default half an hour")
    search.add_argument("--seed", type=int, default=0, help="of the order, the coins and whatever is trained")
    search.add_argument("--run-dir", type=Path, metavar="DIR", help="where it goes; by default a folder in outputs/")
    search.add_argument("--resume", action="store_true", help="go on with the search in --run-dir")
    search.add_argument("--json", action="store_true", help="print the record as strict JSON")
    search.set_defaults(command=_search)


def _add_profile(commands: Any) -> None:
    profile = commands.add_parser("profile", help="where the time goes, what the limit is, and what to try")
    profile.add_argument("artifact", metavar="RUN:NAME", help="a candidate of a run, its baseline, or a folder")
    profile.add_argument("--with", dest="tool", metavar="TOOL", help="a profiler from outside: nsys, ncu or perf")
    profile.add_argument("--steps-only", action="store_true", help="run the steps unwatched, for such a profiler")
    profile.add_argument("--json", action="store_true", help="print profiles and findings as strict JSON")
    profile.set_defaults(command=_profile)

    explain = commands.add_parser("explain", help="why is a candidate faster, or why is it not?")
    explain.add_argument("candidate", metavar="RUN:NAME", help="a candidate of a run")
    explain.add_argument(
        "--max-lives", type=int, default=6, metavar="N", help="pairs of processes a step; by default 6"
    )
    explain.add_argument("--json", action="store_true", help="print the record as strict JSON")
    explain.set_defaults(command=_explain)

    show = commands.add_parser("show", help="open a run's traces in a viewer, on this machine only")
    show.add_argument("viewer", choices=("trace", "tensorboard"))
    show.add_argument("run", nargs="?", type=Path, metavar="RUN", help="a run folder; by default the newest")
    show.add_argument("--port", type=int, default=None, metavar="N", help="by default 6007 or 6006")
    show.set_defaults(command=_show)


def _no_command(args: argparse.Namespace) -> int:
    if args.version:
        import importlib.metadata

        print(f"perflib {importlib.metadata.version('perflib')}")
        return 0
    _parser().print_help()
    return 1


def _run(args: argparse.Namespace) -> int:
    from perflib import units
    from perflib.pipeline import run_params
    from perflib.tables import sentences_of
    from perflib.verdict import ranked

    outcome = run_params(args.params, run_dir=args.run_dir, resume=args.resume, only=args.only)
    for one in ranked(outcome.candidates):
        offline = one.offline_throughput_speedup_ratio
        speed = units.speedup(offline.estimate, offline.low, offline.high) if offline else units.UNKNOWN
        change = units.points(one.accuracy_change.estimate) if one.accuracy_change else units.UNKNOWN
        verdict = one.verdict if one.is_finalist else f"{one.verdict}, shown only"
        print(f"{one.name}: {verdict} · {speed} offline · accuracy {change} · {sentences_of(one.reasons)}")
    print(f"run folder: {outcome.run.folder}")
    if outcome.run.report.is_file():
        print(f"report: {outcome.run.report}")
    return outcome.summary.exit_code or 0


def _prepare(args: argparse.Namespace) -> int:
    from perflib.workloads import get_workload

    artifact = get_workload(args.workload, seed=args.seed).prepare()
    print(f"{args.workload} is ready: baseline artifact {artifact.digest[:12]} in {artifact.folder}")
    if args.churn:
        from perflib.sentences import churn_sentence
        from perflib.validating import measure_churn

        print(churn_sentence(measure_churn(args.workload, seed=args.seed)))
    return 0


def _report(args: argparse.Namespace) -> int:
    from perflib.pipeline.again import report_again

    for path in report_again(args.run, with_pdf=args.pdf, is_forced=args.force):
        print(f"written: {path}")
    return 0


def _compare(args: argparse.Namespace) -> int:
    from perflib.benchmarking.arm import Launcher, worker_command
    from perflib.comparing import compare_named
    from perflib.pipeline.signals import raising_signals

    launcher = Launcher(
        worker_command(python=args.python_a, command=args.command_a),
        worker_command(python=args.python_b, command=args.command_b),
    )
    with raising_signals("ended the comparison; the lives until then are kept in its record"):
        compared = compare_named(
            args.baseline,
            args.candidate,
            scenarios=args.scenario,
            run_dir=args.run_dir,
            start_arm=launcher,
            alpha=args.alpha,
            mde=args.mde,
            max_lives_count=args.max_lives,
            units_per_life_count=args.units,
            budget_sec=args.budget_sec,
            latency_target_sec=args.latency_target_sec,
            seed=args.seed,
        )
    print(json.dumps(compared.comparison.to_dict(), indent=1) if args.json else compared.sentence)
    print(f"record and figures: {compared.run.folder}", file=sys.stderr)
    return compared.exit_code


def _compress(args: argparse.Namespace) -> int:
    from perflib.compressing import compress_named
    from perflib.pipeline.signals import raising_signals
    from perflib.records import dumps

    with raising_signals("ended the build; nothing half-built was kept"):
        done = compress_named(args.workload, args.recipe, run_dir=args.run_dir, seed=args.seed)
    print(dumps(done.build.to_dict(), indent=1) if args.json else done.sentence)
    print(f"artifact: {done.artifact.folder}", file=sys.stderr)
    return 0


def _search(args: argparse.Namespace) -> int:
    from perflib.pipeline.signals import raising_signals
    from perflib.records import dumps
    from perflib.search import search_workload

    with raising_signals("ended the search; go on with --resume and its --run-dir"):
        found = search_workload(
            args.workload,
            args.space,
            budget_sec=args.budget_sec,
            run_dir=args.run_dir,
            resume=args.resume,
            seed=args.seed,
        )
    print(dumps(found.record.to_dict(), indent=1) if args.json else "\n".join(found.lines))
    print(f"record and figure: {found.run.folder}", file=sys.stderr)
    return found.exit_code


def _profile(args: argparse.Namespace) -> int:
    from perflib.diagnosing import diagnose_named
    from perflib.records import dumps

    if args.steps_only or args.tool:
        from perflib import outside

        if args.steps_only:
            outside.steps_only(args.artifact)
        else:
            print("\n".join(outside.profile_outside_named(args.artifact, args.tool)))
        return 0
    done = diagnose_named(args.artifact)
    found = done.diagnosis
    data = {
        "profiles": [one.to_dict() for one in found.profiles],
        "rooflines": [one.to_dict() for one in found.rooflines],
        "findings": found.findings.to_dict(),
    }
    print(dumps(data, indent=1) if args.json else "\n".join(done.lines))
    print(f"records, traces and figures: {done.run.folder}", file=sys.stderr)
    return 0


def _explain(args: argparse.Namespace) -> int:
    from perflib.explaining import explain_named
    from perflib.pipeline.signals import raising_signals
    from perflib.records import dumps

    with raising_signals("ended the explanation; the pairings until then are kept in the run"):
        done = explain_named(args.candidate, max_lives_count=args.max_lives)
    print(dumps(done.ladder.to_dict(), indent=1) if args.json else "\n".join(done.lines))
    print(f"record and figure: {done.run.folder}", file=sys.stderr)
    return 0


def _show(args: argparse.Namespace) -> int:
    from perflib.viewers import show_run

    show_run(args.viewer, args.run, args.port)
    return 0


def _validate(args: argparse.Namespace) -> int:
    from perflib.records import dumps
    from perflib.validating import validate_named

    done = validate_named(args.candidate, guardrails_file=args.guardrails, profile=args.profile)
    print(dumps(done.validation.to_dict(), indent=1) if args.json else "\n".join(done.lines))
    kept = f"kept in {done.run.folder}" if done.is_kept else "nothing was kept: these are not the registered limits"
    print(kept, file=sys.stderr)
    return done.exit_code


def _machine(args: argparse.Namespace) -> int:
    if args.card:
        from perflib.machine import describe, read_card

        card = read_card()
        lines, data = [describe(card), f"hardware class: {card.hardware_class}"], card.to_dict()
    elif args.calibrate:
        lines, data = _calibrate(args.budget_min)
    else:
        from perflib.calibrating import look_at_machine

        look = look_at_machine()
        lines, data = look.lines(), look.to_dict()
    print(json.dumps(data, indent=1) if args.json else "\n".join(lines))
    return 0


def _calibrate(budget_min: float) -> tuple[list[str], dict[str, Any]]:
    from perflib import sentences
    from perflib.calibrating import calibrate_machine
    from perflib.pipeline.signals import raising_signals

    with raising_signals("ended the calibration; ask again and it goes on"):
        done = calibrate_machine(budget_sec=60 * budget_min)
    lines = [sentences.calibration_sentence(done.calibration), f"records and figures: {done.run.folder}"]
    return lines, {"calibration": done.calibration.to_dict(), "study": done.study.to_dict()}


if __name__ == "__main__":
    main()
