"""Algorithm 1 of Wang et al. (2022): its variants, its slips, and training that leaves the ball."""
