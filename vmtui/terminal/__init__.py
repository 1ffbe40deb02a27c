"""The terminal that a guest's console is shown on: bytes in, rows of styled text out. Pure."""
