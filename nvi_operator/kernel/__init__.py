"""The only code that touches the operating system. One driver per kind of object; no decisions here.

kernel        the kernel as one object, as a reconcile needs it. Start here. cached: as a daemon reads it
drivers/      one for each kind (driver: what a driver is); handles: the sockets and files that they share
inspect/      facts for a topology, and a survey for doctor
netlink/, nft/, bpf/, kmod/: one for each thing to talk to
netns         network namespaces; processes, again: those of this program; capabilities, rights: what it may do
announcement  gratuitous ARP
errors        exceptions of libraries become the project's
"""
