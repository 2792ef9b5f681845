"""The commands of the regression watch: check, history, alerts, metrics and the drill; thin too."""

import argparse
import sys
from pathlib import Path
from typing import Any


def add_watch_commands(commands: Any) -> None:
    """Add the commands of the watch to those of `perflib`."""
    _add_check(commands)
    _add_history(commands)
    _add_alerts(commands)
    _add_metrics(commands)


def _add_check(commands: Any) -> None:
    check = commands.add_parser("check", help="is a run worse than the ones before it?")
    check.add_argument("run", nargs="?", metavar="RUN", help="a run folder or its name; by default the newest")
    check.add_argument(
        "--confirm",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="rerun what history suspects beside the last good run (default); --no-confirm only names it",
    )
    check.add_argument("--again", action="store_true", help="rerun also what an open alert tells already")
    check.add_argument("--alert", action="store_true", help="tell the channels of params/alerts.yaml")
    check.add_argument("--junit", type=Path, metavar="FILE", help="write the series as JUnit XML too")
    check.add_argument("--json", action="store_true", help="print the record as strict JSON")
    check.set_defaults(command=_check)

    drill = commands.add_parser("drill", help="plant three regressions and see whether the watch finds them")
    drill.add_argument("--run-dir", type=Path, metavar="DIR", help="where it goes; by default a folder in outputs/")
    drill.set_defaults(command=_drill)


def _add_history(commands: Any) -> None:
    history = commands.add_parser("history", help="what past runs have measured")
    actions = history.add_subparsers(title="actions", metavar="ACTION", required=True)
    actions.add_parser("verify", help="check every row and the database itself").set_defaults(command=_verify)
    for word, meaning in (("import", "take results from a file"), ("export", "write all results to a file")):
        one = actions.add_parser(word, help=meaning)
        one.add_argument("file", type=Path, metavar="FILE", help="*.parquet or *.csv")
        one.set_defaults(command=_import if word == "import" else _export)
    for word, meaning in (("push", "add what is here to a shared place"), ("pull", "take what is in a shared place")):
        one = actions.add_parser(word, help=meaning)
        one.add_argument("url", metavar="URL", help="of fsspec: a folder, s3://…, gs://…")
        one.set_defaults(command=_push if word == "push" else _pull)


def _add_alerts(commands: Any) -> None:
    alerts = commands.add_parser("alerts", help="see, acknowledge and close what the watch has told")
    actions = alerts.add_subparsers(title="actions", metavar="ACTION")
    alerts.set_defaults(command=_list_alerts, all=False)
    listing = actions.add_parser("list", help="the open ones")
    listing.add_argument("--all", action="store_true", help="the closed ones too")
    listing.set_defaults(command=_list_alerts)
    show = actions.add_parser("show", help="one of them in full")
    show.add_argument("ulid", metavar="ALERT")
    show.set_defaults(command=_show_alert)
    actions.add_parser("send", help="try again what did not arrive").set_defaults(command=_send)
    for word, meaning in (
        ("ack", "I am looking at it"),
        ("accept", "it is meant; the series begins anew from there"),
        ("invalid", "it is no regression"),
        ("close", "it is mended"),
        ("snooze", "not now"),
    ):
        one = actions.add_parser(word, help=meaning)
        one.add_argument("ulid", metavar="ALERT", help="its ulid, or how it begins")
        one.add_argument("--reason", default="", metavar="TEXT", help="why")
        if word == "snooze":
            one.add_argument("--hours", type=float, default=24.0, metavar="N", help="by default a day")
        one.set_defaults(command=_change_alert, action=word)


def _add_metrics(commands: Any) -> None:
    metrics = commands.add_parser("metrics", help="write the history for Prometheus, or serve it on this machine")
    metrics.add_argument("--out", type=Path, metavar="FILE", help="by default outputs/history/metrics.txt")
    metrics.add_argument("--serve", action="store_true", help="serve the file at /metrics until Ctrl-C")
    metrics.add_argument("--port", type=int, default=6008, metavar="N", help="on this machine only")
    metrics.add_argument("--dashboard", type=Path, metavar="FILE", help="write the Grafana dashboard there")
    metrics.set_defaults(command=_metrics)


