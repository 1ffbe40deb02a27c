"""Making a VM from a recipe: what it names is looked up, its image is fetched, then it is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from vmtui.backends.abilities import Clones, Previews
from vmtui.backends.base import Feature
from vmtui.errors import InputError, UnsupportedError, VmtuiError
from vmtui.files import at_home
from vmtui.fleet import Fleet
from vmtui.own_keys import own_keys
from vmtui.parts import CloudInit
from vmtui.presets import applied
from vmtui.progress import Progress, ProgressSink
from vmtui.recipe import OWN_KEYS, Recipe, specified
from vmtui.shelf import Shelf
from vmtui.spec import Problem, VMSpec
from vmtui.spec_problems import problems
from vmtui.views import VMRef

_KEY_STARTS = ("ssh-", "ecdsa-", "sk-")
_TEXT_LIMIT_BYTES = 1024 * 1024


async def completed(recipe: Recipe, folder: Path | None = None) -> Recipe:
    """The recipe over its preset, with the content of the files that it names.

    Paths are relative to `folder`, or to where the user is. Raises InputError.
    """
    recipe = await asyncio.to_thread(applied, recipe)
    return await asyncio.to_thread(_with_files, recipe, folder or Path())


def _with_files(recipe: Recipe, folder: Path) -> Recipe:
    changed: dict[str, object] = {}
    if recipe.ssh_keys is not None:
        changed["ssh_keys"] = tuple(
            key if key == OWN_KEYS or key.startswith(_KEY_STARTS) else _text(folder, key).strip()
            for key in recipe.ssh_keys
        )
    for name in ("user_data", "network_config"):
        text = getattr(recipe, name)
        if text and "\n" not in text:
            changed[name] = _text(folder, text)
    for name in ("media", "share"):
        if getattr(recipe, name):
            changed[name] = tuple(str(folder / at_home(p)) for p in getattr(recipe, name))
    if recipe.image and recipe.image.startswith("."):
        changed["image"] = str(folder / recipe.image)
    return msgspec.structs.replace(recipe, **changed)


def _text(folder: Path, name: str) -> str:
    path = folder / at_home(name)
    try:
        if path.stat().st_size > _TEXT_LIMIT_BYTES:
            raise InputError(f"{path} can't be used", why="it has more than 1 MiB")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror or "" if isinstance(error, OSError) else "it is no text"
        raise InputError(f"{path} can't be read", why=why) from error


async def specification(recipe: Recipe, shelf: Shelf) -> VMSpec:
    """The VM that a completed recipe asks for. Raises InputError with all that can't be read."""
    boot = await shelf.resolve(recipe.image or "micro")
    spec, unread = specified(recipe, boot, await own_keys())
    unread += await missing_files(spec)
    if unread:
        raise not_made(spec.name, unread)
    return spec


async def missing_files(spec: VMSpec) -> list[Problem]:
    """What of this machine a VM is to have and is not there."""
    return await asyncio.to_thread(_missing_files, spec)


def _missing_files(spec: VMSpec) -> list[Problem]:
    found = [
        Problem("share", f"{share.path} is not a folder.")
        for share in spec.shares
        if not share.path.is_dir()
    ]
    return found + [
        Problem("media", f"{path} is not a file.") for path in spec.media if not path.is_file()
    ]


def not_made(name: str, found: Sequence[Problem]) -> InputError:
    """The error for a VM with problems: each in a line."""
    return InputError(
        f"{name or 'the VM'} can't be made", why="\n".join(str(problem) for problem in found)
    )


async def make(fleet: Fleet, shelf: Shelf, uri: str, spec: VMSpec, progress: ProgressSink) -> VMRef:
    """Make a VM, off; its image is pulled first if it is not here. All or nothing but for that."""
    # Before anything is pulled: what can't be made need not be waited for.
    connection = fleet.connection(uri)
    if spec.throwaway and Feature.SANDBOX not in connection.backend.features:
        raise UnsupportedError(f"{connection.label} can't make VMs that vanish when they are off")
    found = problems(spec, await fleet.asked_limits(uri))
    if found:
        raise not_made(spec.name, found)
    progress(Progress("image", stage="image"))
    boot = await shelf.ready(spec.boot, progress)
    return await fleet.create(uri, replace(spec, boot=boot), progress)


@asynccontextmanager
async def starting(fleet: Fleet, ref: VMRef, progress: ProgressSink) -> AsyncIterator[None]:
    """While a new VM is started. A throwaway one that does not come up is gone at once."""
    progress(Progress("starting", stage="start"))
    try:
        yield
    except BaseException:
        if fleet.vm(ref).throwaway and not fleet.vm(ref).state.active:
            with suppress(VmtuiError):
                await fleet.delete(ref, await fleet.backend(ref).delete_plan(ref.id))
        raise


async def preview(fleet: Fleet, uri: str, spec: VMSpec) -> str:
    """What would run. Raises UnsupportedError where that can't be told."""
    connection = fleet.connection(uri)
    if not isinstance(connection.backend, Previews):
        raise UnsupportedError(f"{connection.label} can't tell what would run")
    found = problems(spec, await fleet.asked_limits(uri))
    if found:
        raise not_made(spec.name, found)
    return await connection.backend.preview(spec)


async def clone(
    fleet: Fleet, shelf: Shelf, ref: VMRef, name: str, progress: ProgressSink, *, linked: bool
) -> VMRef:
    """Make a VM like that one. Where cloud-init is in its image, the guest becomes one of its own.

    See `same_inside` for the others.
    """
    connection = fleet.connection(ref.uri)
    if not isinstance(connection.backend, Clones):
        raise UnsupportedError(f"{connection.label} can't clone VMs")
    init = await _cloud_init(fleet, shelf, ref, name)
    progress(Progress("disk", stage="disk"))
    made = await connection.backend.clone(
        ref.id, name, linked=linked, cloud_init=init, progress=progress
    )
    await connection.refresh(made)
    return VMRef(ref.uri, made)


async def _cloud_init(fleet: Fleet, shelf: Shelf, ref: VMRef, name: str) -> CloudInit | None:
    if not await has_cloud_init(fleet, shelf, ref):
        return None
    user = fleet.vm(ref).ssh.user
    return CloudInit(hostname=name, user=user, ssh_keys=await own_keys())


async def has_cloud_init(fleet: Fleet, shelf: Shelf, ref: VMRef) -> bool:
    """Whether a VM was made from an image with cloud-init in it, as far as is known."""
    image = fleet.vm(ref).image
    if not image or "/" in image:
        return False
    try:
        return (await shelf.resolve(image)).cloud
    except InputError:
        return False  # the library has it no more


def same_inside(name: str) -> str:
    """What has to be said of a clone that cloud-init does not make one of its own."""
    return (
        f"Inside it is still {name}: its machine-id, host name and SSH host keys are the same, "
        "until you change them there."
    )
