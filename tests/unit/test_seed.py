"""What cloud-init is told, and the medium that it is told on."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
import yaml
from pycdlib import PyCdlib

from vmtui.images.seed import LABEL, contents, seed
from vmtui.parts import CloudInit

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJW0JFZ3fQxH29iOxaDtieL93ROm9qAcHteIYb4iFMzS me@desk"


def files(cloud: CloudInit) -> dict[str, str]:
    return contents(cloud, vm_name="web", instance_id="one", image_user="debian")


def orders(cloud: CloudInit) -> dict[str, Any]:
    text = files(cloud)["user-data"]
    assert text.startswith("#cloud-config\n")
    read = yaml.safe_load(text)
    assert isinstance(read, dict)
    return read


def test_the_medium_has_all_files_by_both_kinds_of_long_names() -> None:
    cloud = CloudInit(ssh_keys=(KEY,), network_config="version: 2\n", commands=("echo ü",))
    iso = PyCdlib()
    iso.open_fp(BytesIO(seed(cloud, vm_name="web", instance_id="one", image_user="debian")))
    assert iso.pvd.volume_identifier.decode().strip() == LABEL
    for name, text in files(cloud).items():
        for way in ("rr_path", "joliet_path"):
            content = BytesIO()
            iso.get_file_from_iso_fp(content, **{way: f"/{name}"})
            assert content.getvalue().decode() == text
    iso.close()
    assert set(files(cloud)) == {"meta-data", "user-data", "vendor-data", "network-config"}


def test_a_vm_is_called_by_its_own_name_unless_another_is_given() -> None:
    assert yaml.safe_load(files(CloudInit())["meta-data"]) == {
        "instance-id": "one",
        "local-hostname": "web",
    }
    assert "local-hostname: db" in files(CloudInit(hostname="db"))["meta-data"]


def test_keys_are_for_the_user_that_the_image_makes() -> None:
    assert orders(CloudInit(user="debian", ssh_keys=(KEY,))) == {"ssh_authorized_keys": [KEY]}


def test_another_user_and_a_password_alter_the_one_that_the_image_makes() -> None:
    told = orders(CloudInit(user="me", ssh_keys=(KEY,), password_hash="$6$salt$hash"))
    assert told["user"] == {"name": "me", "lock_passwd": False, "hashed_passwd": "$6$salt$hash"}
    assert "ssh_pwauth" not in told
    assert orders(CloudInit(password_hash="$6$salt$hash"))["ssh_pwauth"] is True


@pytest.mark.parametrize("text", ["yes", "a: b", "#x", "it's", "two\nlines\n", "\t\x1b[0m", "ü"])
def test_commands_and_packages_arrive_as_they_are(text: str) -> None:
    told = orders(CloudInit(packages=(text,), commands=(text,)))
    assert told == {"package_update": True, "packages": [text], "runcmd": [text]}


def test_own_user_data_is_not_touched() -> None:
    own = "#!/bin/sh\necho mine"
    told = files(CloudInit(user="me", ssh_keys=(KEY,), user_data=own))
    assert told["user-data"] == own
    # What makes a clone another machine holds with it too.
    assert "machine-id" in told["vendor-data"]
