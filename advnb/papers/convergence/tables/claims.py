"""The claims of Tables 1 to 3 and Figure 4: conditions taken from the paper's sentences before the runs.

Differences between defences are paired by seed (``paired.gain``): "better" means that the 95 percent interval of the
difference lies above 0. The paper's data sets decide; digits, which it does not have, are told beside them.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from advnb.book.claims import Page
from advnb.book.rounding import about, at_most
from advnb.papers.convergence.judge import ATTACKS
from advnb.papers.convergence.paired import Difference, Value, gain, of_defence, over_seeds
from advnb.papers.convergence.recipes import RECIPES
from advnb.papers.convergence.tables.paper import TABLE_1, TABLE_2, TABLE_3, standard_error
from advnb.papers.convergence.tables.trials import TEST_EPS

PAGE = Page("convergence/tables", title="The defences compared")

Measured = tuple[str, dict[str, Any]]
RUNS = {"mnist": "convergence.tables_mnist", "cifar10": "convergence.tables_cifar10",
        "digits": "convergence.tables_digits"}  # fmt: skip
NAMES = {"mnist": "MNIST", "cifar10": "CIFAR-10", "digits": "digits"}
BOTH = tuple(RUNS.values())[:2]
ALL = tuple(RUNS.values())
TRAINED = ("standard", "curriculum", "dynamic")
BLACK = tuple(f"black_{attack}" for attack in ATTACKS)
STRONG = ATTACKS[1:]


def judged(*tables: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables by data set, without the networks that were attacked in bfloat16 while they trained."""
    found = {}
    for table in tables:
        rows = table if "bfloat16" not in table else table[table["bfloat16"].ne(True)]
        found[str(rows["data"].iloc[0])] = rows
    return found


def points(found: Difference) -> str:
    """Return a difference in points of a per cent with its interval, as text: "+1.2 [0.4, 2.0]"."""
    nudge = 1e-5  # means of shares of a thousand images lie on ties, which must round one way everywhere
    mean, low, high = (f"{100 * value + nudge:.1f}" for value in (found.mean, found.low, found.high))
    return f"{'' if mean.startswith('-') else '+'}{mean} [{low}, {high}]"


def told(found: dict[str, Difference]) -> str:
    """Return the gains of several data sets as text."""
    return ", ".join(f"{points(gained)} on {NAMES[data]}" for data, gained in found.items())


def lows(found: dict[str, Difference]) -> dict[str, float]:
    """Return the lower ends of the intervals, under the names of the data sets."""
    return {data: gained.low for data, gained in found.items()}


def averages(found: dict[str, Difference]) -> dict[str, float]:
    """Return the means, under the names of the data sets with ``_mean``."""
    return {f"{data}_mean": gained.mean for data, gained in found.items() if data != "digits"}


def means(table: pd.DataFrame, fields: tuple[str, ...], defences: tuple[str, ...] = TRAINED) -> pd.DataFrame:
    """Return mean accuracies over seeds, a row a defence and a column a field."""
    rows = {name: table[table["defence"] == name][list(fields)].astype(float).mean() for name in defences}
    return pd.DataFrame(rows).T


def lead(table: pd.DataFrame, value: Value, one: str, others: tuple[str, ...]) -> Difference:
    """Return the smallest of the gains of ``one`` defence over each of the ``others``, by the mean."""
    return min((gain(table, value, one, other) for other in others), key=lambda found: found.mean)


@PAGE.claim(
    "table-1.clean",
    says="On both datasets, the Unsecured model achieves the best test accuracy on clean images",
    evidence=ALL,
    holds=lambda mnist, cifar10, digits, mnist_mean: mnist > 0 and cifar10 > 0,
    verdict="reproduced",
    why="the lead over Curriculum on MNIST is small",
)
def _clean(*tables: pd.DataFrame) -> Measured:
    found = {data: lead(table, "clean", "unsecured", TRAINED) for data, table in judged(*tables).items()}
    return f"lead over the next best in points: {told(found)}", {**lows(found), "mnist_mean": found["mnist"].mean}


