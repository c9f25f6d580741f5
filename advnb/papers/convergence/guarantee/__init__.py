"""Theorem 1 of Wang et al. (2019) on problems whose constants are all known."""
