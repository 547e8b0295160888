"""Where SAELens converts an SAE into another than its publisher describes, `saelens:RELEASE/ID` is the publisher's."""

import numpy as np
import pytest
import torch

from sandbox import checkpoints
from sandbox.checkpoints.hub_repairs import repair
from sandbox.errors import InputError
from tests.checkpoints import test_gemma_scope, test_llama_scope
from tests.helpers.by_saelens import directory_of_saes, loaded, sae_lens
from tests.helpers.checkpoint_files import agrees, other_decoder, some

LLAMA_SCOPE = "llama_scope_lxr_8x/l15r_8x"
EMBEDDINGS = "gemma-scope-2b-pt-res/embedding/width_4k/average_l0_21"
GEMMA_2_2B, WIDTH_4K = 2304, 4096  # SAELens takes the sizes from the names
X = test_llama_scope.X


def llama_scope(folder, **options):
    """Llama Scope's files, of fewer dimensions, with the normalisation that SAELens' directory has for this SAE."""
    release, _, sae_id = LLAMA_SCOPE.partition("/")
    norm = test_llama_scope.D**0.5 / directory_of_saes()[release].norm_scaling_factor[sae_id]
    test_llama_scope.written(folder, **{"dataset_average_activation_norm": {"in": norm, "out": norm}} | options)


def by_saelens(name: str, x: np.ndarray) -> torch.Tensor:
    """x̂ of the SAE as SAELens converts it."""
    return sae_lens.SAE.from_pretrained(*name.split("/", 1))(torch.from_numpy(x)).detach()


@pytest.mark.parametrize("with_norms", [True, False])
def test_llama_scope_counts_the_norms_of_its_decoder(with_norms, cache, tmp_path):
    folder = cache(LLAMA_SCOPE)
    llama_scope(folder, sparsity_include_decoder_norm=with_norms)
    expected = test_llama_scope.reference(folder, X)
    checkpoint = checkpoints.read(f"saelens:{LLAMA_SCOPE}")
    agrees(checkpoint.sae(torch.from_numpy(X)), expected)
    agrees(checkpoints.load(folder)(torch.from_numpy(X)), expected)
    assert ("divided by the norms of W_dec, which SAELens ignores" in checkpoint.describe()) == with_norms
    off = (by_saelens(LLAMA_SCOPE, X) - torch.from_numpy(expected)).abs().max()
    assert off > 0.1 if with_norms else off < 1e-5  # the norms are what SAELens gets wrong, and all of it

    decoder = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", *decoder)  # in SAELens' layout, from which SAELens computes the publisher's SAE
    changed = checkpoint.sae.with_decoder(*decoder)(torch.from_numpy(X))
    agrees(loaded(tmp_path / "out")(torch.from_numpy(X)), changed.numpy())


IGNORED = {
    "act_fn": "relu",
    "norm_activation": "none",
    "apply_decoder_bias_to_pre_encoder": True,
    "hook_point_out": "blocks.16.hook_resid_post",
    "sparsity_include_decoder_norm": None,
}


@pytest.mark.parametrize("setting", IGNORED)
def test_a_setting_of_llama_scope_that_saelens_ignores_is_refused(setting, cache):
    llama_scope(cache(LLAMA_SCOPE), **{setting: IGNORED[setting]})
    with pytest.raises(InputError, match=f"hyperparams.json: {setting} is "):
        checkpoints.read(f"saelens:{LLAMA_SCOPE}")


def test_an_sae_of_embeddings_reconstructs_them_with_and_without_gemmas_factor(cache):
    folder, latents = cache(EMBEDDINGS), WIDTH_4K
    arrays = {"W_enc": some(GEMMA_2_2B, latents), "W_dec": some(latents, GEMMA_2_2B), "b_dec": some(GEMMA_2_2B, seed=1)}
    arrays |= {"b_enc": some(latents, seed=2), "threshold": np.abs(some(latents, seed=3))}
    np.savez(folder / "params.npz", **arrays)
    rows, factor = some(3, GEMMA_2_2B, seed=4), GEMMA_2_2B**0.5
    raw, named = checkpoints.read(folder), checkpoints.read(f"saelens:{EMBEDDINGS}")
    expected = test_gemma_scope.reference(folder, 1, rows)
    agrees(raw.sae(torch.from_numpy(rows)), expected)
    agrees(named.sae(torch.from_numpy(factor * rows)), factor * expected)
    assert "x is a row of the embedding matrix, without Gemma's factor √d" in raw.describe()
    assert "x is the embedding times √d" in named.describe()
    missing = factor * expected - by_saelens(EMBEDDINGS, factor * rows).numpy()
    off = np.abs(missing - (factor - 1) * arrays["b_dec"]).max()  # of b_dec, SAELens' x̂ has 1/√d
    assert off < 1e-4 * np.abs(factor * expected).max()


def test_other_saes_of_gemma_scope_are_left_as_they_are():
    b_dec = torch.ones(4)
    weights = {"b_dec": b_dec}
    assert repair("gemma_2", "layer_0/width_16k/average_l0_105", weights, pytest.fail) == ()
    assert weights == {"b_dec": b_dec}
