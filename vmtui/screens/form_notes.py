"""What stands beside the fields of the form for a new VM: problems, warnings, hints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vmtui.model import Firmware
from vmtui.screens.draft import Draft, described
from vmtui.screens.form_fields import FIELDS
from vmtui.spec import Limits, Problem
from vmtui.units import plain, size

UNSAID = ("", "no", "auto", Firmware.BIOS.value)
"""What needs no word beside a folded group."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Texts and inks by field, and the problems in the order of the fields."""

    notes: Mapping[str, tuple[str, str]]
    problems: Sequence[Problem]


def judged(draft: Draft, limits: Limits, *, late: Problem | None, offered: str) -> Judgement:
    """Everything that is to be said of a draft.

    `late`: a problem that only making it could tell; `offered`: the image that Enter would take.
    """
    _, problems = draft.read(limits)
    if late is not None and late.field not in {problem.field for problem in problems}:
        problems.append(late)
    if offered:
        problems = [problem for problem in problems if problem.field != "image"]
    texts = {name: field.hint for name, field in FIELDS.items()} | _hints(draft, limits)
    notes = {name: (text, "quiet") for name, text in texts.items()}
    for ink, found in (("warn", draft.warnings()), ("bad", problems)):
        for problem in reversed(found):  # the first of a field is shown
            notes[problem.field] = (plain(str(problem)), ink)
    if offered:
        notes["image"] = (f"Enter takes {plain(offered)}", "quiet")
    return Judgement(notes, problems)


def _hints(draft: Draft, limits: Limits) -> dict[str, str]:
    boot, notes = draft.boot, {"image": described(draft.boot)}
    if limits.host_cpus:
        notes["vcpus"] = f"the host has {limits.host_cpus} CPUs"
    if limits.host_memory_bytes:
        notes["memory"] = f"the host has {size(limits.host_memory_bytes)}"
    if not draft.texts["disk"].strip():
        own = boot.virtual_size_bytes if boot else None
        notes["disk"] = f"{size(own)}, as the image has" if own else "none; a size such as 10G"
    elif limits.free_bytes is not None:
        notes["disk"] = f"{size(limits.free_bytes)} are free; it takes what is written"
    return notes


def summary(names: Iterable[str], draft: Draft, judgement: Judgement) -> tuple[str, str]:
    """Of a folded group, text and ink: the first problem, or what is set."""
    said = []
    for name in names:
        note, ink = judgement.notes[name]
        if ink == "bad":
            return note, ink
        value = draft.texts[name]
        if value not in UNSAID:
            label = FIELDS[name].label
            said.append(label if value == "yes" else f"{label} {plain(value)}")
    return " · ".join(said), "quiet"
