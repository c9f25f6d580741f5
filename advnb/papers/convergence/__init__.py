"""Wang, Ma, Bailey, Yi, Zhou and Gu (ICML 2019): how converged the inner maximisation should be while training.

``guarantee`` has Theorem 1 on problems whose constants are known, ``criterion`` FOSC itself, ``strength`` Figure 1,
``robustness`` Figures 2 and 3, ``dynamic`` Algorithm 1 and its ablations. ``tables`` has the defences against each
other, ``stages`` Figure 5 on the same runs, ``cost`` AutoAttack, cost and a rule for c_max.

Shared by them: ``recipes`` trains, ``judge`` attacks, ``followed`` is the trial of the ablations, ``paired`` compares
seed by seed.
"""
