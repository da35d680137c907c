"""State in files, readable by root only: the lock of a gateway, and saved settings."""
