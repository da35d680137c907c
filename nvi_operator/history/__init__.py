"""What was tried on a gateway, and what was decided about it: the files in `/var/lib/nvi-operator`.

`revision.py` has the data, `store.py` the bounded store of revisions, `contents.py` how their files are kept in it;
`decisions.py` has what is pending, held or suspended.
Nothing here is needed to keep a gateway: a damaged store is set aside, and a missing one is an empty one (ADR 0006).
"""
