"""SAELens' own evaluation of an SAE, on ready-made activations: the peer for throughput and memory.

`sae_lens.evals.get_sparsity_and_variance_metrics` takes activations from a model, so it gets a model whose
activations at its only hook are known. That model computes and copies nothing: a prompt's tokens are row numbers.
"""

import warnings
from typing import Any, cast

import torch
from torch import Tensor

with warnings.catch_warnings():  # their own imports warn, and nobody here can mend that
    warnings.simplefilter("ignore")
    from sae_lens.evals import get_sparsity_and_variance_metrics
    from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
    from sae_lens.training.activation_scaler import ActivationScaler
    from transformer_lens.hook_points import HookedRootModule, HookPoint

from sandbox.checkpoints.autoencoder import SAE

CONTEXT = 128  # tokens in a prompt
HOOK = "hook_embed"  # of the names that it takes as they are: one that begins with hook_k is of heads


class Known(HookedRootModule):
    """A model with known activations: its forward pass is a view of them."""

    def __init__(self, x: Tensor):
        super().__init__()
        self.x = x
        self.hook_embed = HookPoint()
        self.setup()

    def forward(self, tokens: Tensor, prepend_bos: bool, stop_at_layer: int) -> Tensor:
        """The rows that the tokens count, which are neighbours."""
        first = int(tokens[0, 0])
        return self.hook_embed(self.x[first : first + tokens.numel()].view(*tokens.shape, -1))


class Prompts:
    """Every token once, in order."""

    def __init__(self, tokens: int, batch: int):
        self.batches = iter(torch.arange(tokens).reshape(-1, batch // CONTEXT, CONTEXT))

    def get_batch_tokens(self, prompts: int) -> Tensor:
        """The next batch."""
        return next(self.batches)


def as_saelens(sae: SAE) -> StandardSAE:
    """The same SAE as SAELens holds it: a ReLU SAE in float32."""
    config = StandardSAEConfig(
        d_in=sae.d_in, d_sae=sae.d_sae, dtype="float32", device="cpu", apply_b_dec_to_input=sae.subtract_b_dec
    )
    theirs = StandardSAE(config)
    b_enc = torch.zeros(sae.d_sae) if sae.b_enc is None else sae.b_enc
    theirs.load_state_dict({"W_enc": sae.W_enc, "W_dec": sae.W_dec, "b_enc": b_enc, "b_dec": sae.b_dec})
    theirs.cfg.metadata.hook_name = HOOK
    return theirs.eval()


@torch.no_grad()
def saelens_evaluation(sae: StandardSAE, x: Tensor, batch: int) -> dict[str, float]:
    """What SAELens prints: norms and their ratio, relative reconstruction bias, l0 and l1, explained variance, mse and
    cosine. Its densities of features are left out. The tokens are a multiple of `batch`, and that of CONTEXT.
    """
    printed, _ = get_sparsity_and_variance_metrics(
        sae,
        cast("Any", Known(x)),
        cast("Any", Prompts(len(x), batch)),
        ActivationScaler(),
        n_batches=len(x) // batch,
        compute_l2_norms=True,
        compute_sparsity_metrics=True,
        compute_variance_metrics=True,
        compute_featurewise_density_statistics=False,
        eval_batch_size_prompts=batch // CONTEXT,
        model_kwargs={},
    )
    return printed
