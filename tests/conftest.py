"""Settings of all tests.

Each process has one thread: on two cores, two processes with two spinning threads each are twenty times as
slow. Hypothesis's examples depend neither on chance nor on the machine's speed.
"""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

# Examples are those of the last time; --hypothesis-profile=default looks for others.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
