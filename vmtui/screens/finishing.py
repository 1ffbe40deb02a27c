"""The last reading of a draft: with the files that it names."""

from __future__ import annotations

from dataclasses import replace

from vmtui import making
from vmtui.errors import VmtuiError
from vmtui.recipe import Recipe
from vmtui.screens.draft import Draft
from vmtui.spec import Limits, Problem, VMSpec

OF_FILES = ("ssh_keys", "user_data", "network_config")


async def finished(draft: Draft, limits: Limits) -> VMSpec | Problem:
    """The VM to make, or the first thing that is wrong with it."""
    recipe = draft.recipe([])
    named = Recipe(**{name: getattr(recipe, name) for name in OF_FILES})
    try:
        files = await making.completed(named)
    except VmtuiError as error:
        field = next(name for name in OF_FILES if getattr(recipe, name))
        return Problem(field, f"{error.what}: {error.why}.", error.hint)
    spec, problems = replace(draft, files=files).read(limits)
    problems += await making.missing_files(spec) if spec else []
    if problems:
        return problems[0]
    assert spec is not None
    return spec
