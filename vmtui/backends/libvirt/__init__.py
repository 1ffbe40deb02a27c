"""VMs of anything that libvirt reaches."""
