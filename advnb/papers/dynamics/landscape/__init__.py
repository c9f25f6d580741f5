"""Where the adversaries are: Figures 1, 4 and 5, Theorem 5.1 and section 5.2 of Deng et al. (2020)."""
