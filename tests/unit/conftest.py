from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # how long an example takes, the load of the machine says
settings.load_profile("untimed")
