"""Helpers for the tests of checkpoint layouts: random tensors, edits of files, and comparison of reconstructions."""

import json

import numpy as np
import safetensors.numpy
import torch


def some(*shape: int, seed: int = 0, scale: float = 0.3) -> np.ndarray:
    """Random, non-trivial values in float32, the dtype in which they are stored."""
    return (scale * np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(np.float32)


def agrees(actual: torch.Tensor, expected: np.ndarray) -> None:
    """Assert agreement to 1e-5 of the largest entry: sums of at most a hundred float32 products against float64."""
    actual = actual.detach().double().numpy()
    assert actual.shape == expected.shape
    assert np.abs(expected).max() > 0.1
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()


def other_decoder(sae) -> tuple[torch.Tensor, torch.Tensor]:
    """A different decoder: every latent rescaled and slightly rotated, and b_dec shifted."""
    stretch = 1 + torch.rand(sae.d_sae, 1, generator=torch.Generator().manual_seed(7))
    turn = torch.from_numpy(some(sae.d_sae, sae.d_in, seed=8, scale=0.02))
    return sae.W_dec * stretch + turn, sae.b_dec + torch.from_numpy(some(sae.d_in, seed=9))


def settings(name: str, **changes):
    """A function that changes settings in a JSON file of a folder; None removes a setting."""

    def change(folder):
        config = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps({key: value for key, value in config.items() if value is not None}))

    return change


def tensors(name: str, change):
    """A function that changes the tensors in a .safetensors, .npz or .pt file of a folder."""

    def rewrite(folder):
        path = folder / name
        if path.suffix == ".safetensors":
            stored_tensors = safetensors.numpy.load_file(path)
            change(stored_tensors)
            safetensors.numpy.save_file(
                {key: np.asarray(value, order="C") for key, value in stored_tensors.items()}, path
            )
        elif path.suffix == ".npz":
            with np.load(path) as archive:
                stored_tensors = dict(archive)
            change(stored_tensors)
            np.savez(path, **stored_tensors)
        else:
            stored_tensors = torch.load(path, weights_only=True)
            change(stored_tensors)
            torch.save(stored_tensors, path)

    return rewrite
