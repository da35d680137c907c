"""`nvictl run`: when to reconcile, and what to report of it.

Events only wake the loop: `sources/watch.py` sees the spec directory, `kernel/netlink/events.py` the kernel. Neither
says what to do; every reconcile observes for itself.

run           all of it, put together. Start here
loop          sleeps, wakes (wakeup, trigger), reconciles. interfaces: what it needs, and what a station is
schedule      when the next reconcile is due (debounce, backoff); fights: what it leaves alone
service       one reconcile, with the spec that is in force (judge)
garbage       when memory is collected; invalidation: when the flow cache is

a new spec:     judge decides, deadline and proof wake it, recording writes the history
a git source:   git_source: fetcher (child), proof, sync
probes:         probes/ asks, health_state judges the answers
what happened:  report makes events of outcomes; journal, hooks (webhook, subreaper), metrics/, sdnotify pass them on
being asked:    control/ is the socket, answers what it says
nat_log         another daemon, which shares nothing with this one but the kernel
"""
