"""How the flipping step depends on dimension and width: Figures 2, 3, 5, 6 and 7 of Wang et al. (2022)."""
