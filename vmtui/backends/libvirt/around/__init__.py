"""What surrounds a domain: its TPM, its firmware's files, what keeps it in, the host's devices."""
