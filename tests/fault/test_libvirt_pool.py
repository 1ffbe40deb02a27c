"""The pool that VMs over libvirt are made in: made itself when several need it at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("libvirt")

from vmtui.backends.libvirt import storage

if TYPE_CHECKING:
    import libvirt

    from tests.contract.daemon import PrivateLibvirtd

pytestmark = pytest.mark.slow

CLIENTS = 8


def test_all_who_need_a_pool_at_once_have_it(mortal_libvirtd: PrivateLibvirtd) -> None:
    clients = [mortal_libvirtd.connect() for _ in range(CLIENTS)]
    together = Barrier(CLIENTS)

    def found(client: libvirt.virConnect) -> str:
        together.wait()
        pool = storage.pool(client, mortal_libvirtd.places)
        assert pool.isActive()
        return str(pool.UUIDString())

    for _ in range(5):
        with ThreadPoolExecutor(CLIENTS) as threads:
            assert len(set(threads.map(found, clients))) == 1
        pool = clients[0].storagePoolLookupByName(storage.POOL)
        assert pool.autostart()
        pool.destroy()
        pool.delete(0)  # its folder
        pool.undefine()
    for client in clients:
        client.close()
