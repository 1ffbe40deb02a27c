"""Automatic balance: memory moved between VMs by their balloons, from the idle to the pressed."""
