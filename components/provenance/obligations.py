"""What a model inherits of its sources, and where that is in conflict with what it is to be used for."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from tfx_trust.components.provenance.config import IntendedUse
from tfx_trust.components.provenance.record import Obligations, SourceEntry
from tfx_trust.components.report import Finding


def inherit(sources: Sequence[SourceEntry], *, use: IntendedUse | None = None) -> Obligations:
    """What a model inherits: of each the strictest. Where a licence lets choose, the choice is made for `use`."""
    raise NotImplementedError


def conflicts(
    sources: Sequence[SourceEntry],
    obligations: Obligations,
    use: IntendedUse | None,
    today: datetime.date,
    *,
    require_declarations: bool = False,
) -> list[Finding]:
    """What does not go together."""
    raise NotImplementedError
