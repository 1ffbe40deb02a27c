"""Everything that is wrong with what cloud-init in a new VM is to do."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterable
from functools import lru_cache

from vmtui.parts import CloudInit
from vmtui.spec import Problem
from vmtui.units import KIB, plain, size

CLOUD_CONFIG = "#cloud-config"
TEXT_LIMIT_BYTES = 256 * KIB

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_HOSTNAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
_KEY = re.compile(r"((?:ssh|ecdsa|sk)-[a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?: [^\r\n]*)?")
_WORD = r"[./A-Za-z0-9]"
# Of crypt(5), those that Linux systems of today make: yescrypt, SHA-512, SHA-256, bcrypt.
_HASH = re.compile(
    rf"\$g?y\${_WORD}+\${_WORD}*\${_WORD}{{43}}"
    r"|\$6\$(rounds=\d+\$)?[^$:\s]{1,16}\$" + _WORD + r"{86}"
    r"|\$5\$(rounds=\d+\$)?[^$:\s]{1,16}\$" + _WORD + r"{43}"
    rf"|\$2[aby]\$\d\d\${_WORD}{{53}}"
)
_HEADERS = (
    *("#!", CLOUD_CONFIG, "#cloud-boothook", "#include", "#part-handler", "## template: jinja"),
    *("Content-Type:", "MIME-Version:"),
)


def cloud_problems(cloud: CloudInit) -> Iterable[Problem]:
    """All of it, in the order of the form's fields."""
    if cloud.hostname and not _HOSTNAME.fullmatch(cloud.hostname):
        yield Problem("hostname", f"{plain(cloud.hostname)!r} is not a host's name.")
    if cloud.user and not _USER.fullmatch(cloud.user):
        yield Problem(
            "user",
            f"{plain(cloud.user)!r} is not a user's name.",
            "Use small letters, digits, '-' and '_'.",
        )
    bad = next((key for key in cloud.ssh_keys if not is_public_key(key)), None)
    if bad is not None and "PRIVATE KEY" in bad:
        yield Problem(
            "ssh_keys", "That is a private key.", "Give the public one, in the .pub file."
        )
    elif bad is not None:
        yield Problem("ssh_keys", f"{plain(bad)[:40]!r} is not a public SSH key.")
    if cloud.password_hash and not _HASH.fullmatch(cloud.password_hash):
        yield Problem(
            "password_hash", "That is not a hash of a password.", "Make one with: openssl passwd -6"
        )
    yield from _user_data_problems(cloud.user_data)
    yield from _network_problems(cloud.network_config)


def is_public_key(text: str) -> bool:
    """Whether it is one public key as OpenSSH writes it, of the kind that it says."""
    found = _KEY.fullmatch(text)
    if found is None:
        return False
    kind = found[1].encode()
    try:
        content = base64.b64decode(found[2], validate=True)
    except ValueError:
        return False
    return content.startswith(struct.pack(">I", len(kind)) + kind)


def _user_data_problems(text: str) -> Iterable[Problem]:
    if not text:
        return
    if not text.startswith(_HEADERS):
        yield Problem("user_data", "User-data starts with a line such as #cloud-config or #!.")
    elif too_long := _too_long(text):
        yield Problem("user_data", too_long)
    elif text.split("\n", 1)[0].strip() == CLOUD_CONFIG:
        mistake = _mapping_mistake(text)
        if mistake:
            yield Problem("user_data", f"It is no valid YAML: {mistake}.")


def _network_problems(text: str) -> Iterable[Problem]:
    if not text:
        return
    mistake = _too_long(text) or _mapping_mistake(text)
    if mistake:
        yield Problem("network_config", f"It is no valid YAML: {mistake}.")


def _too_long(text: str) -> str:
    length_bytes = len(text.encode())
    if length_bytes <= TEXT_LIMIT_BYTES:
        return ""
    return f"It has {size(length_bytes)}; {size(TEXT_LIMIT_BYTES)} is the limit."


@lru_cache(maxsize=8)
def _mapping_mistake(text: str) -> str:
    """Why it is no YAML mapping; "" if it is one. Kept: a form asks again at every key."""
    # Only who has such a text waits for it.
    import yaml  # noqa: PLC0415

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(text, loader)  # noqa: S506 (both are the safe one)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}: " if mark else ""
        return plain(where + (error.problem or "it can't be read"))
    except (yaml.YAMLError, ValueError, RecursionError):
        return "it can't be read"
    return "" if isinstance(content, dict) else "it has no `key: value`"
