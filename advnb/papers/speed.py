"""The page on speed: what attacks and training take, beside plain limits and the libraries people use.

`make bench` measures and writes ``book/results/measured/speed.json``; this module only reads it. All times of a case
come from one run, in turns, so what is shown are ratios within a turn: their median and their quartiles.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from advnb import checks
from advnb.book import figures
from advnb.experiments.read import results_folder

__all__ = [
    "LIBRARIES", "LIMITS", "Limit", "Measured", "check", "draw_parts", "draw_ratios", "measured", "reached", "shown",
]  # fmt: skip

LIBRARIES = ("torchattacks", "foolbox", "ART")
EXAMPLE = 1 / 500
"""An accuracy that differs by one example of 500."""


@dataclass(frozen=True)
class Measured:
    """One run of `make bench`: ``about`` it, its ``cases``, and where the ``parts`` of a step's time go.

    ``cases`` has a row for each case and variant: median ``seconds``, and ``ratio``, ``low`` and ``high``, the median
    and the quartiles of its time over the baseline's in the same turn; then what else was seen, NaN where nothing was.
    ``parts`` has seconds, a row for each variant and a column for each kind of work.
    """

    about: dict[str, Any]
    cases: pd.DataFrame
    parts: pd.DataFrame = field(repr=False)

    def case(self, name: str) -> pd.DataFrame:
        """Return the rows of one case, by variant; raises ``ValueError`` for a case that was not measured."""
        checks.choice("case", name, list(dict.fromkeys(self.cases["case"])))
        return self.cases[self.cases["case"] == name].set_index("variant")

    def value(self, case: str, variant: str, column: str = "ratio") -> float:
        """Return one number of the table, NaN where that variant was not measured."""
        rows = self.case(case)
        return float(rows[column].get(variant, np.nan)) if column in rows else np.nan

    @property
    def label(self) -> str:
        """Where and when it was measured."""
        about = self.about
        libraries = ", ".join(f"{name} {version}" for name, version in about["libraries"].items())
        trial = "TRIAL RUN on a busy machine; " if about["trial"] else ""
        threads = "1 thread" if about["threads"] == 1 else f"{about['threads']} threads"
        return (
            f"{trial}{about['device_name']}, {threads}, {about['capability']}; torch {about['torch']}, {libraries}; "
            f"commit {about['commit']}, {about['date'][:10]}"
        )


def measured(path: Path | str | None = None) -> Measured:
    """Return what `make bench` wrote at ``path``, by default among the stored results; ``OSError`` if there is none."""
    whole = json.loads(Path(path or results_folder() / "measured" / "speed.json").read_text(encoding="utf-8"))
    rows = [row for row in whole["rows"] if "seconds" in row]
    base = {(row["case"], row["variant"]): np.array(row["seconds"]) for row in rows}
    table = []
    for row in rows:
        seconds = np.array(row["seconds"])
        low, ratio, high = np.quantile(seconds / base[row["case"], row["baseline"]], (0.25, 0.5, 0.75))
        kept = {name: value for name, value in row.items() if name != "seconds"}
        table.append({**kept, "seconds": np.median(seconds), "ratio": ratio, "low": low, "high": high,
                      "rounds": len(seconds)})  # fmt: skip
    parts = {row["variant"]: row["parts"] for row in whole["rows"] if "parts" in row}
    return Measured(whole["about"], pd.DataFrame(table), pd.DataFrame(parts).T.fillna(0.0))


# ------------------------------------------------------------------------------------------ what was to be reached


@dataclass(frozen=True)
class Limit:
    """What should hold: ``of(run)`` is at most ``most``, or at least ``least``; ``why`` not, where it does not."""

    says: str
    of: Callable[[Measured], float]
    most: float = np.inf
    least: float = -np.inf
    why: str = ""

    def verdict(self, run: Measured) -> str:
        """Return "reached", "not reached", or "not measured" where the processor or a library was missing."""
        value = self.of(run)
        if np.isnan(value):
            return "not measured"
        return "reached" if self.least <= value <= self.most else "not reached"


def _ratio(case: str, variant: str, to: str | None = None) -> Callable[[Measured], float]:
    def of(run: Measured) -> float:
        base = 1.0 if to is None else run.value(case, to)
        return run.value(case, variant) / base

    return of


def _lead(case: str, variant: str) -> Callable[[Measured], float]:
    """How many times as long the fastest library takes."""

    def of(run: Measured) -> float:
        rows = run.case(case)["ratio"]
        return float(rows.reindex(LIBRARIES).min() / rows.get(variant, np.nan))

    return of


def _apart(case: str, column: str) -> Callable[[Measured], float]:
    """How far the default is from the network as written, in accuracy or loss under attack."""
    return lambda run: abs(run.value(case, "advnb", column) - run.value(case, "advnb, fold=False", column))


def _per_gradient(run: Measured) -> float:
    """What a gradient costs Dynamic, over what it costs Standard."""
    costs = [
        run.value("mnist.training", name) / run.value("mnist.training", name, "gradients")
        for name in ("Dynamic", "Standard")
    ]
    return costs[0] / costs[1]


def _seconds(case: str, variant: str) -> Callable[[Measured], float]:
    return lambda run: run.value(case, variant, "seconds")


BEFORE = "advnb, trace before each step"
KERNELS = "the rest is the convolutions' own time, see where the time goes"
LIMITS: tuple[Limit, ...] = (
    Limit("PGD-10 on MNIST, of the plain limit", _ratio("mnist.pgd10", "advnb"), most=0.45, why=KERNELS),
    Limit("PGD-40 on MNIST, of the plain limit", _ratio("mnist.pgd40", "advnb"), most=0.45, why=KERNELS),
    Limit("its accuracy under attack, from that of the network as written", _apart("mnist.pgd10", "accuracy"),
          most=1.001 * EXAMPLE, why="pixels take the other sign where a gradient is next to zero"),
    Limit("its mean loss under attack, likewise", _apart("mnist.pgd10", "loss"), most=1e-3,
          why="pixels take the other sign where a gradient is next to zero"),
    Limit("a trace of the K points stepped from, of the attack without (PGD-10)",
          _ratio("mnist.pgd10", BEFORE, "advnb"), most=1.04, why="it takes FOSC at each point"),
    Limit("a trace of the K points stepped from, of the attack without (PGD-40)",
          _ratio("mnist.pgd40", BEFORE, "advnb"), most=1.04, why="it takes FOSC at each point"),
    Limit("a trace with the last point too (PGD-10)", _ratio("mnist.pgd10", "advnb, trace", "advnb"), most=1.04,
          why="no step needs the gradient at the last point: it is one more, a tenth of ten"),
    Limit("a trace with the last point too (PGD-40)", _ratio("mnist.pgd40", "advnb, trace", "advnb"), most=1.04,
          why="no step needs the gradient at the last point: it is one more, and FOSC is taken at each"),
    Limit("PGD-10 on CIFAR-10, of the plain limit", _ratio("cifar10.pgd10", "advnb"), most=0.75, why=KERNELS),
    Limit("PGD-10 on MNIST in native bfloat16", _ratio("mnist.pgd10", "advnb, bfloat16"), most=0.35,
          why="the first convolution and what lies between the products gain nothing from it"),
    Limit("the fastest library on MNIST, of our PGD-10", _lead("mnist.pgd10", "advnb"), least=2, why=KERNELS),
    Limit("the fastest library on MNIST, of our PGD-40", _lead("mnist.pgd40", "advnb"), least=2, why=KERNELS),
    Limit("the fastest library on CIFAR-10, of our PGD-10", _lead("cifar10.pgd10", "advnb"), least=2,
          why="wide convolutions are nearly all of the time there, for everyone alike"),
    Limit("an epoch of Standard, of a minimal loop's", _ratio("mnist.training", "Standard"), most=0.52, why=KERNELS),
    Limit("the fastest library's epoch, of Standard's", _lead("mnist.training", "Standard"), least=2, why=KERNELS),
    Limit("a gradient of Dynamic's, of one of Standard's", _per_gradient, most=1.15, least=0.85,
          why="the update and the smaller batches at the end of an attack cost the same for fewer gradients"),
    Limit("PGD-100 on two layers, of its two dense products", _ratio("two_layer.pgd100", "advnb"), most=0.65,
          why="on these steps too many units change sign for an update to pay"),
    Limit("seconds to import advnb.attacks, beyond torch", _seconds("imports", "advnb.attacks"), most=0.05),
    Limit("seconds to import advnb.training", _seconds("imports", "advnb.training"), most=0.10),
    Limit("seconds to import advnb.book.explore", _seconds("imports", "advnb.book.explore"), most=0.3),
    Limit("seconds for a frame of the landscape's explorer", _seconds("frame", "frame"), most=0.1,
          why="half of it is the layout of the axes, matplotlib's own"),
)  # fmt: skip
"""What was asked before anything was measured, and why it was not reached where it was not.

