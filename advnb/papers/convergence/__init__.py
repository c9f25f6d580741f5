"""Wang, Ma, Bailey, Yi, Zhou and Gu (ICML 2019): how converged the inner maximisation should be while training.

``guarantee`` has Theorem 1 on problems whose constants are known, declared and not yet run; its page is to come.
"""
