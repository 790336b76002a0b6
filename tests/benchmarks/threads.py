"""Two threads of torch on this machine: with the command line's setting for waiting, and with torch's own.

Run it while other programs compute: that is what the setting is for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from tests.benchmarks.harness import Comparison

_ROUNDS = 400
_WORK = f"""
import time, torch
torch.set_num_threads(2)
values, layers = torch.randn(64, 256), [torch.nn.Linear(256, 256) for _ in range(8)]
started = time.process_time()
with torch.no_grad():
    for _ in range({_ROUNDS}):
        for layer in layers:
            torch.relu(layer(values))
print(time.process_time() - started)
"""


def compare() -> Iterator[Comparison]:
    """Measures small layers one after another, as a tiny model has them."""
    found: dict[str, list[float]] = {"1000": [], "": []}
    for _ in range(3):
        for setting, rates in found.items():
            rates.append(_ROUNDS / _seconds(setting))
    ours, peer = (sorted(rates)[1] for rates in found.values())
    yield Comparison(
        "threads: two on this machine", ours, peer, "rounds/s", 0.9, "torch's own setting", "threads sleep"
    )


def _seconds(setting: str) -> float:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    chosen = {"GOMP_SPINCOUNT": setting} if setting else {}
    done = subprocess.run(
        [sys.executable, "-c", _WORK], env=kept | chosen, check=True, capture_output=True, text=True
    )
    return float(done.stdout)
