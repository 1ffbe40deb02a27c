"""All settings of a domain by their keys, and how a change of one edits its definition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vmtui.backends.libvirt.configuring import attaching
from vmtui.backends.libvirt.configuring.boot_knobs import BOOT_KNOBS
from vmtui.backends.libvirt.configuring.cpu_knobs import CPU_KNOBS
from vmtui.backends.libvirt.configuring.device_knobs import DEVICE_KNOBS
from vmtui.backends.libvirt.configuring.disk_knobs import DISK_KNOBS
from vmtui.backends.libvirt.configuring.elements import Element, parsed, text_of
from vmtui.backends.libvirt.configuring.knobs import Knob
from vmtui.backends.libvirt.configuring.memory_knobs import MEMORY_KNOBS
from vmtui.backends.libvirt.configuring.nic_knobs import NIC_KNOBS
from vmtui.backends.libvirt.configuring.own_knobs import OWN_KNOBS
from vmtui.backends.libvirt.configuring.tuning_knobs import HostCpus, tuning_knobs
from vmtui.errors import UnsupportedError
from vmtui.hardware.changes import Assign, Attach, Change
from vmtui.hardware.settings import setting
from vmtui.hardware.values import Value

_BESIDE = ("autostart", "disk.*.size", "memory.target")


class Table:
    """The settings, on one host; `cards` as `attaching.card_names` has them."""

    def __init__(self, host: HostCpus | None = None, cards: attaching.Cards | None = None) -> None:
        self.cards = cards
        self._knobs = {
            **OWN_KNOBS,
            **CPU_KNOBS,
            **tuning_knobs(host or HostCpus()),
            **MEMORY_KNOBS,
            **BOOT_KNOBS,
            **DEVICE_KNOBS,
        }

    def knob(self, root: Element, key: str) -> tuple[Element, Knob]:
        """What of a domain that key is about, and its knob. Raises InputError."""
        if key in self._knobs:
            return root, self._knobs[key]
        kind, _, rest = key.partition(".")
        name, _, word = rest.rpartition(".")
        known = {"disk": DISK_KNOBS, "nic": NIC_KNOBS}.get(kind, {})
        if word not in known:
            setting(key)
            raise UnsupportedError(f"{key} can't be set over libvirt")
        part = attaching.found(root, f"{kind}.{name}", self.cards)
        return part, known[word]

    def has(self, key: str) -> bool:
        """Whether that is a setting of a domain as a whole."""
        return key in self._knobs

    @staticmethod
    def has_in_xml(change: Change) -> bool:
        """Whether that is a matter of the definition; libvirt keeps some beside it."""
        if not isinstance(change, Assign):
            return True
        return change.key not in _BESIDE and setting(change.key).key not in _BESIDE

    def keys(self, root: Element) -> Iterator[str]:
        """All that can be asked of that domain."""
        yield from self._knobs
        for kind, known in (("disk", DISK_KNOBS), ("nic", NIC_KNOBS)):
            for name in attaching.named(root, kind, self.cards):
                yield from (f"{kind}.{name}.{word}" for word in known)

    def value(self, root: Element, key: str) -> Value:
        """What it is there."""
        part, knob = self.knob(root, key)
        return knob.read(part)

    def apply(self, root: Element, change: Change) -> None:
        """Edit the definition. Raises InputError or UnsupportedError, and has changed nothing."""
        if isinstance(change, Assign):
            part, knob = self.knob(root, change.key)
            if knob.read(part) == change.value:
                return
            if why := knob.stuck(part):
                raise UnsupportedError(f"{change.key} can't be set", why=why)
            knob.write(part, change.value)
        elif isinstance(change, Attach):
            attaching.attach(root, change.device)
        else:
            attaching.detach(root, change.part, self.cards)


def edited(xml: str, changes: Sequence[Change], table: Table | None = None) -> str:
    """The definition with the changes made, and nothing else changed."""
    root = parsed(xml)
    for change in changes:
        (table or Table()).apply(root, change)
    return text_of(root)
