"""The command line, ``python -m advnb`` or ``advnb``; ``-h`` lists the commands and tells more about each.

A command is a function of the package of papers and of its own arguments, which ``_parser`` names: it prints and
returns the exit code.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: its threads would spin while they wait

from advnb import BEGAN, data, memory
from advnb.data import sources
from advnb.experiments import SCALES, Experiment, Outcome, find, run, verify
from advnb.experiments.plan import benchmark, measured, of_throughput, plan
from advnb.experiments.provenance import device_name, resolve_device
from advnb.experiments.read import results_folder, stored_scales
from advnb.experiments.store import NotStored, ResultsError, ResultsFile, settled
from advnb.experiments.verification import VerificationError

__all__ = ["main"]

SHOWN_ERRORS = 10

LAST = 2.0
"""Seconds beyond the time limit after which a process is left that is in the middle of one long call."""

Package = str | ModuleType


def main(argv: Sequence[str] | None = None, package: Package = "advnb.papers") -> int:
    """Run one command and return its exit code.

    0: done, also when a time limit has left trials to do. 1: a trial has raised, now or before, a stored number
    could not be had again, or a results file is damaged. 2: the command cannot be carried out as given, or not to
    its end: a file cannot be read or written, a worker has died. 130: interrupted. ``package`` is where
    experiments are looked for.
    """
    arguments = vars(_parser().parse_args(argv))
    command: Callable[..., int] = arguments.pop("command")
    if command is _run:
        arguments["began"] = BEGAN if argv is None else None
    memory.keep_freed()
    for variable, size in memory.VARIABLES.items():
        os.environ.setdefault(variable, str(size))  # for the processes that this one starts
    try:
        return command(package, **arguments)
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except VerificationError as error:
        _show(error.report.to_dict("records"), "no field could be compared")
        return _complain(error, 1)
    except (ResultsError, sources.DataError) as error:
        return _complain(error, 1)
    except (ValueError, NotStored, OSError, ModuleNotFoundError) as error:  # NotWritten, ConnectionError among them
        return _complain(error, 2)
    except KeyboardInterrupt:
        return _complain("interrupted: what has finished is stored; the same command goes on", 130)


def _list(package: Package) -> int:
    """Print each experiment with the number of its trials at each scale."""
    rows = []
    for name, one in find(package).items():
        counts = {scale: len(one.trials(scale)) if scale in one.scales else "-" for scale in SCALES}
        what = (one.trial.__doc__ or "").strip().partition("\n")[0]
        rows.append({"experiment": name, **counts, "what": what})
    _show(rows, "no experiments are declared")
    return 0


def _run(package: Package, name: str, scale: str, quiet: bool, began: float | None, **options: Any) -> int:
    """Run one experiment and say what has become of its trials.

    The time limit counts from when the command ``began``; without that, in a process of others, from now.
    """
    experiment, title, limit = _experiment(package, name), f"{name} at {scale} scale", options["time_limit"]
    seeds, only = options.pop("seeds"), defaultdict(list)
    for parameter, value in options.pop("only"):
        only[parameter].append(value)
    options["seeds"] = seeds and [seed for word in seeds for seed in word]
    end = None if began is None or limit is None or limit <= 0 else began + 60 * limit
    with nullcontext() if end is None else _ended_at(max(end, time.time()) + LAST, title):
        if end is not None:
            options["time_limit"] = max(1e-9, (end - time.time()) / 60)
        outcome = run(experiment, scale, only=only, progress=not quiet, **options)
    print(_told(title, outcome))
    code = 1 if outcome.errors else 0
    if end is not None:
        _leave(code)
    return code


@contextmanager
def _ended_at(moment: float, title: str) -> Iterator[None]:
    """End this process at ``moment`` if the block is still under way: nothing else ends a call that takes minutes."""

    def end() -> None:
        said = "the time is up in the middle of a long call: what has finished is stored, the same command goes on"
        print(f"{title}: {said}")
        _leave(0)

    timer = threading.Timer(max(0.0, moment - time.time()), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _leave(code: int) -> NoReturn:
    """End this process at once: to unload torch and to wait for idle workers takes seconds, and all is stored."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _told(title: str, outcome: Outcome) -> str:
    told = [f"{outcome.asked} trials", f"{outcome.before} done before", f"{outcome.stored} stored now"]
    more = {
        "settled by another process": outcome.elsewhere,
        "left: the time is up, the same command goes on": outcome.left,
        "failed": outcome.failed,
        "failed before": outcome.failed_before,
    }
    told += [f"{count} {what}" for what, count in more.items() if count]
    errors = outcome.errors[:SHOWN_ERRORS] + ["..."] * (len(outcome.errors) > SHOWN_ERRORS)
    advice = ["--retry-errors tries them again"] if errors else []
    return "\n  ".join([f"{title}: {', '.join(told)}", *errors, *advice])


