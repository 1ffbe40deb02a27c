"""Widgets: drawn from immutable views, without I/O."""