@PAGE.claim(
    "table-1.zero",
    says="Unsecured is not robust: accuracy drops to zero on strong attacks like PGD-10/20 or C&W",
    evidence=ALL,
    holds=lambda mnist, cifar10, digits: mnist < 0.01 and cifar10 < 0.01,
    verdict="reproduced",
)
def _zero(*tables: pd.DataFrame) -> Measured:
    found = {data: float(means(t, STRONG, ("unsecured",)).to_numpy().max()) for data, t in judged(*tables).items()}
    said = ", ".join(f"{at_most(100 * share, 0.1)}% on {NAMES[data]}" for data, share in found.items())
    return f"mean accuracy under the least harmful of the three: {said}", found


@PAGE.claim(
    "table-1.dynamic",
    says="Dynamic almost achieves the best robustness among all the defense models",
    evidence=ALL,
    holds=lambda first, better, worse, behind: first <= 5 and better == 0 and worse >= 3,
    verdict="not reproduced",
    why="Standard is ahead on CIFAR-10, and on MNIST no lead is outside the seeds' spread, in runs on 3,000 "
    "images; the condition set before them (first in 6 of 8 columns, better in 4) failed",
)
def _dynamic(*tables: pd.DataFrame) -> Measured:
    columns = {
        (data, attack): lead(table, attack, "dynamic", TRAINED[:2])
        for data, table in judged(*tables).items()
        for attack in ATTACKS
    }
    eight = [found for (data, _), found in columns.items() if data != "digits"]
    first = sum(found.mean >= 0 for found in eight)
    better, worse = sum(found.low > 0 for found in eight), sum(found.high < 0 for found in eight)
    behind = max(0.0, *(-found.mean for found in eight))
    average = {data: lead(t, ATTACKS, "dynamic", TRAINED[:2]) for data, t in judged(*tables).items()}
    return (
        f"best in the mean in {first} of 8 columns, with the interval of its lead above 0 in {better} and below 0 in "
        f"{worse}, {at_most(100 * behind, 0.1)} points behind the best; lead over the better of Standard and "
        f"Curriculum, mean of four attacks: {told(average)}"
    ), {"first": first, "better": better, "worse": worse, "behind": behind}


@PAGE.claim(
    "table-1.gain",
    says="Compared to Standard, Dynamic improves the robustness to a certain extent, especially on the more "
    "challenging CIFAR-10",
    evidence=ALL,
    holds=lambda mnist, cifar10, digits, mnist_mean, cifar10_mean, more: mnist <= 0 and cifar10_mean < 0 and more < 0,
    verdict="not reproduced",
    why="Dynamic is behind Standard on CIFAR-10; on MNIST the mean hangs on the one pair in which Standard "
    "left its plateau late. The condition set before the runs (both intervals above 0) failed",
)
def _gain(*tables: pd.DataFrame) -> Measured:
    found = {data: gain(table, ATTACKS, "dynamic", "standard") for data, table in judged(*tables).items()}
    more = found["cifar10"].mean - found["mnist"].mean
    each = {
        data: (of_defence(table, ATTACKS, "dynamic") - of_defence(table, ATTACKS, "standard")).dropna()
        for data, table in judged(*tables).items()
    }
    behind = ", ".join(f"{int((values < 0).sum())} of {len(values)} on {NAMES[data]}" for data, values in each.items())
    return f"Dynamic less Standard in points, mean of four attacks: {told(found)}; Dynamic is behind in {behind}", {
        **lows(found),
        **averages(found),
        "more": more,
    }


