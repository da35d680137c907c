"""A git repository as the source of a spec: asked what is new, fetched, judged, written to a directory.

The daemon asks for the tips of branches and tags (`git ls-remote`, `command.py`) and chooses one (`refs.py`). Where
that is new, `worker.py` does the rest in a process of its own, within a time limit: fetch (`repository.py`), is it a
rewind, and the files (`tree.py`), into a directory that is complete or not there (`checkouts.py`). No hook, filter,
submodule or attribute of the repository has an effect, because nothing is ever checked out: git only hands over the
contents of blobs (docs/adr/0028-git-source.md).
"""
