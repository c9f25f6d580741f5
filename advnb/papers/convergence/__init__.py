"""Wang, Ma, Bailey, Yi, Zhou and Gu (ICML 2019): how converged the inner maximisation should be while training.

``guarantee`` has Theorem 1 on problems whose constants are known, ``tables`` the defences against each other; both are
declared, and their pages are to come. ``compare`` pairs defences by seed.
``criterion`` has FOSC itself, equation (4) and Figure 1.
``robustness`` has Figures 2 and 3, ``dynamic`` Algorithm 1 and its ablations; ``followed`` is their trial,
``percentiles`` reads distributions.
"""
