"""What the pages of the chapter say of a mean over seeds."""

from __future__ import annotations

import pandas as pd

from advnb.book.rounding import about, interval
from advnb.statistics import aggregate


def mean_over_seeds(table: pd.DataFrame, field: str, digits: int = 2) -> str:
    """Return the mean of ``field`` over seeds with its bootstrap interval, as text: "2.4 [2.3, 2.5]"."""
    row = aggregate(table.assign(every=0), "every", field).iloc[0]
    return f"{about(row['mean'], digits)} {interval(row['low'], row['high'], digits)}"
