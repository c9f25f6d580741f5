"""One step is enough: Theorem 3.1 and Corollary 3.2 of Wang et al. (2022)."""
