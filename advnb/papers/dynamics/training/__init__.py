"""The page ``dynamics/training``: Figure 3 of Deng et al., escapes along adversarial training."""
