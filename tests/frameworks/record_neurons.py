"""Records norse's refractory and adaptive neurons, for `tests/test_frameworks.py`.

    pip install -r tests/frameworks/requirements.txt
    python tests/frameworks/record_neurons.py

Writes `tests/frameworks/neurons.npz`.
"""

from pathlib import Path

import norse.torch as norse
import norse.torch.functional.lif_refrac as refractory
import norse.torch.functional.lsnn as adaptive
import numpy as np
import torch

rng = np.random.default_rng(0)
currents = rng.normal(0.6, 1.0, (150, 60)).astype(np.float32)
zeros = torch.zeros(60)
params = norse.LIFParameters(v_th=torch.as_tensor(0.6))  # tau_syn 5 ms, tau_mem 10 ms
refractory_params = refractory.LIFRefracParameters(params, rho_reset=torch.as_tensor(3.0))
adaptive_params = adaptive.LSNNParameters(
    tau_adapt_inv=torch.as_tensor(1 / 5e-2),
    v_th=torch.as_tensor(0.6),
    beta=torch.as_tensor(0.25),
)

state = refractory.LIFRefracFeedForwardState(norse.LIFFeedForwardState(zeros, zeros), zeros)
lsnn_state = adaptive.LSNNFeedForwardState(v=zeros, i=zeros, b=zeros + 0.6)
refractory_spikes, adaptive_spikes = [], []
for x in torch.from_numpy(currents):
    z, state = refractory.lif_refrac_feed_forward_step(x, state, refractory_params)
    refractory_spikes.append(z.numpy())
    z, lsnn_state = adaptive.lsnn_feed_forward_step(x, lsnn_state, adaptive_params)
    adaptive_spikes.append(z.numpy())
recorded = {
    "currents": currents,
    "lif_refrac": np.stack(refractory_spikes),
    "lsnn": np.stack(adaptive_spikes),
}
np.savez_compressed(Path(__file__).parent / "neurons.npz", **recorded)
for name, value in recorded.items():
    print(f"{name}: {value.shape}, mean {value.mean():.4f}")