@PAGE.claim(
    "table-1.curriculum",
    says="Curriculum improves robustness against weak attacks like FGSM but is less effective against strong attacks "
    "like PGD/C&W",
    evidence=ALL,
    holds=lambda weak_mnist, weak_cifar10, less_mnist, less_cifar10: (
        less_mnist > 0 and less_cifar10 > -0.02 and weak_mnist <= 0
    ),
    verdict="reproduced in part",
    why="Curriculum does worse against strong attacks than under FGSM, clearly on MNIST; but under FGSM it "
    "improves nothing, where the condition set before the runs asked for it",
)
def _curriculum(*tables: pd.DataFrame) -> Measured:
    runs = judged(*tables)
    weak = {data: gain(table, "fgsm", "curriculum", "standard") for data, table in runs.items()}
    less = {
        data: gain(table, lambda row: row["fgsm"] - row[list(STRONG)].mean(), "curriculum", "standard")
        for data, table in runs.items()
    }
    return (
        f"gain over Standard under FGSM in points: {told(weak)}; more than under the strong attacks by {told(less)}",
        {
            f"{name}_{data}": found[data].low
            for name, found in (("weak", weak), ("less", less))
            for data in runs
            if data != "digits"
        },
    )


@PAGE.claim(
    "table-1.error",
    says="Dynamic significantly improves the robustness of the standard PGD adversarial training (section 2.2)",
    holds=lambda standard, curriculum: 0 < standard < 8 and 0 < curriculum < 8,
    verdict="reproduced in part",
    why="computed from the printed tables: half of the gains are significant, on MNIST hardly one",
)
def _error() -> Measured:
    """Count the printed gains that exceed 1.96 standard errors of two samples of 10,000 test images."""
    count, largest = {}, {}
    for other in ("standard", "curriculum"):
        z = {
            (data, attack): (table["dynamic"][attack] - table[other][attack])
            / standard_error(table["dynamic"][attack], table[other][attack])
            for data, table in TABLE_1.items()
            for attack in ATTACKS
        }
        count[other] = sum(value > 1.96 for value in z.values())
        largest[other] = max(value for (data, _), value in z.items() if data == "mnist")
    return (
        f"of the 8 printed gains over Standard {count['standard']} exceed 1.96 standard errors of 10,000 test images, "
        f"over Curriculum {count['curriculum']}; on MNIST the largest is {about(largest['standard'])} and "
        f"{about(largest['curriculum'])} standard errors"
    ), count


@PAGE.claim(
    "table-1.strongest",
    says="the columns run from weak attacks to strong ones, C&W being the strongest attack",
    holds=lambda weaker: weaker > 0,
    verdict="not reproduced",
    why="computed from the printed tables",
)
def _strongest() -> Measured:
    """Count the printed rows in which C&W leaves more accuracy than PGD-20."""
    tables = (TABLE_1["mnist"], TABLE_1["cifar10"], TABLE_3)
    weaker = [sum(table[name]["cw"] > table[name]["pgd20"] for name in TRAINED) for table in tables]
    return (
        f"as printed, C&W is weaker than PGD-20 in {weaker[0]} of 3 rows of Table 1 on MNIST, {weaker[1]} of 3 on "
        f"CIFAR-10 and {weaker[2]} of 3 of Table 3"
    ), {"weaker": sum(weaker)}


@PAGE.claim(
    "table-2.dynamic",
    says="Dynamic achieves higher black-box robustness than the other defense models",
    evidence=ALL,
    holds=lambda first, mnist, cifar10, digits: first <= 2 and mnist <= 0 and cifar10 <= 0,
    verdict="not reproduced",
    why="Curriculum is ahead of Dynamic, in the order of clean accuracy; the condition set before the runs "
    "(first in all 8 columns) failed",
)
def _black_dynamic(*tables: pd.DataFrame) -> Measured:
    runs = judged(*tables)
    found = {data: lead(table, BLACK, "dynamic", TRAINED[:2]) for data, table in runs.items()}
    first = sum(
        lead(table, field, "dynamic", TRAINED[:2]).mean > 0
        for data, table in runs.items()
        for field in BLACK
        if data != "digits"
    )
    return (
        f"best in the mean in {first} of 8 columns; lead over the better of Standard and Curriculum in points, mean "
        f"of four attacks: {told(found)}"
    ), {"first": first, **lows(found)}


