"""A deletion in words, and with some of what would go left as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vmtui.backends.base import DeletePlan, Doomed
from vmtui.errors import InputError
from vmtui.units import plain, size


def consequences(plan: DeletePlan) -> list[str]:
    """All that goes and all that stays, a line each."""
    lines = [f"{plan.name} is on: it is forced off first."] if plan.force_off else []
    going = [doomed for doomed in plan.doomed if not doomed.spared]
    verb = "To the trash" if plan.to_trash else "Deleted for good"
    then = "once it is purged, " if plan.to_trash else ""
    for doomed in going:
        extent = "" if doomed.size_bytes is None else f" ({size(doomed.size_bytes)})"
        lines.append(f"{verb}: {doomed.what} {doomed.name}{extent}")
        if doomed.warning:
            lines.append(f"  {then}{doomed.warning}")
    where = f"goes to {plan.spared_to}" if plan.spared_to else "as chosen"
    lines += [f"Stays: {d.what} {d.name} ({where})" for d in plan.doomed if d.spared]
    lines += [f"Stays: {kept.name} ({kept.why})" for kept in plan.kept]
    if not going:
        none = "" if plan.doomed else "; it has no disks of its own"
        lines.append(f"Only its definition is deleted{none}.")
    return [plain(line) for line in lines]


def sparing(plan: DeletePlan, wanted: Sequence[str]) -> DeletePlan:
    """The plan without what is `wanted`: by its name, or all of a kind such as `disk`.

    Raises InputError for what would not go anyway, or can't stay.
    """
    for word in wanted:
        hits = [doomed for doomed in plan.doomed if word in (doomed.name, doomed.what)]
        if not hits:
            known = ", ".join(doomed.name for doomed in plan.doomed if doomed.sparable)
            raise InputError(
                f"{word!r} is not among what goes with {plan.name}",
                hint=f"What can be left: {known}." if known else "Nothing of it can be left.",
            )
        stuck = [doomed for doomed in hits if not doomed.sparable]
        if stuck:
            raise InputError(f"{stuck[0].name} can't be left", why=f"it goes with {plan.name}")
    return replace(plan, doomed=tuple(_spared(doomed, wanted) for doomed in plan.doomed))


def _spared(doomed: Doomed, wanted: Sequence[str]) -> Doomed:
    chosen = doomed.name in wanted or doomed.what in wanted
    return replace(doomed, spared=True) if chosen else doomed
