"""The pictures of the page ``dynamics/training``."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from advnb.book import figures
from advnb.book.rounding import about
from advnb.experiments.read import label
from advnb.papers.dynamics.images.drawings import covered, draw_band
from advnb.papers.dynamics.images.escape import STEPS
from advnb.papers.dynamics.images.tables import nearest, pick, spread
from advnb.papers.dynamics.training.claims import SETTING, learning
from advnb.papers.dynamics.training.trials import EPOCHS

LOOKS = dict(zip(EPOCHS, zip(("#9A9A9A", *figures.CYCLE[:2]), "osD", strict=True), strict=True))
"""Colour and marker of an epoch."""

KINDS = [("sgd", "norm"), ("adam", "norm"), ("sgd", "pixels"), ("adam", "pixels")]
"""Optimiser and reading of the input scale."""


def kind_name(kind: tuple[str, str]) -> str:
    """What a kind of training is called on the page."""
    return f"{ {'sgd': 'SGD', 'adam': 'Adam'}[kind[0]] }, {kind[1]}"


def draw_settings(ax: Axes, state: pd.DataFrame, rule: str) -> None:
    """Steps to half of the loss range at the three epochs, a line a setting, bold where its networks learn.

    Medians over networks. What has not escaped lies beyond the dotted line of the last step; a setting without a marker
    for an epoch has no range left there.
    """
    limit, learned = STEPS[rule], learning(state)
    settings = list(dict.fromkeys(zip(*(state[name] for name in SETTING), strict=True)))
    for y, setting in enumerate(settings):
        cell = pick(state, **dict(zip(SETTING, setting, strict=True)))
        times = cell.groupby("epoch")[rule].agg(
            lambda steps: nearest(steps.dropna()) if steps.notna().any() else np.nan
        )
        times = times.clip(upper=1.6 * limit)
        ax.plot(times, [y] * len(times), color=figures.FAINT, linewidth=2.5 if learned[setting] else 0.8, zorder=1)
        for (epoch, (colour, marker)), shift in zip(LOOKS.items(), (-0.18, 0, 0.18), strict=True):
            ax.plot(
                times[epoch],
                y + shift,
                marker,
                color=colour,
                markersize=5.5,
                label=f"epoch {epoch}" if y == 0 else None,
            )
    names = [f"{name}, {reading}, s = {scale:g}, r = {ratio:g}" for name, reading, scale, ratio in settings]
    ax.set_xscale("log")
    ax.axvline(limit, color=figures.FAINT, linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(names)), names, fontsize=8)
    for tick, setting in zip(ax.get_yticklabels(), settings, strict=True):
        tick.set_fontweight("bold" if learned[setting] else "normal")
    ax.invert_yaxis()
    ax.set(title=f"{rule} steps", xlim=(0.7, 2.2 * limit))


def say_escapes(state: pd.DataFrame, kind: tuple[str, str], epoch: int, rule: str) -> str:
    """Say what :func:`draw_escapes` shows."""
    optimizer, reading = kind_name(kind).split(", ")
    rows = pick(state, optimizer=optimizer, reading=reading, scale=0.1, epoch=epoch)
    told = [
        f"{spread(cell[rule], STEPS[rule])} at r = {ratio:g} (accuracy {cell['accuracy'].median():.2f})"
        for ratio, cell in sorted(rows.groupby("ratio"), reverse=True)
    ]
    return f"Steps to half of the loss range: {', '.join(told)}"


def draw_escapes(ax: Axes, fig3: pd.DataFrame, kind: tuple[str, str], epoch: int, rule: str) -> None:
    """A panel of Figure 3 for one optimiser and one reading of the scale: the share covered, a curve a ratio.

    The legend tells the state of the networks: medians of the training accuracy, of the norm of the margin's gradient
    at the images, and of the range of the loss over the ball.
    """
    of_kind = pick(fig3, optimizer=kind[0], units=kind[1], scale=0.1)
    e = EPOCHS.index(epoch)
    for colour, ratio in zip(figures.CYCLE, sorted(of_kind["ratio"].unique(), reverse=True), strict=False):
        trials = pick(of_kind, ratio=ratio)
        both = zip(trials[f"{rule}_path"], trials[f"{rule}_margin_floor"], strict=True)
        shares = np.concatenate([covered(path[e], floor[e], "minus") for path, floor in both])
        shares = shares[~np.isnan(shares).any(axis=1)]
        fields = ("train_accuracy", "constant_gradient_clean", "relative_margin_peak", "relative_margin_floor")
        accuracy, gradient, top, floors = (np.stack(trials[field].to_list())[:, e] for field in fields)
        name = f"r = {ratio:g}: accuracy {np.median(accuracy):.2f}"
        if len(shares) == 0:
            ax.plot([], [], color=colour, label=f"{name}, a constant network, nothing to cover")
            continue
        span = np.median(np.logaddexp(0, -floors) - np.logaddexp(0, -top))
        name += f", gradient {about(np.median(gradient), 1)}, loss range {about(span, 1)}"
        draw_band(ax, rule, shares, colour, name)
    ax.set(ylabel="share of the loss range", title=f"{kind_name(kind)}, epoch {epoch}, {rule} steps")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=1, fontsize=8)
    figures.provenance(ax.figure, label(fig3))  # type: ignore[arg-type]