@PAGE.claim(
    "table-2.curriculum",
    says="Curriculum also demonstrates a clear improvement over Standard against black-box attacks",
    evidence=ALL,
    holds=lambda mnist, cifar10, digits, mnist_mean, cifar10_mean: digits > 0 and mnist_mean > 0 and cifar10_mean > 0,
    verdict="reproduced in part",
    why="ahead in the mean on all three; on MNIST and CIFAR-10, where the condition was set before the runs, "
    "the seeds leave the interval open to 0",
)
def _black_curriculum(*tables: pd.DataFrame) -> Measured:
    found = {data: gain(table, BLACK, "curriculum", "standard") for data, table in judged(*tables).items()}
    return f"Curriculum less Standard in points, mean of four attacks: {told(found)}", {
        **lows(found),
        **averages(found),
    }


@PAGE.claim(
    "table-2.higher",
    says="all defense models achieve higher robustness against black-box attacks than against white-box attacks",
    evidence=ALL,
    holds=lambda least, mnist, cifar10, digits: least > 0 and mnist > 0 and cifar10 > 0,
    verdict="reproduced",
    why="every defence and attack in the mean, and the mean of the attacks with its interval for every defence",
)
def _higher(*tables: pd.DataFrame) -> Measured:
    runs = judged(*tables)
    least = min(
        float((of_defence(table, f"black_{attack}", name) - of_defence(table, attack, name)).mean())
        for data, table in runs.items()
        for name in TRAINED
        for attack in ATTACKS
        if data != "digits"
    )
    found = {
        data: min(
            (over_seeds(of_defence(table, BLACK, name) - of_defence(table, ATTACKS, name)) for name in TRAINED),
            key=lambda more: more.mean,
        )
        for data, table in runs.items()
    }
    return (
        f"black-box less white-box in points: the smallest of all cells {about(100 * least)}; the defence with the "
        f"smallest mean of four attacks: {told(found)}"
    ), {"least": least, **lows(found)}


@PAGE.claim(
    "table-2.stronger",
    says="black-box robustness tends to increase from weak attacks like FGSM to stronger attacks like C&W",
    evidence=ALL,
    holds=lambda mnist, cifar10, digits, mnist_mean, cifar10_mean: mnist > 0 and cifar10 > 0 and mnist_mean < 0,
    verdict="reproduced in part",
    why="C&W transfers less than FGSM, but PGD-20, which is stronger than FGSM too, transfers more on MNIST, "
    "in the paper as here",
)
def _stronger(*tables: pd.DataFrame) -> Measured:
    runs = judged(*tables)
    cw, pgd = (
        {
            data: over_seeds(
                pd.concat([of_defence(table, field, n) - of_defence(table, "black_fgsm", n) for n in TRAINED], axis=1)
                .dropna()
                .mean(axis=1)
            )
            for data, table in runs.items()
        }
        for field in ("black_cw", "black_pgd20")
    )
    return f"C&W less FGSM in points, mean of three defences: {told(cw)}; PGD-20 less FGSM: {told(pgd)}", {
        **lows(cw),
        **averages(pgd),
    }


@PAGE.claim(
    "table-2.clean",
    says="an attack lowers accuracy (implied by every table)",
    holds=lambda above: above > 0,
    verdict="not reproduced",
    why="computed from the printed tables: an attack that helps was made for another network",
)
def _above_clean() -> Measured:
    """Count the printed black-box accuracies that exceed the same network's accuracy on clean images."""
    cells = [
        (data, value - TABLE_1[data][name]["clean"])
        for data, table in TABLE_2.items()
        for name, row in table.items()
        for value in row.values()
    ]
    above = [more for _, more in cells if more > 0]
    most = max(above)
    gaps = [abs(more) for data, more in cells if data == "cifar10"]
    return (
        f"{len(above)} of the {len(cells)} printed black-box accuracies lie above the clean accuracy of the same "
        f"network in Table 1, by up to {about(most)} points; on CIFAR-10 all lie within {about(max(gaps))} points of it"
    ), {"above": len(above)}


@PAGE.claim(
    "table-3.wide",
    says="on WideResNet Dynamic demonstrates a significant boost over Madry's on FGSM and PGD-20 and the highest "
    "robustness under C&W; Curriculum only slight gains, and 4% less under C&W",
    verdict="not run",
    why="WideResNet-34-10 takes hours an epoch on two cores; the experiment convergence.table_3 declares it at the "
    "paper's size",
)
def _wide() -> Measured:
    return "", {}


