"""The kernel module on this machine: what there is of it, loading it, building it, filing it."""
