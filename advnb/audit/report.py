"""What an audit found: a table of what was measured, the attacks that were tried, the flags, as text and as HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from advnb.audit.flags import FLAGS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cost", "Report", "checks_table"]


class Cost(NamedTuple):
    """What an audit takes: gradients and further forward passes, of each example; the audited attack's are extra."""

    gradients: int
    forwards: int

    def __str__(self) -> str:
        return f"{self.gradients} gradients and {self.forwards} forward passes an example"


@dataclass(frozen=True, repr=False)
class Report:
    """The result of :func:`advnb.audit.audit`.

    ``table`` has one row a flag, by name: ``measured`` (NaN where it could not be), the ``limit`` above which the flag
    is raised, whether it is ``raised``, and what was measured in words as ``what``. ``attacks`` has one row an attack,
    the audited one first after the clean examples: ``accuracy`` with its 95 percent interval ``low`` to ``high``, mean
    ``loss``, and for the clean and the audited examples the medians of ``fosc`` and of the ``gradient``'s dual norm.
    ``cost`` is what the audit took. A report shows itself, in a notebook as HTML.
    """

    table: pd.DataFrame
    attacks: pd.DataFrame
    cost: Cost

    @property
    def flags(self) -> tuple[str, ...]:
        """The names of the flags that were raised; :data:`advnb.audit.FLAGS` tells more about each."""
        return tuple(self.table.index[self.table["raised"]])

    @property
    def passed(self) -> bool:
        """Whether no flag was raised."""
        return not self.flags

    def __repr__(self) -> str:
        lines = [self._verdict(), "", self._shown().to_string()]
        for name in self.flags:
            lines += ["", f"{name}: {self._found(name)}", f"  means: {FLAGS[name].means}", f"  do:    {FLAGS[name].do}"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        table = self._shown().to_html(border=0, classes="advnb-table")
        name = html.escape(f"attacks; {self._verdict()}")
        attacks = f'<div class="advnb-scroll" role="region" tabindex="0" aria-label="{name}">{table}</div>'
        rows = "".join(
            f"<dt><strong>{name}</strong></dt><dd>{html.escape(f'{self._found(name)} {FLAGS[name].means}')} "
            f"<em>{html.escape(FLAGS[name].do)}</em></dd>"
            for name in self.flags
        )
        return f"<p>{html.escape(self._verdict())}</p>{attacks}" + (f"<dl>{rows}</dl>" if rows else "")

    def _verdict(self) -> str:
        looked = int(self.table["measured"].notna().sum())
        found = f"{len(self.flags)} raised: {', '.join(self.flags)}" if self.flags else "none raised"
        return f"audit: {looked} of {len(self.table)} flags looked for, {found} ({self.cost})"

    def _found(self, name: str) -> str:
        value = float(self.table["measured"].to_dict()[name])
        return f"{FLAGS[name].measured} is {value:.3g} (limit {FLAGS[name].limit:g})."

    def _shown(self) -> pd.DataFrame:
        shown = self.attacks.rename(columns={"fosc": "FOSC"})
        return shown.map(lambda value: f"{value:.3g}" if value == value else "")


def checks_table(measured: Mapping[str, float]) -> pd.DataFrame:
    """Return the table of a :class:`Report` from what was ``measured``, by name of the flag."""
    import pandas as pd

    found = {name: float(measured.get(name, float("nan"))) for name in FLAGS}
    limits = {name: one.limit for name, one in FLAGS.items()}
    table = pd.DataFrame({"measured": found, "limit": limits}).rename_axis("flag")
    table["raised"] = table["measured"].round(9) > table["limit"]  # shares differ by rounding
    table["what"] = [one.measured.rstrip(",") for one in FLAGS.values()]
    return table
