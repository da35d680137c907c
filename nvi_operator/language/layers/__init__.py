"""One spec for many hosts: variables, and what a host changes of its site's spec. Read `layers.py` first."""
