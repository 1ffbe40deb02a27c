"""Changing VMs that exist: planned or refused as a whole, stored, and done live where it can be."""
