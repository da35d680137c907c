"""`nvictl run`: when to reconcile, and what to report of it.

Events only wake the loop: `sources/watch.py` sees the spec directory, `kernel/netlink/events.py` the kernel. Neither
says what to do; every reconcile observes for itself. `schedule.py` says when one is due, `fights.py` what it leaves
alone, `report.py` what to say of its outcome; all three are pure. `sdnotify.py` talks to systemd.
"""
