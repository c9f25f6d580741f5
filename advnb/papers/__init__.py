"""One module a paper: its own quantities, bounds and experiments."""