@PAGE.claim(
    "table-3.printed",
    says="for the strongest attack C&W, Dynamic achieves the highest robustness",
    holds=lambda z, weaker: z < 1.96 and weaker > 0,
    verdict="reproduced in part",
    why="computed from the printed table: the highest it is, within what 10,000 test images leave open, and another "
    "attack is the strongest there",
)
def _printed() -> Measured:
    mine, other = TABLE_3["dynamic"]["cw"], TABLE_3["standard"]["cw"]
    z = (mine - other) / standard_error(mine, other)
    strongest = min(TABLE_3["standard"].items(), key=lambda item: item[1])[0]
    return (
        f"as printed the lead over Madry's is {about(mine - other)} points, {about(z)} standard errors of 10,000 test "
        f"images, and the strongest attack on Madry's network is {'PGD-20' if strongest == 'pgd20' else strongest}"
    ), {"z": z, "weaker": int(strongest != "cw")}


def at_share(share: float) -> Value:
    """Return the accuracy at ``share`` of the training eps as a function of a row (Figure 4a)."""
    place = TEST_EPS.index(share)
    return lambda row: float(row["at_eps"][place])


@PAGE.claim(
    "figure-4a.improve",
    says="Curriculum and Dynamic substantially improve the robustness of Standard at every test eps",
    evidence=BOTH[1:] + BOTH[:1],
    holds=lambda curriculum, dynamic, curriculum_full, dynamic_full, mnist: curriculum_full < 0 and dynamic_full < 0,
    verdict="not reproduced",
    why="the lines cross: at the full eps Standard is ahead; the condition set before the runs (above 0 at "
    "every eps) failed",
)
def _improve(*tables: pd.DataFrame) -> Measured:
    each = {
        data: {n: [gain(table, at_share(share), n, "standard") for share in TEST_EPS] for n in TRAINED[1:]}
        for data, table in judged(*tables).items()
    }
    said = "; ".join(
        f"{', '.join(f'{n.capitalize()} {points(g[0])} and {points(g[-1])}' for n, g in part.items())} on {NAMES[data]}"
        for data, part in each.items()
    )
    return f"gain over Standard at a quarter and at all of the training eps, in points: {said}", {
        **{name: min(g.low for g in found) for name, found in each["cifar10"].items()},
        **{f"{name}_full": found[-1].mean for name, found in each["cifar10"].items()},
        "mnist": min(g.low for found in each["mnist"].values() for g in found),
    }


@PAGE.claim(
    "figure-4a.large",
    says="Dynamic is better against stronger attacks with larger perturbations (eps = 8/255) than Curriculum",
    evidence=BOTH[1:] + BOTH[:1],
    holds=lambda cifar10, mnist, cifar10_mean, mnist_mean: cifar10_mean < 0 and mnist > 0,
    verdict="not reproduced",
    why="on CIFAR-10, where the paper has it, the two are level or Curriculum ahead; on MNIST Dynamic is ahead by far",
)
def _large(*tables: pd.DataFrame) -> Measured:
    found = {data: gain(table, at_share(1.0), "dynamic", "curriculum") for data, table in judged(*tables).items()}
    return f"Dynamic less Curriculum at the training eps, PGD-10, in points: {told(found)}", {
        **lows(found),
        **averages(found),
    }


