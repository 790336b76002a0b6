"""What all tests share: one thread per process, and examples that depend on neither chance nor the machine's speed.

Two processes with two spinning threads each on two cores are not twice but twenty times as slow.
"""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

# Examples are those of the last time; --hypothesis-profile=default looks for others.
settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