def _check(args: argparse.Namespace) -> int:
    from perflib.pipeline.signals import raising_signals
    from perflib.records import dumps
    from perflib.watching.commands import check_named

    with raising_signals("ended the check; nothing was told"):
        done = check_named(
            args.run, is_confirming=args.confirm, is_again=args.again, is_telling=args.alert, junit=args.junit
        )
    print(dumps(done.check.to_dict(), indent=1) if args.json else "\n".join(done.lines))
    print(f"record and figures: {done.run.folder}", file=sys.stderr)
    return done.check.exit_code


def _drill(args: argparse.Namespace) -> int:
    from perflib.pipeline.signals import raising_signals
    from perflib.watching.drill.real import drill_here

    with raising_signals("ended the drill"):
        done, folder = drill_here(args.run_dir)
    print(f"runs, history and alerts of the drill: {folder}", file=sys.stderr)
    print(done.line)
    return 0 if done.is_passed else 5


def _verify(_args: argparse.Namespace) -> int:
    from perflib.errors import DataError
    from perflib.regression.history.verify import verify_history
    from perflib.watching.open import open_watch

    with open_watch() as watch:
        problems, count = verify_history(watch.history), watch.history.count()
    for problem in problems:
        print(problem)
    if problems:
        raise DataError(
            f"the history has {len(problems)} problem(s), listed above; restore it from a copy or pull it from where "
            "it was pushed."
        )
    print(f"the history is sound: {count:,} results")
    return 0


def _import(args: argparse.Namespace) -> int:
    from perflib.regression.history.exchange import import_history
    from perflib.watching.open import open_watch

    with open_watch() as watch:
        print(f"{import_history(watch.history, args.file):,} results were new")
    return 0


def _export(args: argparse.Namespace) -> int:
    from perflib.regression.history.exchange import export_history
    from perflib.watching.open import open_watch

    with open_watch() as watch:
        export_history(watch.history, args.file)
        print(f"{watch.history.count():,} results are in {args.file}")
    return 0


def _push(args: argparse.Namespace) -> int:
    from perflib.regression.history.remote import push
    from perflib.watching.goods import kept_folder
    from perflib.watching.open import open_watch

    with open_watch() as watch:
        push(watch.history, args.url, kept_dir=kept_folder())
    print("pushed")
    return 0


def _pull(args: argparse.Namespace) -> int:
    from perflib.regression.history.remote import pull
    from perflib.watching.goods import kept_folder
    from perflib.watching.open import open_watch

    with open_watch() as watch:
        print(f"{pull(watch.history, args.url, kept_dir=kept_folder()):,} results were new")
    return 0


def _list_alerts(args: argparse.Namespace) -> int:
    from perflib.regression.alerts.message import subject
    from perflib.results.regression import OPEN_STATES
    from perflib.watching.open import open_watch

    with open_watch() as watch:
        found = watch.book.list(states=None if args.all else OPEN_STATES)
    for alert in found:
        print(f"{alert.ulid}  {alert.state:<10}  {subject(alert)}")
    if not found:
        print("no alerts" if args.all else "no open alerts")
    return 0


def _show_alert(args: argparse.Namespace) -> int:
    from perflib.regression.alerts.message import plain
    from perflib.watching.open import open_watch

    with open_watch() as watch:
        print(plain(watch.book.get(args.ulid)))
    return 0


def _send(_args: argparse.Namespace) -> int:
    from perflib.watching.commands import send_pending

    print("\n".join(send_pending()) or "nothing waits to be sent")
    return 0


def _change_alert(args: argparse.Namespace) -> int:
    from perflib.watching.commands import change_alert

    print(change_alert(args.ulid, args.action, reason=args.reason, hours=getattr(args, "hours", 0.0)))
    return 0


def _metrics(args: argparse.Namespace) -> int:
    from perflib.regression.metrics.server import serve_metrics
    from perflib.watching.dashboards import write_dashboard, write_metrics_file

    if args.dashboard is not None:
        print(f"Grafana dashboard: {write_dashboard(args.dashboard)}")
        return 0
    path = write_metrics_file(args.out)
    print(f"metrics: {path}")
    if args.serve:
        serve_metrics(path, args.port)
    return 0
