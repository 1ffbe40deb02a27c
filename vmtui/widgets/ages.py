"""Figures that are old: how they are told from fresh ones."""

from __future__ import annotations

from dataclasses import fields, replace

from vmtui.theming import Ink
from vmtui.views import ConnectionView, VMView

STALE_LEAST_S = 2.0
"""Nothing younger is called old, however often it is sampled."""

_KEPT = frozenset({"base", "bar", "cursor", "accent", "selected", "line", "faint", "off", "bad"})


def host_stale_s(connection: ConnectionView, now_s: float) -> float | None:
    """The age of a host's figures, once that has to be said: after two intervals."""
    return _stale_s(
        connection, connection.host_rates.at_s if connection.host_rates else None, now_s
    )


def vm_stale_s(row: VMView, connection: ConnectionView, now_s: float) -> float | None:
    """The age of a VM's figures, once that has to be said."""
    return _stale_s(connection, row.sampled_at_s if row.vm.state.active else None, now_s)


def _stale_s(connection: ConnectionView, at_s: float | None, now_s: float) -> float | None:
    if at_s is None or connection.recorded:  # a recording has a clock of its own
        return None
    age_s = now_s - at_s
    return age_s if age_s > max(STALE_LEAST_S, 2 * connection.interval_s) else None


def greyed(ink: Ink) -> Ink:
    """The inks for figures that are old: all that is neither a border nor a title is quiet."""
    names = [field.name for field in fields(Ink) if field.name not in _KEPT]
    return replace(ink, **dict.fromkeys(names, ink.off))
