"""libnftables, in a process of its own."""
