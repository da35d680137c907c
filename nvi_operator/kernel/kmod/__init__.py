"""nvi.ko on this machine: finds, builds, installs and loads it; and the devices that it provides."""
