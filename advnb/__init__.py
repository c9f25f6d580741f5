"""advnb: attacks, convergence criteria and defences behind the book on the first-order adversary."""

__version__ = "0.1.0"
