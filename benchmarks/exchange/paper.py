"""The files of the NIR paper, which are not part of this repository."""

from pathlib import Path

import numpy as np

BRAILLE = {  # by file: its arrays in `braille_expected.npz`, and the reset
    "braille_noDelay_bias_zero": ("bias_zero", False),
    "braille_noDelay_noBias_subtract": ("noBias_subtract", True),
}
PUBLISHED = {  # test accuracies in percent, of snnTorch and of Norse
    "braille_noDelay_bias_zero": (95.0, 94.3),
    "braille_noDelay_noBias_subtract": (92.1, 93.6),
}


def print_paper(folder: Path) -> None:
    """Prints a table of what is in `folder`."""
    import jax
    import nir

    from jaxsnn_eqx.nir import from_nir

    expected_file = folder / "braille_expected.npz"
    print("| file | spikes | differ | of |")
    print("|---|---|---|---|")
    for name, (key, soft) in BRAILLE.items():
        path = folder / f"{name}.nir"
        if not path.exists() or not expected_file.exists():
            print(f"{name}.nir or braille_expected.npz is not in {folder}")
            continue
        network = from_nir(nir.read(path), dt=1e-4, soft_reset=soft)
        expected = np.load(expected_file)
        xs = _unpacked(expected, "x")
        hidden = network[:2]
        for part, model in (("hidden", hidden), ("out", network)):
            wanted = _unpacked(expected, f"{key}_{part}")
            out = np.asarray(jax.vmap(model)(xs))
            print(f"| {name} | {part} | {(out != wanted).sum():,} | {wanted.size:,} |")
    test = folder / "ds_test.pt"
    if not test.exists():
        print(f"ds_test.pt is not in {folder}: no test accuracies")
        return
    import torch

    xs, labels = torch.load(test, weights_only=False).tensors
    print("| file | ours % | snnTorch, published % | Norse, published % |")
    print("|---|---|---|---|")
    for name, (_, soft) in BRAILLE.items():
        network = from_nir(nir.read(folder / f"{name}.nir"), dt=1e-4, soft_reset=soft)
        counts = np.asarray(jax.vmap(network)(xs.float().numpy())).sum(1)
        right = 100 * (counts.argmax(1) == labels.numpy()).mean()
        snntorch, norse = PUBLISHED[name]
        print(f"| {name} | {right:.1f} | {snntorch} | {norse} |")


def _unpacked(arrays, name: str) -> np.ndarray:
    shape = arrays[f"{name}_shape"]
    return np.unpackbits(arrays[name])[: np.prod(shape)].reshape(shape).astype(np.float32)
