from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.examples import examples

settings.register_profile(
    "laws",
    deadline=None,
    max_examples=examples(40),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("laws")
