"""The NoCloud seed: the small medium that cloud-init in a guest reads its orders from."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from vmtui.parts import CloudInit

LABEL = "CIDATA"
HEADER = "#cloud-config"

_JOLIET_LEVEL = 3
_ROCK_RIDGE = "1.09"

# cloud-init makes a new instance new host keys, but leaves the machine-id. It keeps a folder for
# every instance that a disk has been: with a second one the disk is a clone's. The network's lease
# is by machine-id, so it is asked for anew.
_NEW_MACHINE_ID = """\
[ "$(ls /var/lib/cloud/instances | wc -l)" -gt 1 ] || exit 0
command -v systemd-machine-id-setup >/dev/null || exit 0
rm -f /etc/machine-id /var/lib/dbus/machine-id
systemd-machine-id-setup
systemctl --no-block try-restart systemd-networkd.service
"""


def seed(cloud: CloudInit, *, vm_name: str, instance_id: str, image_user: str) -> bytes:
    """An ISO 9660 image of it. Under a new `instance_id` a guest that knows another begins anew.

    `image_user` is whom the image makes by itself; empty: not known.
    """
    # It comes only where a VM is made: what lists VMs need not wait for it.
    from pycdlib import PyCdlib  # noqa: PLC0415

    iso = PyCdlib()
    iso.new(interchange_level=1, vol_ident=LABEL, joliet=_JOLIET_LEVEL, rock_ridge=_ROCK_RIDGE)
    files = contents(cloud, vm_name=vm_name, instance_id=instance_id, image_user=image_user)
    for place, (name, text) in enumerate(files.items()):
        content = text.encode()
        iso.add_fp(
            *(BytesIO(content), len(content), f"/FILE{place}.;1"),
            rr_name=name,
            joliet_path=f"/{name}",
        )
    image = BytesIO()
    iso.write_fp(image)
    iso.close()
    return image.getvalue()


def contents(
    cloud: CloudInit, *, vm_name: str, instance_id: str, image_user: str
) -> dict[str, str]:
    """The files of a seed, by their names."""
    files = {
        "meta-data": _yaml(
            {"instance-id": instance_id, "local-hostname": cloud.hostname or vm_name}
        ),
        "user-data": cloud.user_data or f"{HEADER}\n{_yaml(_orders(cloud, image_user))}",
        # Beside user-data, so that it holds with the user's own as well.
        "vendor-data": f"{HEADER}\n{_yaml({'bootcmd': [_once_an_instance(_NEW_MACHINE_ID)]})}",
    }
    if cloud.network_config:
        files["network-config"] = cloud.network_config
    return files


def _orders(cloud: CloudInit, image_user: str) -> dict[str, Any]:
    orders: dict[str, Any] = {}
    user: dict[str, Any] = {}
    # `user` alters the user that the image makes by itself, so its groups, shell and sudo stay.
    if cloud.user and cloud.user != image_user:
        user["name"] = cloud.user
    if cloud.password_hash:
        user |= {"lock_passwd": False, "hashed_passwd": cloud.password_hash}
    if user:
        orders["user"] = user
    if cloud.ssh_keys:
        orders["ssh_authorized_keys"] = list(cloud.ssh_keys)
    elif cloud.password_hash:
        orders["ssh_pwauth"] = True
    if cloud.packages:
        orders |= {"package_update": True, "packages": list(cloud.packages)}
    if cloud.commands:
        orders["runcmd"] = list(cloud.commands)
    return orders


def _once_an_instance(script: str) -> list[str]:
    return ["cloud-init-per", "instance", "vmtui-machine-id", "sh", "-c", script]


def _yaml(content: dict[str, Any]) -> str:
    import yaml  # noqa: PLC0415

    class Readable(yaml.SafeDumper):
        """Texts of several lines are written as such."""

    def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Readable.add_representer(str, represent_text)
    written = yaml.dump(content, Dumper=Readable, sort_keys=False, allow_unicode=True, width=1000)
    return str(written)
