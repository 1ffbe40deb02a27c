"""The consoles that are open: each with its terminal, fed whether or not anyone looks."""

from vmtui.consoles.attachment import Attachment, ConsoleKey
from vmtui.consoles.open_console import OpenConsole
from vmtui.consoles.open_consoles import OpenConsoles
from vmtui.consoles.redraws import Redraws

__all__ = ["Attachment", "ConsoleKey", "OpenConsole", "OpenConsoles", "Redraws"]
