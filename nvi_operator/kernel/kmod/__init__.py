"""nvi.ko on this machine: found, built, installed, loaded; and the device that it makes."""
