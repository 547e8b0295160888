"""Checks of SAE objects, like those of checkpoint files: refuse what would silently make x̂ something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox.errors import InputError

ALONE = 8
"""Tokens to compute one by one to detect a dependence on their neighbours; few, because a wide SAE is slow."""

DIFFERS = {"half": 0.05, "whole": 0.01}
"""Relative difference between x̂ alone and in a batch that rounding explains, as the median over tokens. Products are
added in a different order; in half precision a latent near its threshold may flip. BatchTopK, whose threshold depends
on the batch, differs by about 8 %."""

RESHAPING = ("reshape_fn_in", "reshape_fn_out", "d_head", "hook_z_reshaping_mode")
"""Attributes in which a SAELens SAE of a hook_z stores how it reshapes (…, heads, d_head) (saes/sae.py)."""


def refuse_settings(sae: Any, name: str) -> None:
    """Refuse an object whose own settings say that its output is not the SAE's x̂.

    Raises: InputError for a transcoder, whose output does not reconstruct its input; for a temporal SAE, whose x̂ also
            depends on earlier tokens; if the error term is on (then x̂ is x); or if training has not set the threshold
            yet
    """
    if _is_transcoder(sae):
        raise InputError(
            f"{name} is a transcoder: its output reconstructs another layer, not its input; measure that layer's true "
            "output and the transcoder's as x and x̂ (sandbox.measure_pairs)"
        )
    if "temporal" in _stated_architecture(sae):
        raise InputError(
            f"{name} is a temporal SAE: its x̂ of a token also depends on the text's earlier tokens; compute x̂ text by "
            "text, and measure x and x̂ (sandbox.measure_pairs)"
        )
    if getattr(sae, "use_error_term", False) is True:
        raise InputError(
            f"{name}: use_error_term is on, which adds x − x̂ back to x̂ and makes it x: set sae.use_error_term = False"
        )
    threshold = getattr(sae, "threshold", None)
    # dictionary_learning's trainers/batch_top_k.py starts at −1, which every positive latent exceeds.
    if hasattr(sae, "k") and isinstance(threshold, Tensor) and not threshold.ndim and threshold < 0:
        raise InputError(
            f"{name}: threshold is {threshold.item():g}: training has not set it, and without it a BatchTopK SAE keeps "
            "every positive latent; train it beyond threshold_start_step, or measure the x and x̂ from its training"
        )


def _is_transcoder(sae: Any) -> bool:
    """Whether a SAELens or sparsify object, or one whose class says so in its name, maps x to another layer."""
    transcodes = getattr(getattr(sae, "cfg", None), "transcode", False) is True
    return transcodes or any("transcoder" in word for word in (_stated_architecture(sae), type(sae).__name__.lower()))


def _stated_architecture(sae: Any) -> str:
    """The architecture that a SAELens object's settings state, in lower case; "" if none."""
    architecture = getattr(getattr(sae, "cfg", None), "architecture", "")
    return str(architecture() if callable(architecture) else architecture).lower()


def refuse_dependence(run: Callable[[Tensor], Tensor], x: Tensor, x_hat: Tensor, name: str) -> None:
    """Refuse an SAE whose x̂ of a token depends on the other tokens: every result would depend on the batch size.

    Args:   run: maps x to x̂; x: a few tokens, (n, d); x_hat: (n, d), the output of `run` for all of them at once
    """
    if len(x) < 2:
        return
    chosen = torch.linspace(0, len(x) - 1, min(len(x), ALONE), dtype=torch.float64).long().tolist()
    tokens = [slice(i, i + 1) for i in chosen]
    alone = torch.cat([run(x[token]) for token in tokens]).float()
    together = torch.cat([x_hat[token] for token in tokens]).float()
    size = together.norm(dim=-1).clamp(min=torch.finfo(torch.float32).tiny)
    apart = ((alone - together).norm(dim=-1) / size).median().item()
    half = torch.finfo(x_hat.dtype).eps > 1e-4
    if apart > DIFFERS["half" if half else "whole"]:
        raise InputError(
            f"{name}: x̂ of a token depends on the tokens computed with it (alone it differs by {apart:.0%} from x̂ in a "
            f"batch of {len(x)}), as in a BatchTopK SAE during training: measure the SAE saved for inference, with a "
            "fixed threshold (SAELens: save_inference_model)"
        )


def width(sae: Any) -> int | None:
    """d_in, if the object states it under SAELens' or dictionary_learning's name for it; otherwise None."""
    for d_in in (getattr(getattr(sae, "cfg", None), "d_in", None), getattr(sae, "activation_dim", None)):
        if type(d_in) is int:
            return d_in
    return None


def heads_side_by_side(source: Any, sae: Any) -> Any:
    """Flatten (…, heads, d_head) to (…, heads · d_head) for an SAE of a hook_z; return other activations unchanged."""
    by_heads = getattr(getattr(sae, "cfg", None), "reshape_activations", None) == "hook_z"
    if not by_heads or not isinstance(source, np.ndarray | Tensor) or source.ndim < 3:
        return source
    *tokens, heads, d_head = source.shape
    return source.reshape(*tokens, heads * d_head) if d_head != width(sae) == heads * d_head else source


@contextmanager
def taking_flat_tokens(sae: Any) -> Iterator[None]:
    """Let an SAE of a hook_z map (…, d_in) to x̂ of the same shape; restore its settings afterwards."""
    if not getattr(sae, "hook_z_reshaping_mode", False):
        yield
        return
    settings = {name: getattr(sae, name, None) for name in RESHAPING}
    sae.turn_off_forward_pass_hook_z_reshaping()
    try:
        yield
    finally:
        for name, value in settings.items():
            setattr(sae, name, value)
