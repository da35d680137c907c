"""nvi.ko on this machine: found, built, installed and loaded; and the devices that it provides.

survey        what is there (sources, index, modinfo, refusal)
install       puts it where modprobe finds it (build, place); load: into the kernel
device, flow_cache: a device of it, and its flow cache
"""
