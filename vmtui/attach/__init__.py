"""This terminal, or a pipe, attached to a VM's console: raw, and given back as it was."""

from vmtui.attach.session import ENDED, attach

__all__ = ["ENDED", "attach"]
