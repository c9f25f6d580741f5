"""The command line: ``python -m advnb list | run | status | verify | claims | data`` (``-h`` tells more about each)."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from advnb import data
from advnb.data import sources
from advnb.experiments import Experiment, Outcome, find, run, verify
from advnb.experiments.declare import SCALES
from advnb.experiments.read import results_folder
from advnb.experiments.store import NotStored, ResultsError, ResultsFile, settled
from advnb.experiments.verification import VerificationError

USAGE_ERROR = 2
INTERRUPTED = 130

Experiments = dict[str, Experiment]


def main(argv: Sequence[str] | None = None, package: str | ModuleType = "advnb.papers") -> int:
    """Run one command and return its exit code.

    0: done, also when a time limit has left trials to do. 1: a trial has raised, a stored number could not be
    had again, or a results file is damaged. 2: the command cannot be carried out as given. 130: interrupted.
    ``package`` is where experiments are looked for.
    """
    arguments = _parser().parse_args(argv)
    arguments.package = package
    command: Callable[[argparse.Namespace, Experiments], int] = arguments.command
    try:
        return command(arguments, {} if command is _data else find(package))
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ResultsError, VerificationError, sources.DataError) as error:
        return _complain(error, 1)
    except (ValueError, NotStored, ConnectionError, ModuleNotFoundError) as error:
        return _complain(error, USAGE_ERROR)
    except KeyboardInterrupt:
        return _complain(
            "interrupted: what has finished is stored; the same command goes on from there", INTERRUPTED
        )


def _list(arguments: argparse.Namespace, experiments: Experiments) -> int:
    """Print each experiment with the number of its trials at each scale."""
    rows = [
        {
            "experiment": name,
            **{scale: len(one.trials(scale)) if scale in one.scales else "-" for scale in SCALES},
            "what": next(iter((one.trial.__doc__ or "").strip().splitlines()), ""),
        }
        for name, one in experiments.items()
    ]
    _show(pd.DataFrame(rows), "no experiments are declared")
    return 0


def _run(arguments: argparse.Namespace, experiments: Experiments) -> int:
    """Run one experiment and say what has become of its trials."""
    experiment = _experiment(arguments.name, experiments)
    outcome = run(
        experiment,
        arguments.scale,
        jobs=arguments.jobs,
        backend=arguments.backend,
        address=arguments.address,
        device=arguments.device,
        seeds=_seeds(arguments.seeds),
        only=_only(arguments.only),
        time_limit=arguments.time_limit,
        retry_errors=arguments.retry_errors,
        progress=not arguments.quiet,
        results=arguments.results,
    )
    print(_told(f"{experiment.name} at {arguments.scale} scale", outcome))
    return 1 if outcome.failed else 0


def _told(title: str, outcome: Outcome) -> str:
    parts = [f"{outcome.asked} trials", f"{outcome.before} done before", f"{outcome.stored} stored now"]
    parts += [f"{outcome.elsewhere} stored by another process"] if outcome.elsewhere else []
    parts += [f"{outcome.left} left: the time is up, the same command goes on"] if outcome.left else []
    parts += (
        [f"{outcome.failed} failed ({outcome.error}); --retry-errors tries them again"]
        if outcome.failed
        else []
    )
    return f"{title}: {', '.join(parts)}"


def _status(arguments: argparse.Namespace, experiments: Experiments) -> int:
    """Print what is stored of each experiment at each scale; tell of damaged files and go on."""
    chosen = [_experiment(arguments.name, experiments)] if arguments.name else list(experiments.values())
    rows: list[dict[str, Any]] = []
    damage: list[ResultsError] = []
    for experiment in chosen:
        for scale in experiment.scales:
            try:
                rows.append(_stored(experiment, scale, results_folder(arguments.results)))
            except ResultsError as error:
                damage.append(error)
    _show(pd.DataFrame(rows), "nothing can be shown" if damage else "no experiments are declared")
    for problem in damage:
        _complain(problem, 1)
    return 1 if damage else 0


def _stored(experiment: Experiment, scale: str, folder: Path) -> dict[str, Any]:
    file = ResultsFile(folder, experiment.name, scale)
    stored = settled(file.read()) if file.path.exists() else {}
    wanted = {trial.key for trial in experiment.trials(scale)}
    good = {key for key, record in stored.items() if "values" in record}
    origins = [record["provenance"] for record in stored.values()]
    return {
        "experiment": experiment.name,
        "scale": scale,
        "trials": len(wanted),
        "stored": len(wanted & good),
        "failed": len(wanted & (stored.keys() - good)),
        "others": len(good - wanted),
        "hours": f"{sum(origin['seconds'] for origin in origins) / 3600:.2f}",
        "devices": ", ".join(sorted({origin["device_name"] for origin in origins})) or "-",
        "last": max((origin["date"][:10] for origin in origins), default="-"),
    }


def _verify(arguments: argparse.Namespace, experiments: Experiments) -> int:
    """Run a sample of the stored trials again and print how far the numbers deviate."""
    experiment = _experiment(arguments.name, experiments)
    options = {name: getattr(arguments, name) for name in ("sample", "scale", "device", "seed", "results")}
    try:
        _show(verify(experiment, **options))
    except VerificationError as error:
        _show(error.report)
        raise
    return 0


def _claims(arguments: argparse.Namespace, experiments: Experiments) -> int:
    """Judge all claims on what is stored; say what differs from what is written down, or write it down."""
    from advnb.book import ledger

    if arguments.where:
        print(ledger.where_is_what(arguments.package))
        return 0
    found = ledger.pages(arguments.package)
    if arguments.write:
        changed = [name for name, page in found.items() if ledger.write(page, arguments.results)]
        print(f"{len(found)} pages judged; written: {', '.join(changed) or 'nothing has changed'}")
        return 0
    said = [line for page in found.values() for line in ledger.differences(page, arguments.results)]
    print(
        "\n".join(said)
        or f"{sum(len(page.claims) for page in found.values())} claims are as they are written down"
    )
    return 1 if said else 0


def _data(arguments: argparse.Namespace, experiments: Experiments) -> int:
    """Print which data sets are here, or fetch the one that is named."""
    if arguments.name:
        data.load(arguments.name)
    rows = [
        {
            "data": one.name,
            "state": one.state,
            "MB": f"{one.size / 1e6:.1f}",
            "folder": one.path or "-",
            "missing": ", ".join(one.missing) or "-",
        }
        for one in sources.present()
    ]
    _show(pd.DataFrame(rows))
    return 0


def _experiment(name: str, experiments: Experiments) -> Experiment:
    if name not in experiments:
        raise ValueError(f"no experiment is named {name!r}; there are: {', '.join(experiments) or 'none'}")
    return experiments[name]


def _seeds(words: Sequence[str] | None) -> list[int] | None:
    """Return the seeds that words like "3" and "0:5" (0 to 4) stand for."""
    if words is None:
        return None
    seeds: list[int] = []
    for word in words:
        start, colon, stop = word.partition(":")
        try:
            seeds += range(int(start or 0), int(stop)) if colon else [int(word)]
        except ValueError as error:
            raise ValueError(f"--seeds takes whole numbers and ranges like 0:5; got {word!r}") from error
    return seeds


def _only(words: Sequence[str] | None) -> dict[str, list[Any]]:
    """Return what words like "d=16" ask for; a parameter that is named twice may have either value."""
    only: dict[str, list[Any]] = {}
    for word in words or ():
        name, equals, text = word.partition("=")
        if not equals:
            raise ValueError(f"--only takes key=value, such as d=16; got {word!r}")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        only.setdefault(name, []).append(value)
    return only


def _show(table: pd.DataFrame, empty: str = "") -> None:
    rows = [list(table.columns), *table.itertuples(index=False)]
    cells = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    print(empty if table.empty else "\n".join(line.rstrip() for line in lines))


def _complain(problem: object, code: int) -> int:
    print(f"advnb: {problem}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m advnb", description="Run the experiments behind the book."
    )
    commands = parser.add_subparsers(required=True, metavar="list | run | status | verify | claims | data")

    def add(command: Callable[..., int], name: str, help: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=help, description=help)
        one.set_defaults(command=command)
        return one

    add(_list, "list", "list the experiments and the number of their trials at each scale")
    _run_options(add(_run, "run", "run the trials of an experiment that are not stored yet"))
    status = add(_status, "status", "say what is stored of each experiment, or of one")
    status.add_argument("name", nargs="?", help="an experiment")
    check = add(_verify, "verify", "run a random sample of the stored trials again and compare")
    check.add_argument("name", help="an experiment")
    check.add_argument("--sample", type=int, default=5, metavar="K", help="how many trials (default: 5)")
    check.add_argument("--scale", choices=SCALES, help="default: the largest stored")
    check.add_argument("--device", help="default: the kind of device the trial was stored from, else the CPU")
    check.add_argument("--seed", type=int, default=0, help="chooses the sample (default: 0)")
    judge = add(_claims, "claims", "judge all claims on what is stored and compare with what is written down")
    judge.add_argument("--write", action="store_true", help="write down what has changed")
    judge.add_argument(
        "--where", action="store_true", help="only print which page, module and runs a statement has"
    )
    fetch = add(_data, "data", "say which data sets are here, or fetch one")
    fetch.add_argument("name", nargs="?", help="a data set")
    for one in commands.choices.values():
        one.add_argument(
            "--results", help="folder of the results files (default: the book's, or ADVNB_RESULTS)"
        )
    return parser


def _run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("name", help="an experiment")
    add("--scale", choices=SCALES, required=True)
    add(
        "--jobs",
        type=int,
        metavar="N",
        help="trials at once; -1: one a core (default: 1, on a cluster all workers)",
    )
    add("--device", default="auto", help="cpu, cuda, cuda:N or auto (default)")
    add("--seeds", nargs="+", metavar="S", help="these seeds, such as 0 1 2 or 0:5")
    add(
        "--only",
        nargs="+",
        action="extend",
        metavar="KEY=VALUE",
        help="these parameters alone; a key given twice allows both values",
    )
    add("--time-limit", type=float, metavar="MINUTES", help="begin no trial after it; finish those under way")
    add("--backend", help="loky (processes, the default), threading, dask or ray")
    add("--address", help="of a running dask scheduler (tcp://host:8786) or ray cluster (auto)")
    add("--retry-errors", action="store_true", help="run the trials again that have raised")
    add("--quiet", action="store_true", help="no progress bar")


if __name__ == "__main__":
    sys.exit(main())
