"""VMs and disks of other programs: what they are, what can be carried over, and their disks."""
