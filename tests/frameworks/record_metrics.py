"""Records elephant's distances between spike trains, for `tests/test_metrics.py`.

    pip install elephant==1.2.1
    python tests/frameworks/record_metrics.py

Writes `tests/frameworks/metrics.npz`.
"""

from pathlib import Path

import neo
import numpy as np
import quantities as pq
from elephant.spike_train_dissimilarity import van_rossum_distance, victor_purpura_distance

LENGTH, DT = 200, 1e-3
rng = np.random.default_rng(0)
trains = (
    rng.random((6, LENGTH)) < np.array([0.02, 0.02, 0.05, 0.1, 0.1, 0.0])[:, None]
).astype(np.float32)
spikes = [
    neo.SpikeTrain(np.flatnonzero(train) * DT, t_stop=LENGTH * DT, units="s")
    for train in trains
]
recorded = {"trains": trains}
for tau in (2e-3, 1e-2, 1e-1):
    recorded[f"van_rossum {tau}"] = van_rossum_distance(spikes, time_constant=tau * pq.s)
for cost in (0.0, 20.0, 500.0):
    recorded[f"victor_purpura {cost}"] = victor_purpura_distance(
        spikes, cost_factor=cost * pq.Hz
    )

# off the grid, padded with NaN
times = np.full((5, 30), np.nan)
for row, count in zip(times, (0, 1, 8, 20, 30), strict=True):
    row[:count] = rng.uniform(0, LENGTH * DT, count)
recorded["times"] = times
spikes = [neo.SpikeTrain(row[~np.isnan(row)], t_stop=LENGTH * DT, units="s") for row in times]
for cost in (0.0, 20.0, 500.0):
    recorded[f"victor_purpura of times {cost}"] = victor_purpura_distance(
        spikes, cost_factor=cost * pq.Hz
    )
np.savez_compressed(Path(__file__).parent / "metrics.npz", **recorded)
for name, value in recorded.items():
    print(name, value.shape, value[0, :3] if value.ndim == 2 else "")
