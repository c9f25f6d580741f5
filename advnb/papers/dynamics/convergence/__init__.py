"""How projected gradient descent gets there: Theorem 3.1, Corollary 3.1 and the lemmas of Deng et al. (2020)."""
