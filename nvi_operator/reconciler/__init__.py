"""What keeps a gateway as its spec says: one pass (`cycle.py`), and what runs passes for ever (`loop.py`).

Events only wake the loop: `watch.py` sees the spec directory, `kernel/events.py` the kernel. None of them
says what is to be done; every pass looks for itself. `agenda.py` says when a pass is due, `fights.py` what
it has to leave alone; both are pure. `source.py` says which revision of the spec this is, `notify.py` talks
to systemd.
"""
