"""SAEs that are given as objects, vetted as their files are: what would make of x̂ something else, without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox.errors import InputError

ALONE = 8
"""Tokens that are computed one by one: each shows a dependence on its neighbours, and a wide SAE takes its time."""

DIFFERS = {"half": 0.05, "whole": 0.01}
"""Share of ‖x̂‖ by which that of most of these tokens may differ: products in another order, and in half precision a
latent near its threshold now and then. BatchTopK, whose threshold is the batch's, differs by some 8 %."""

RESHAPING = ("reshape_fn_in", "reshape_fn_out", "d_head", "hook_z_reshaping_mode")
"""What SAELens keeps of reshaping (…, heads, d_head) in an SAE of a hook_z (saes/sae.py)."""


def refuse_settings(sae: Any, name: str) -> None:
    """Refuse an object whose x̂ is not the SAE's, by its own account.

    Raises: InputError for an error term that is on (x̂ is x then), and for a threshold that training has not set yet
    """
    if getattr(sae, "use_error_term", False) is True:
        raise InputError(
            f"{name}: use_error_term is on, so that x − x̂ is added to x̂ again, which makes it x: set "
            "sae.use_error_term = False"
        )
    threshold = getattr(sae, "threshold", None)
    # dictionary_learning's mark: trainers/batch_top_k.py begins with −1, and every positive latent is above that.
    if hasattr(sae, "k") and isinstance(threshold, Tensor) and not threshold.ndim and threshold < 0:
        raise InputError(
            f"{name}: threshold is {threshold.item():g}: training has not set it, and without it a BatchTopK SAE keeps "
            "every positive latent; train it beyond threshold_start_step, or measure x and x̂ of its training"
        )


def refuse_dependence(run: Callable[[Tensor], Tensor], x: Tensor, x_hat: Tensor, name: str) -> None:
    """Refuse an SAE whose x̂ of a token depends on the tokens beside it: every figure would be the batch size's.

    Args:   run: x ► x̂; x: a few tokens, (n, d); x_hat: what it gave for all of them together
    """
    if len(x) < 2:
        return
    chosen = torch.linspace(0, len(x) - 1, min(len(x), ALONE), dtype=torch.float64).long().tolist()
    tokens = [slice(i, i + 1) for i in chosen]
    alone = torch.cat([run(x[one]) for one in tokens]).float()
    together = torch.cat([x_hat[one] for one in tokens]).float()
    size = together.norm(dim=-1).clamp(min=torch.finfo(torch.float32).tiny)
    apart = ((alone - together).norm(dim=-1) / size).median().item()
    half = torch.finfo(x_hat.dtype).eps > 1e-4
    if apart > DIFFERS["half" if half else "whole"]:
        raise InputError(
            f"{name}: x̂ of a token depends on the tokens computed with it (alone it differs by {apart:.0%} from x̂ in a "
            f"batch of {len(x)}), as in a BatchTopK SAE that trains: measure it as saved for inference, with a "
            "threshold of its own (SAELens: save_inference_model)"
        )


def width(sae: Any) -> int | None:
    """d_in, where the object says it: SAELens and dictionary_learning have their names for it."""
    for said in (getattr(getattr(sae, "cfg", None), "d_in", None), getattr(sae, "activation_dim", None)):
        if type(said) is int:
            return said
    return None


def heads_side_by_side(source: Any, sae: Any) -> Any:
    """Activations (…, heads, d_head) as the SAE of a hook_z sees them, (…, heads · d_head); others as they are."""
    by_heads = getattr(getattr(sae, "cfg", None), "reshape_activations", None) == "hook_z"
    if not by_heads or not isinstance(source, np.ndarray | Tensor) or source.ndim < 3:
        return source
    *tokens, heads, d_head = source.shape
    return source.reshape(*tokens, heads * d_head) if d_head != width(sae) == heads * d_head else source


@contextmanager
def taking_flat_tokens(sae: Any) -> Iterator[None]:
    """An SAE of a hook_z takes (…, d_in) and gives x̂ alike while this lasts, and afterwards is as it was."""
    if not getattr(sae, "hook_z_reshaping_mode", False):
        yield
        return
    held = {name: getattr(sae, name, None) for name in RESHAPING}
    sae.turn_off_forward_pass_hook_z_reshaping()
    try:
        yield
    finally:
        for name, value in held.items():
            setattr(sae, name, value)
