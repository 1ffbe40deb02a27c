"""The direct backend: QEMU processes of this user, a folder for each VM, no daemon and no root."""
