"""This terminal, or a pipe, attached to a VM's console: raw, and given back as it was."""

from vmtui.attach.session import ENDED, SEEN, attach

__all__ = ["ENDED", "SEEN", "attach"]
