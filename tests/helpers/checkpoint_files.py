"""Shared by the tests of the layouts: random tensors, files that are changed, and how near two reconstructions are."""

import json

import numpy as np
import safetensors.numpy
import torch


def some(*shape: int, seed: int = 0, scale: float = 0.3) -> np.ndarray:
    """Random, non-trivial values, in float32 as they are stored."""
    return (scale * np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(np.float32)


def agrees(found: torch.Tensor, expected: np.ndarray) -> None:
    """To 1e-5 of the largest entry: sums of at most a hundred float32 products, against float64."""
    found = found.detach().double().numpy()
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0.1
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def other_decoder(sae) -> tuple[torch.Tensor, torch.Tensor]:
    """Another decoder: each latent longer or shorter and turned a little, and a shift."""
    stretch = 1 + torch.rand(sae.d_sae, 1, generator=torch.Generator().manual_seed(7))
    turn = torch.from_numpy(some(sae.d_sae, sae.d_in, seed=8, scale=0.02))
    return sae.W_dec * stretch + turn, sae.b_dec + torch.from_numpy(some(sae.d_in, seed=9))


def settings(name: str, **changes):
    """A change of settings in a JSON file; None removes one."""

    def change(folder):
        config = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps({key: value for key, value in config.items() if value is not None}))

    return change


def tensors(name: str, change):
    """A change of the tensors in a .safetensors, .npz or .pt file."""

    def rewrite(folder):
        path = folder / name
        if path.suffix == ".safetensors":
            held = safetensors.numpy.load_file(path)
            change(held)
            safetensors.numpy.save_file({key: np.ascontiguousarray(value) for key, value in held.items()}, path)
        elif path.suffix == ".npz":
            with np.load(path) as stored:
                held = dict(stored)
            change(held)
            np.savez(path, **held)
        else:
            held = torch.load(path, weights_only=True)
            change(held)
            torch.save(held, path)

    return rewrite
