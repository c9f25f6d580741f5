"""Is this robustness claim sound? ``audit`` asks a model, its data and an attack what the literature's checklists ask.

>>> from advnb.audit import audit  # doctest: +SKIP
>>> report = audit(model, x, y, Linf(8 / 255))  # doctest: +SKIP
>>> report.flags  # doctest: +SKIP
('saturated-loss', 'overstated')
"""

from advnb.audit.course import cost
from advnb.audit.flags import FLAGS, Flag
from advnb.audit.procedure import audit
from advnb.audit.report import Cost, Report

__all__ = ["FLAGS", "Cost", "Flag", "Report", "audit", "cost"]
