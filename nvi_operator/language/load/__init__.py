"""From files to one checked gateway, with the place of every value. Read `loader.py` first."""