Settled afterwards: where the plain limit takes its gradients, and that a trace is read in two ways.
"""


def reached(run: Measured) -> pd.DataFrame:
    """Return the table of :data:`LIMITS` with what was measured."""
    rows = []
    for limit in LIMITS:
        value, verdict = limit.of(run), limit.verdict(run)
        bounds = [f"at least {limit.least:g}"] * (limit.least > -np.inf)
        why = "a trial run: the machine was busy, and the work small" if run.about["trial"] else limit.why
        bounds += [f"at most {limit.most:.3g}"] * (limit.most < np.inf)
        rows.append({
            "what": limit.says, "asked": ", ".join(bounds), "measured": "" if np.isnan(value) else f"{value:.3g}",
            "outcome": verdict, "why": why if verdict == "not reached" else "",
        })  # fmt: skip
    return pd.DataFrame(rows)


# ------------------------------------------------------------------------------------------------------ what is shown


def shown(run: Measured, cases: Sequence[str]) -> pd.DataFrame:
    """Return the table of some cases as the page has it: ratios with their quartiles, times, strength."""
    rows = pd.concat([run.case(name).reset_index() for name in cases])
    number: Callable[[Any], str] = lambda value: "" if pd.isna(value) else f"{value:.3f}"  # noqa: E731
    columns = {
        "case": rows["title"],
        "way": rows["variant"],
        "of the baseline": [f"{ratio:.2f} [{low:.2f}, {high:.2f}]" for ratio, low, high in _spread(rows)],
        "seconds": [f"{value:.3g}" for value in rows["seconds"]],
    }
    for name, head in {"accuracy": "accuracy under attack", "loss": "mean loss", "gradients": "gradients"}.items():
        if name in rows and rows[name].notna().any():
            columns[head] = rows[name].map(number)
    return pd.DataFrame(columns).set_index(["case", "way"])


def _spread(rows: pd.DataFrame) -> list[tuple[float, float, float]]:
    return list(rows[["ratio", "low", "high"]].itertuples(index=False, name=None))


def draw_ratios(ax: Axes, run: Measured, cases: Sequence[str]) -> None:
    """Draw the ratios of some cases to their baselines: a dot at the median, a bar over the quartiles, a log axis."""
    heights, names, y = [], [], 0.0
    for case in cases:
        rows = run.case(case)
        base = rows["baseline"].iloc[0]
        ax.text(0.01, y, rows["title"].iloc[0], transform=ax.get_yaxis_transform(), fontweight="bold", va="center")
        y += 1
        for variant, row in rows.drop(base).iterrows():
            look = figures.line("adversarial" if variant in LIBRARIES else "measured")
            ax.plot([row["low"], row["high"]], [y, y], color=look["color"], linewidth=3, alpha=0.5)
            ax.plot(row["ratio"], y, marker=look["marker"], color=look["color"], linestyle="none")
            heights.append(y)
            names.append(str(variant))
            y += 1
        y += 0.4
    ax.axvline(1, color=figures.INK, linewidth=1)
    ax.set_yticks(heights, names)
    ax.set_ylim(y - 0.4, -0.8)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator([0.25, 0.35, 0.5, 0.7, 1, 1.4, 2]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_xlabel("time, of the plain limit's (attacks) or of a minimal loop's (training)")
    ax.grid(axis="y", visible=False)


def draw_parts(ax: Axes, run: Measured) -> None:
    """Draw where the time of a step goes, as shares of a step on the network as written: a bar a variant."""
    whole = run.parts.sum(axis=1).iloc[0]
    order = run.parts.iloc[0].sort_values(ascending=False).index
    left = np.zeros(len(run.parts))
    for kind, colour in zip(order, (*figures.CYCLE, figures.FAINT), strict=False):
        share = (run.parts[kind] / whole).to_numpy()
        ax.barh(range(len(run.parts)), share, left=left, height=0.6, color=colour, label=kind)
        left += share
    ax.set_yticks(range(len(run.parts)), run.parts.index)
    ax.invert_yaxis()
    ax.set_xlabel("time, of a step's on the network as written")
    ax.grid(axis="y", visible=False)
    ax.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.3), frameon=False)


def check(run: Measured) -> str:
    """Return what the stored measurement says, a line for each limit."""
    table = reached(run)
    counts = table["outcome"].value_counts()
    lines = [f"{count} of {len(table)} {verdict}" for verdict, count in counts.items()]
    return "\n".join(lines + [f"  {row['what']}: {row['measured']}, {row['outcome']}" for _, row in table.iterrows()])