def _status(package: Package, name: str | None, results: str | None) -> int:
    """Print what is stored of each experiment at each scale; tell of damaged files and go on."""
    rows: list[dict[str, Any]] = []
    code = 0
    for experiment in [_experiment(package, name)] if name else find(package).values():
        for scale in experiment.scales:
            try:
                rows.append(_stored(experiment, scale, results_folder(results)))
            except ResultsError as error:
                code = _complain(error, 1)
    _show(rows, "nothing can be shown" if code else "no experiments are declared")
    return code


def _stored(experiment: Experiment, scale: str, folder: Path) -> dict[str, Any]:
    file = ResultsFile(folder, experiment.name, scale)
    lines = file.read() if file.path.exists() else []
    stored = settled(lines)
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
        "+changes": sum(str(line["provenance"].get("commit")).endswith("+changes") for line in lines),
        "hours": f"{sum(origin['seconds'] for origin in origins) / 3600:.2f}",
        "devices": ", ".join(sorted({origin["device_name"] for origin in origins})) or "-",
        "last": max((origin["date"][:10] for origin in origins), default="-"),
    }


UNSETTLED, SETTLED = 1.0, 0.25
"""What rests on an experiment for each claim that names it as evidence: its verdict may move, or only its numbers."""


def _plan(
    package: Package, name: str | None, scale: str, device: str, tflops: float | None, results: str | None
) -> int:
    """Print what the open trials will take and in which order they are worth their time."""
    experiments = list(find(package).values())
    if name:
        _experiment(package, name)
    here = device_name("cpu"), benchmark("cpu")
    where = resolve_device(device)
    on, prior = here if where == "cpu" else (device_name(where), benchmark(where))
    if tflops:
        on, prior = f"an accelerator that sustains {tflops:g} TFLOP/s", of_throughput(tflops)
    known = sum(len(measured(one, at, results).get(on, ())) for one in experiments for at in one.scales)
    table = plan(
        experiments, scale, name=name, device=on, prior=prior, cpu=here, stakes=_stakes(results), results=results
    )
    rows = table.to_dict("records")
    _show(rows, "no trial is open")
    if rows:
        hours, most = table["hours"].sum(), table["at_most"].sum()
        trials, tflop = table["trials"].sum(), table["tflop"].sum()
        taken = f"{trials} trials, {tflop:.3g} TFLOP; {hours:.3g} hours, at most {most:.3g}"
        print(f"{taken}, on {on} ({known} settings stored)")
        first = next(one for one in experiments if one.name == rows[0]["experiment"])
        kind = "cuda" if "cuda" in first.devices and (tflops or where != "cpu") else "cpu"
        print(f"first: python -m advnb run {first.name} --scale {scale} --device {kind} --time-limit 10")
    return 0


def _stakes(results: str | None) -> dict[str, float]:
    """Return what rests on each experiment: the claims that the ledger has for it, those not settled the most."""
    from advnb.book import ledger

    stakes: dict[str, float] = defaultdict(lambda: SETTLED)
    for claim in ledger.ledger(results).to_dict("records"):
        settled_now = claim["verdict"] in ("reproduced", "not reproduced")
        for experiment in claim["evidence"]:
            stakes[experiment] += SETTLED if settled_now else UNSETTLED
    return stakes


def _verify(package: Package, name: str | None, log: str | None, **options: Any) -> int:
    """Run a sample of the stored trials again and print how far the numbers deviate."""
    if name is None:
        return _verify_all(package, Path(log) if log else None, **options)
    _show(verify(_experiment(package, name), **options).to_dict("records"))
    return 0


def _verify_all(package: Package, log: Path | None, results: str | None, scale: str | None, **options: Any) -> int:
    """Verify every results file, a line each; what ``log`` says has held with this sample and seed is passed over."""
    lines = map(json.loads, log.read_text(encoding="utf-8").splitlines()) if log and log.exists() else ()
    asked = {"sample": options["sample"], "seed": options["seed"]}
    done = {line["results"] for line in lines if line["held"] and asked.items() <= line.items()}
    failed = 0
    for one in find(package).values():
        for size in stored_scales(one.name, results) if scale is None else [scale]:
            file = ResultsFile(results_folder(results), one.name, size)
            if file.path.stem in done or not file.path.exists():
                continue
            start = time.monotonic()
            try:
                report = verify(one, scale=size, results=results, **options)
                held, said = True, f"{report['used'][report['promised']].max():.2g} of what is allowed"
            except (VerificationError, ValueError) as error:
                held, said = False, str(error)
            failed += not held
            seconds = round(time.monotonic() - start)
            print(f"{file.path.stem}: {'held' if held else 'FAILED'}, {said} ({seconds} s)", flush=True)
            if log:
                log.parent.mkdir(parents=True, exist_ok=True)
                with log.open("a", encoding="utf-8") as kept:
                    kept.write(json.dumps({"results": file.path.stem, **asked, "held": held, "said": said}) + "\n")
    return 1 if failed else 0


def _claims(package: Package, write: bool, results: str | None) -> int:
    """Judge all claims on what is stored; say what differs from what is written down, or write it down."""
    from advnb.book import ledger

    found = ledger.pages(package)
    if write:
        changed = [name for name, page in found.items() if ledger.write(page, results)]
        print(f"{len(found)} pages judged; written: {', '.join(changed) or 'nothing has changed'}")
        return 0
    said = [line for page in found.values() for line in ledger.differences(page, results)]
    claims = sum(len(page.claims) for page in found.values())
    print("\n".join(said) or f"{claims} claims are as they are written down")
    return 1 if said else 0


