"""What Wang et al. (2019) print: Tables 1, 2 and 3, in per cent."""

from __future__ import annotations

import math

__all__ = ["TABLE_1", "TABLE_2", "TABLE_3", "TEST_IMAGES", "standard_error"]

TEST_IMAGES = 10_000
"""The test images of MNIST and of CIFAR-10; the paper says of no subset, of no seeds and of no intervals."""


Printed = dict[str, dict[str, float]]
"""By defence, then by attack as ``judged`` names it."""


def _table(columns: list[str], rows: dict[str, list[float]]) -> Printed:
    return {defence: dict(zip(columns, row, strict=True)) for defence, row in rows.items()}


WHITE, BLACK = ["clean", "fgsm", "pgd10", "pgd20", "cw"], ["black_fgsm", "black_pgd10", "black_pgd20", "black_cw"]

TABLE_1 = {
    "mnist": _table(WHITE, {
        "unsecured": [99.20, 14.04, 0.0, 0.0, 0.0],
        "standard": [97.61, 94.71, 91.21, 90.62, 91.03],
        "curriculum": [98.62, 95.51, 91.24, 90.65, 91.12],
        "dynamic": [97.96, 95.34, 91.63, 91.27, 91.47],
    }),
    "cifar10": _table(WHITE, {
        "unsecured": [89.39, 2.2, 0.0, 0.0, 0.0],
        "standard": [66.31, 48.65, 44.39, 40.02, 36.33],
        "curriculum": [72.40, 50.47, 45.54, 40.12, 35.77],
        "dynamic": [72.17, 52.81, 48.06, 42.40, 37.26],
    }),
}  # fmt: skip
"""White-box robustness, by data set: a row a defence."""

TABLE_2 = {
    "mnist": _table(BLACK, {
        "standard": [96.12, 95.73, 95.73, 97.20],
        "curriculum": [96.59, 95.87, 96.09, 97.52],
        "dynamic": [97.60, 97.01, 96.97, 98.36],
    }),
    "cifar10": _table(BLACK, {
        "standard": [65.65, 65.80, 65.60, 66.12],
        "curriculum": [71.25, 71.44, 71.13, 71.94],
        "dynamic": [71.95, 72.15, 72.02, 72.85],
    }),
}  # fmt: skip
"""Black-box robustness."""

TABLE_3 = _table(["clean", "fgsm", "pgd20", "cw"], {
    "standard": [87.3, 56.1, 45.8, 46.8],
    "curriculum": [77.43, 57.17, 46.06, 42.28],
    "dynamic": [85.03, 63.53, 48.70, 47.27],
})  # fmt: skip
"""White-box robustness of WideResNets on CIFAR-10; ``standard`` is called Madry's there."""


def standard_error(one: float, other: float, images: int = TEST_IMAGES) -> float:
    """Return the standard error of the difference of two accuracies in per cent, each on ``images`` drawn afresh.

    On one test set the errors of two networks agree in part, which makes it smaller; another training seed, which is
    not in it, makes it larger.
    """
    return math.sqrt(sum(share * (100 - share) for share in (one, other)) / images)
