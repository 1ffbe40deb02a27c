"""What a VM is made of, now and at its next boot, and how that is changed."""
