"""What all tests share: one thread per process, since the processes of one run share the cores.

Two processes with two spinning threads each on two cores are not twice but twenty times as slow.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