def _data(package: Package, name: str | None) -> int:
    """Print which data sets are here, or fetch the one that is named."""
    if name:
        data.load(name)
    rows = []
    for one in sources.present():
        size, missing = f"{one.size / 1e6:.1f}", ", ".join(one.missing)
        there = {"data": one.name, "state": one.state, "MB": size, "folder": one.path or "-"}
        rows.append(there | {"missing": missing or "-"})
    _show(rows)
    return 0


def _experiment(package: Package, name: str) -> Experiment:
    experiments = find(package)
    if name not in experiments:
        raise ValueError(f"no experiment is named {name!r}; there are: {', '.join(experiments) or 'none'}")
    return experiments[name]


def _show(table: Sequence[Mapping[Any, Any]], empty: str = "") -> None:
    rows = [list(table[0]), *(row.values() for row in table)] if table else [[empty]]
    cells = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _complain(problem: object, code: int) -> int:
    print(f"advnb: {problem}", file=sys.stderr)
    return code


def _seeds(word: str) -> list[int]:
    """Return the seeds that "3" or "0:5" (0 to 4) stands for."""
    start, colon, stop = word.partition(":")
    try:
        return list(range(int(start or 0), int(stop))) if colon else [int(word)]
    except ValueError:
        raise argparse.ArgumentTypeError(f"takes whole numbers and ranges like 0:5; got {word!r}") from None


def _only(word: str) -> tuple[str, Any]:
    """Return the name and the value in "d=16"; a value that is no JSON is a text."""
    name, equals, text = word.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"takes key=value, such as d=16; got {word!r}")
    try:
        return name, json.loads(text)
    except ValueError:
        return name, text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m advnb", description="Run the experiments behind the book.")
    commands = parser.add_subparsers(required=True)

    def add(command: Callable[..., int], name: str, help: str) -> Callable[..., argparse.Action]:
        one = commands.add_parser(name, help=help, description=help)
        one.set_defaults(command=command)
        if command not in (_list, _data):
            folder = "folder of the results files (default: the book's, or ADVNB_RESULTS)"
            one.add_argument("--results", metavar="FOLDER", help=folder)
        return one.add_argument

    add(_list, "list", "list the experiments and the number of their trials at each scale")
    option = add(_run, "run", "run the trials of an experiment that are not stored yet")
    option("name", help="an experiment")
    option("--scale", choices=SCALES, required=True)
    option("--jobs", type=int, metavar="N", help="trials at once; -1: one a core (default 1; cluster: all)")
    option("--device", default="auto", help="cpu, cuda, cuda:N or auto (default)")
    option("--seeds", type=_seeds, nargs="+", metavar="S", help="these seeds, such as 0 1 2 or 0:5")
    only = "these parameters alone; a key given twice allows both values"
    option("--only", type=_only, nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=only)
    option("--time-limit", type=float, metavar="MINUTES", help="stop then, trials under way too")
    option("--backend", help="loky (processes, the default), threading, dask or ray")
    option("--address", help="of a running dask scheduler (tcp://host:8786) or ray cluster (auto)")
    option("--retry-errors", action="store_true", help="run the trials again that have raised")
    option("--allow-changes", action="store_true", help="store although the package has uncommitted changes")
    option("--quiet", action="store_true", help="no progress bar")
    option = add(_status, "status", "say what is stored of each experiment, or of one")
    option("name", nargs="?", help="an experiment")
    option = add(
        _plan, "plan", "say what the open trials will take, counted before they run, the most worth a minute first"
    )
    option("name", nargs="?", help="an experiment, told setting by setting")
    option("--scale", choices=SCALES, default="full")
    option("--device", default="cpu", help="cpu, cuda, cuda:N or auto, by its stored durations (default: cpu)")
    option("--tflops", type=float, metavar="T", help="an accelerator that sustains T TFLOP/s in matrix products")
    option = add(_verify, "verify", "run a random sample of the stored trials again and compare")
    option("name", nargs="?", help="an experiment (default: all that is stored, one after the other)")
    option("--log", metavar="FILE", help="with no name: note there what has held, and pass over what it says has")
    option("--sample", type=int, default=5, metavar="K", help="how many trials (default: 5)")
    option("--scale", choices=SCALES, help="default: the largest stored")
    option("--device", help="default: the kind of device the trial was stored from, else the CPU")
    option("--seed", type=int, default=0, help="chooses the sample (default: 0)")
    option("--alike", action="store_true", help="this processor rounds as the one that stored: demand all fields")
    option = add(_claims, "claims", "judge all claims on what is stored; compare with what is written down")
    option("--write", action="store_true", help="write down what has changed")
    option = add(_data, "data", "say which data sets are here, or fetch one")
    option("name", nargs="?", help="a data set")
    return parser


if __name__ == "__main__":
    sys.exit(main())
