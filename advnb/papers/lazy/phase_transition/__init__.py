"""Where training against the attack stops helping: Figure 4 and Algorithm 1 of Wang et al. (2022)."""
