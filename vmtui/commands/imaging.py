"""`images`: what is in the library and the catalogue, and what is done with it."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from vmtui.backends.abilities import LeanOnImages
from vmtui.backends.registry import shelf_for
from vmtui.commands.confirming import confirm
from vmtui.commands.telling import clear_progress, failed, on_terminal
from vmtui.errors import EXIT_DONE, VmtuiError, read_only
from vmtui.images.image import Image
from vmtui.images.library import Library, no_such_image
from vmtui.library_shelf import LibraryShelf
from vmtui.opening import chosen, connected
from vmtui.output import print_facts, print_json, print_table
from vmtui.shelf import Offer, Shelf
from vmtui.units import plain, size

_DIRECT = "kvm:"
_CHANGES = ("pull", "remove", "import")
_Users = Mapping[str, Sequence[str]]


async def images(options: argparse.Namespace) -> int:
    """`vmtui images VERB`."""
    uris, _, refuses = chosen(options)
    if refuses and options.verb in _CHANGES:
        raise read_only(f"images {options.verb}")
    try:
        return await _VERBS[options.verb](options, shelf_for(uris))
    finally:
        clear_progress()


async def _list(options: argparse.Namespace, shelf: Shelf) -> int:
    offers = await shelf.offers()
    if options.names:
        for offer in offers:
            print(plain(offer.name))
        return EXIT_DONE
    users = await _users(options)
    if options.json:
        print_json([{**msgspec.to_builtins(o), "used_by": users.get(o.name, ())} for o in offers])
    else:
        header = ("NAME", "KIND", "DISK", "HERE", "VMS", "TITLE")
        print_table(header, [_row(offer, users) for offer in offers])
    broken = Library().broken() if _is_real(shelf) else []
    return max((failed(problem) for problem in broken), default=EXIT_DONE)


def _row(offer: Offer, users: _Users) -> tuple[str, ...]:
    here = "yes" if offer.here else "no"
    vms = str(len(users.get(offer.name, ()))) if offer.here else "–"
    return (offer.name, offer.kind, size(offer.size_bytes), here, vms, offer.title)


async def _show(options: argparse.Namespace, shelf: Shelf) -> int:
    image = _image(shelf, options.name)
    if image is not None:
        facts = {**msgspec.to_builtins(image, enc_hook=str), "here": True}
    else:
        offers = {offer.name: offer for offer in await shelf.offers()}
        if options.name not in offers:
            raise no_such_image(options.name, sorted(offers))
        facts = msgspec.to_builtins(offers[options.name])
    facts["used_by"] = (await _users(options)).get(options.name, ())
    if options.json:
        print_json(facts)
    else:
        print_facts(facts)
    return EXIT_DONE


async def _pull(options: argparse.Namespace, shelf: Shelf) -> int:
    here = {offer.name for offer in await shelf.offers() if offer.here}
    pulled: list[dict[str, object]] = []

    async def pull(name: str) -> str:
        await shelf.pull(name, on_terminal)
        image = _image(shelf, name)
        checked = image.checked if image else ""
        pulled.append({"name": name, "here_before": name in here, "checked": checked})
        if name in here:
            return f"{name} was here already"
        return f"{name} is here" + (f" ({checked})" if checked else "")

    status = await _each(options.names, pull, quiet=options.json)
    if options.json:
        print_json(pulled)
    return status


async def _remove(options: argparse.Namespace, shelf: Shelf) -> int:
    if not options.yes:
        await confirm(
            f"Remove {', '.join(options.names)} from the library?",
            (),
            what="removing images",
            left="nothing is removed",
        )

    async def remove(name: str) -> str:
        if _is_real(shelf):

            async def users() -> Sequence[str]:
                return (await _users(options, surely=True)).get(name, ())

            await Library().remove(name, users)
        else:
            await shelf.remove(name, (await _users(options)).get(name, ()))
        return f"{name} is removed"

    return await _each(options.names, remove)


async def _verify(options: argparse.Namespace, shelf: Shelf) -> int:
    async def verify(name: str) -> str:
        image = _image(shelf, name)
        await shelf.verify(name, on_terminal)
        if image is not None and not image.sha256:
            return f"{name} came without a sum; what it is now is compared with from now on"
        return f"{name} is what it was"

    names = options.names or [offer.name for offer in await shelf.offers() if offer.here]
    return await _each(names, verify)


async def _import(options: argparse.Namespace, _: Shelf) -> int:
    from vmtui.commands.carrying import import_image  # noqa: PLC0415

    return await import_image(options)


async def _export(options: argparse.Namespace, _: Shelf) -> int:
    from vmtui.commands.carrying import export_image  # noqa: PLC0415

    return await export_image(options)


_VERBS: Mapping[str, Callable[[argparse.Namespace, Shelf], Awaitable[int]]] = {
    "list": _list,
    "show": _show,
    "pull": _pull,
    "remove": _remove,
    "verify": _verify,
    "import": _import,
    "export": _export,
}


async def _each(
    names: Sequence[str], work: Callable[[str], Awaitable[str]], *, quiet: bool = False
) -> int:
    """A line of result for each; the status of the first that failed."""
    statuses = []
    for name in dict.fromkeys(names):
        try:
            done = await work(name)
        except VmtuiError as error:
            clear_progress()
            statuses.append(failed(error))
        else:
            clear_progress()
            if not quiet:
                print(plain(done), flush=True)
    return statuses[0] if statuses else EXIT_DONE


async def _users(options: argparse.Namespace, *, surely: bool = False) -> _Users:
    """By image, the VMs whose disks lean on it.

    Also those of the direct connection, if that was not asked for: they are this user's, as the
    library is. With `surely` it is an error if they can't be asked for.
    """
    uris, _, _ = chosen(options)
    demo = bool(getattr(options, "demo", False))
    asked = [*uris, _DIRECT] if _DIRECT not in uris and not demo else uris
    found = defaultdict[str, list[str]](list)
    these = argparse.Namespace(**{**vars(options), "connect": asked, "connect_too": ()})
    async with connected(these) as fleet:
        for connection in fleet.connections:
            backend = connection.backend
            if connection.problem is not None:
                if surely and connection.uri == _DIRECT:
                    raise connection.problem
            elif isinstance(backend, LeanOnImages):
                for image, names in (await backend.images_in_use()).items():
                    found[image] += names
    return {image: tuple(names) for image, names in found.items()}


def _is_real(shelf: Shelf) -> bool:
    return isinstance(shelf, LibraryShelf)


def _image(shelf: Shelf, name: str) -> Image | None:
    """All that is known of an image that is here."""
    return Library().find(name) if _is_real(shelf) else None
