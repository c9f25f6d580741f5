"""Wang, Ullah, Mianjy and Arora (NeurIPS 2022): networks trained in the lazy regime are flipped by one step.

``ball`` has the 2,infinity ball around the initial weights, ``sgd`` training that notices when it leaves it.
"""