@PAGE.claim(
    "figure-4a.small",
    says="at smaller perturbations (eps = 4/255, 2/255) Curriculum performs similarly to Dynamic",
    evidence=BOTH[1:] + BOTH[:1],
    holds=lambda low, high, mnist_low, mnist_high: mnist_low > -0.02 and mnist_high < 0.02 and low <= -0.02,
    verdict="reproduced in part",
    why="within two points of 0 on MNIST; on CIFAR-10, where the condition was set before the runs, three "
    "seeds leave intervals that are wider",
)
def _small(*tables: pd.DataFrame) -> Measured:
    runs = judged(*tables)
    two = {
        data: [gain(table, at_share(share), "dynamic", "curriculum") for share in TEST_EPS[:2]]
        for data, table in runs.items()
    }
    said = ", ".join(f"{points(a)} and {points(b)} on {NAMES[data]}" for data, (a, b) in two.items())
    ends = {data: (min(g.low for g in found), max(g.high for g in found)) for data, found in two.items()}
    return f"Dynamic less Curriculum at a quarter and half of the training eps, in points: {said}", {
        "low": ends["cifar10"][0],
        "high": ends["cifar10"][1],
        "mnist_low": ends["mnist"][0],
        "mnist_high": ends["mnist"][1],
    }


def by_training_eps(small: pd.DataFrame, large: pd.DataFrame, defence: str) -> dict[float, pd.Series]:
    """Return the gain over Standard under PGD-10, a series over seeds, by the eps of training and test (Figure 4b)."""
    recipe = RECIPES[str(large["data"].iloc[0])]
    runs = {recipe.eps: large} | {float(eps): small[small["eps"] == eps] for eps in small["eps"].unique()}
    found = {
        eps: (of_defence(rows, "pgd10", defence) - of_defence(rows, "pgd10", "standard")).dropna()
        for eps, rows in runs.items()
    }
    return {eps: values for eps, values in found.items() if len(values)}


@PAGE.claim(
    "figure-4b",
    says="training with weak attacks at the early stages might have a limit: the robustness gain tends to decrease "
    "when the maximum perturbation decreases to eps = 2/255",
    evidence=("convergence.figure_4b", "convergence.tables_digits"),
    holds=lambda curriculum, dynamic, most: most < 0.01,
    verdict="not reproduced",
    why="there is no gain to shrink at any eps; on digits, eps from 0.05 to 0.2, not on CIFAR-10. The "
    "condition set before the runs (gains that shrink with eps) failed",
)
def _figure_4b(small: pd.DataFrame, digits: pd.DataFrame) -> Measured:
    digits = judged(digits)["digits"]
    said, numbers = [], {"most": -1.0}
    for name in TRAINED[1:]:
        found = by_training_eps(small[small["data"] == "digits"], digits, name)
        shrinks = over_seeds((found[max(found)] - found[min(found)]).dropna())
        numbers |= {name: shrinks.low, "most": max(numbers["most"], *(float(v.mean()) for v in found.values()))}
        each = ", ".join(f"{100 * v.mean() + 1e-5:+.1f} at {eps:g}" for eps, v in sorted(found.items()))
        said.append(f"{name.capitalize()} {each}, from the smallest to the largest {points(shrinks)}")
    return f"gain over Standard under PGD-10 in points: {'; '.join(said)}", numbers


@PAGE.claim(
    "section-5.1.early",
    says="training with weak adversarial examples at the early stage can improve the final robustness",
    evidence=ALL,
    holds=lambda mnist, cifar10, digits, mnist_mean, cifar10_mean, black: (
        mnist_mean < 0 and cifar10_mean < 0 and black > 0
    ),
    verdict="reproduced in part",
    why="the mean of Curriculum and Dynamic less Standard. White-box, under PGD-20, where the condition set before the "
    "runs (above 0) asked for it, there is no gain; black-box, from where the paper infers it, there is, as clean "
    "accuracy has it",
)
def _early(*tables: pd.DataFrame) -> Measured:
    def weak_first(table: pd.DataFrame, value: Value) -> Difference:
        mean = (of_defence(table, value, "curriculum") + of_defence(table, value, "dynamic")) / 2
        return over_seeds((mean - of_defence(table, value, "standard")).dropna())

    found = {data: weak_first(table, "pgd20") for data, table in judged(*tables).items()}
    black = {data: weak_first(table, BLACK) for data, table in judged(*tables).items()}
    return f"gain over Standard in points, white-box: {told(found)}; black-box: {told(black)}", {
        **lows(found),
        **averages(found),
        "black": min(gained.mean for gained in black.values()),
    }
