"""Shared by every test, those beside the protocols included."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.plugin"]

# The same examples in every run, so that a red run can be repeated; `make soak` looks further.
settings.register_profile("default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")
