"""Calls of frameworks on PyTorch: run eagerly."""

from collections.abc import Callable

import torch

from .calls import Call


def torch_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def torch_call(function: Callable, result: Callable | None = None, note="") -> Call:
    """`function`, run eagerly and waited for."""

    def run():
        out = function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return out

    def to_numpy(out):
        return (out if result is None else result(out)).detach().cpu().numpy()

    return Call(run, to_numpy, note=note)


def torch_spikes_or_gradient(encode: Callable, case, data, note="") -> Call:
    """As `jax_spikes_or_gradient`; eager, so that the value comes along in any case."""
    x = torch.from_numpy(data["x"]).to(torch_device())
    if case.mode == "forward":

        def forward():
            with torch.no_grad():
                return encode(x)

        return torch_call(forward, note=note)
    w = torch.from_numpy(data["w"]).to(torch_device())
    x.requires_grad_()

    def gradient():
        value = torch.vdot(w.ravel(), encode(x).ravel())
        return torch.autograd.grad(value, x)[0]

    return torch_call(gradient, note=note)


def torch_training_step(linear, weight, spikes: Callable, data, late=False, note="") -> Call:
    """The value of <w, spikes(linear(x))> and a step of gradient descent on it.

    Its result are the spikes. `late` shifts them by a step, where an input moves the membrane
    in the same step.
    """
    linear.weight.data = torch.from_numpy(weight.copy()).to(torch_device())
    optimizer = torch.optim.SGD(linear.parameters(), lr=1e-3)
    x, w = (torch.from_numpy(data[name]).to(torch_device()) for name in ("x", "w"))
    first = linear(x).detach()  # with the initial weights

    def step():
        optimizer.zero_grad()
        torch.vdot(w.ravel(), spikes(linear(x)).ravel()).backward()
        optimizer.step()

    def result(_):
        out = spikes(first)
        return torch.cat([torch.zeros_like(out[:1]), out[:-1]]) if late else out

    return torch_call(step, result, note=note)
