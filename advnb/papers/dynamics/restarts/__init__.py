"""What a restart is worth: how many random starts PGD needs to reach the largest loss. A result of this book."""

from advnb.papers.dynamics.restarts.claims import PAGE
from advnb.papers.dynamics.restarts.networks import RESTARTS_DIGITS, RESTARTS_MNIST
from advnb.papers.dynamics.restarts.trials import RESTARTS

__all__ = ["PAGE", "RESTARTS", "RESTARTS_DIGITS", "RESTARTS_MNIST"]
