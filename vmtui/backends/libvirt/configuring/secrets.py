"""Secrets of libvirt that vmtui makes: what the state of a TPM is encrypted with."""

from __future__ import annotations

from contextlib import suppress
from secrets import token_hex
from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.libvirt.configuring.device_knobs import tpm_secret
from vmtui.backends.libvirt.configuring.elements import Element, got, said

KEY_BYTES = 32

_PATH = "devices/tpm/backend/encryption"


def have_secret(connection: libvirt.virConnect, before: Element, after: Element) -> str:
    """Make the secret that `after` asks for and nobody has yet; its UUID, or "" where none is made.

    One that is there is never given another value: what it has encrypted would be lost.
    """
    wanted = got(after, _PATH, "secret")
    if not wanted or wanted == got(before, _PATH, "secret") or wanted != tpm_secret(after):
        return ""
    with suppress(libvirt.libvirtError):
        connection.secretLookupByUUIDString(wanted)
        return ""
    element = ET.Element("secret", ephemeral="no", private="yes")
    ET.SubElement(element, "uuid").text = wanted
    ET.SubElement(element, "description").text = f"TPM of {said(after, 'name')}, by vmtui"
    ET.SubElement(ET.SubElement(element, "usage", type="vtpm"), "name").text = f"vmtui-{wanted}"
    secret = connection.secretDefineXML(ET.tostring(element, encoding="unicode"), 0)
    try:
        secret.setValue(token_hex(KEY_BYTES), 0)
    except BaseException:
        secret.undefine()
        raise
    return wanted


def forget_secret(connection: libvirt.virConnect, uuid: str) -> None:
    """Take back one that was made."""
    if uuid:
        with suppress(libvirt.libvirtError):
            connection.secretLookupByUUIDString(uuid).undefine()
