"""What a restart is worth: how many random starts PGD needs to reach the largest loss. A result of this book."""

from advnb.papers.dynamics.restarts.claims import CASE, OFFERED, PAGE, for_practice, longest, of_cnns, successes, table
from advnb.papers.dynamics.restarts.drawings import draw_accuracy, draw_basins, draw_shares, draw_steps
from advnb.papers.dynamics.restarts.estimate import interval, needed, needed_over_inputs, reached, summary
from advnb.papers.dynamics.restarts.networks import RESTARTS_DIGITS, RESTARTS_MNIST, by_image, trained
from advnb.papers.dynamics.restarts.trials import RESTARTS, STARTS, STEPS, ends, highest

__all__ = [
    "CASE", "OFFERED", "PAGE", "RESTARTS", "RESTARTS_DIGITS", "RESTARTS_MNIST", "STARTS", "STEPS", "by_image",
    "draw_accuracy", "draw_basins", "draw_shares", "draw_steps", "ends", "for_practice", "highest", "interval",
    "longest", "needed", "needed_over_inputs", "of_cnns", "reached", "successes", "summary", "table", "trained",
]  # fmt: skip
