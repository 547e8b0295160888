"""SAE objects are checked like checkpoint files: what would falsify x̂ is refused or reported."""

import warnings
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from sandbox import InputError, checkpoints, look, measure, measure_pairs
from sandbox.data import embedded
from sandbox.measuring.forward import Forward
from sandbox.measuring.objects import heads_side_by_side, refuse_settings

with warnings.catch_warnings():  # the libraries' own imports may warn, and nobody here can mend that
    warnings.simplefilter("ignore")
    import sae_lens
    from dictionary_learning.trainers.batch_top_k import BatchTopKSAE

SAE = embedded("minilm-relu")
W = load_file(SAE / "sae_weights.safetensors")
X = load_file(embedded("activations"))["activations"].float()[:1024]
SIZES = {"d_in": 384, "d_sae": 1536, "apply_b_dec_to_input": True}
GAMMA = measure(SAE, X, device="cpu").raw["relative_reconstruction_bias"].value


def with_weights(sae, dtype=torch.float32):
    for name in ("W_enc", "W_dec", "b_enc", "b_dec"):
        getattr(sae, name).data[:] = W[name]
    return sae.to(dtype)


def standard(**more):
    return with_weights(sae_lens.StandardSAE(sae_lens.StandardSAEConfig(**SIZES, **more)))


def batch_top_k(dtype=torch.float32, k=20):
    return with_weights(sae_lens.BatchTopKTrainingSAE(sae_lens.BatchTopKTrainingSAEConfig(**SIZES, k=k)), dtype)


def gamma(sae, x=X, **options) -> float:
    return measure(sae, x, device="cpu", **options).raw["relative_reconstruction_bias"].value


# --- x̂ that is x -----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*use_error_term:UserWarning")
@pytest.mark.filterwarnings("ignore:.*use_error_term:DeprecationWarning")
def test_an_error_term_is_refused_on_an_object_as_in_a_file():
    sae = standard()
    assert gamma(sae) == pytest.approx(GAMMA, abs=1e-6)
    sae.use_error_term = True
    with pytest.raises(InputError, match="StandardSAE: use_error_term is on"):
        measure(sae, X)


def saelens_transcoder():
    from sae_lens import Transcoder, TranscoderConfig

    return Transcoder(TranscoderConfig(d_in=X.shape[-1], d_out=X.shape[-1], d_sae=8, apply_b_dec_to_input=False))


class SkipTranscoder(torch.nn.Identity):
    """As other libraries name theirs."""


TRANSCODERS = {
    "SAELens": saelens_transcoder,
    "sparsify": lambda: type("SparseCoder", (torch.nn.Identity,), {"cfg": SimpleNamespace(transcode=True)})(),
    "by the name of its class": SkipTranscoder,
}


@pytest.mark.parametrize("library", TRANSCODERS)
def test_a_transcoder_is_not_measured_against_its_input(library):
    with pytest.raises(InputError, match="is a transcoder: its output reconstructs other activations than it reads"):
        measure(TRANSCODERS[library](), X)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_reconstructions_that_are_x_are_a_finding_for_objects_and_pairs(dtype):
    sae, x = checkpoints.load(SAE), X.to(dtype)

    def with_error_term(x):
        x_hat = sae(x.float()).to(x.dtype)
        return x_hat + (x - x_hat)

    for findings in (look(with_error_term, x, dtype="float32"), look(lambda x: x, x)):
        assert [finding.key for finding in findings] == ["identical"]
    assert [finding["key"] for finding in measure_pairs(x, x).findings] == ["identical"]
    with pytest.raises(InputError, match="x̂ equals x in every token"):
        measure_pairs(x, x, strict=True)


def test_one_file_given_twice_is_a_finding(tmp_path):
    save_file({"activations": X}, tmp_path / "x.safetensors")
    report = measure_pairs(tmp_path / "x.safetensors", tmp_path / "x.safetensors")
    assert [finding["key"] for finding in report.findings] == ["identical"]


def test_a_very_good_sae_is_not_said_to_give_x_itself():
    noise = torch.randn(X.shape, generator=torch.Generator().manual_seed(0))
    assert not measure_pairs(X, X + 1e-4 * noise).findings
    massive = X.clone()
    massive[:, 0] += 1e4  # nearly all of ‖x‖², and x̂ has it
    assert not measure_pairs(massive.bfloat16(), (massive + 0.1 * noise).bfloat16()).findings


# --- x̂ that depends on the batch -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_sae_whose_threshold_is_the_batchs_is_refused(dtype):
    with pytest.raises(InputError, match="BatchTopKTrainingSAE: x̂ of a token depends on the tokens computed with it"):
        measure(batch_top_k(dtype), X)


def test_any_function_of_the_whole_batch_is_refused():
    with pytest.raises(InputError, match="depends on the tokens"):
        look(lambda x: x - x.mean(0), X)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "make", [standard, lambda: with_weights(sae_lens.TopKSAE(sae_lens.TopKSAEConfig(**SIZES, k=20)))]
)
def test_an_sae_of_each_token_alone_is_not(make, dtype):
    measure(make().to(dtype), X)


def test_a_batch_top_k_sae_is_measured_once_it_has_a_threshold(tmp_path):
    sae = batch_top_k()
    sae.topk_threshold.fill_(0.5)
    sae.save_inference_model(tmp_path / "sae")
    assert 0.5 < gamma(tmp_path / "sae") < 1


def test_a_threshold_that_training_has_not_set_is_refused_as_in_a_file():
    sae = BatchTopKSAE(384, 1536, 20)
    with pytest.raises(InputError, match="threshold is -1: training has not set it"):
        measure(sae, X)
    sae.threshold.fill_(0.1)
    measure(sae, X)


# --- SAEs of the outputs of heads ------------------------------------------------------------------------------------


def test_an_object_of_a_hook_z_is_measured_on_tokens_of_either_shape_and_left_as_it_was():
    sae = standard(reshape_activations="hook_z")
    heads = X.reshape(-1, 12, 32)
    expected = sae(heads[:4])
    for x in (X, heads, heads.numpy()):
        assert gamma(sae, x) == pytest.approx(GAMMA, abs=1e-6)
        assert not look(sae, x)
    assert sae.hook_z_reshaping_mode
    assert torch.equal(sae(heads[:4]), expected)


def test_heads_side_by_side_are_asked_for_where_the_sae_says_nothing_of_heads():
    with pytest.raises(
        InputError, match=r"reads activations of dimension 384, but activations has 32; .* x.flatten\(-2\)"
    ):
        measure(standard(), X.reshape(-1, 12, 32))
    assert heads_side_by_side(X, standard()) is X


def test_an_object_says_its_width():
    for sae in (standard(), BatchTopKSAE(384, 1536, 20).eval()):
        if isinstance(sae, BatchTopKSAE):
            sae.threshold.fill_(0.1)
        with pytest.raises(InputError, match="reads activations of dimension 384, but activations has 383"):
            measure(sae, X[:, :383])
    assert Forward(lambda x: x, "cpu", "float32").d_in is None


def test_a_threshold_for_each_latent_is_not_batch_top_ks():
    """A scalar threshold below 0 means that training has not set it; a vector belongs to another architecture."""
    refuse_settings(SimpleNamespace(k=3, threshold=-torch.ones(4)), "sae")
    with pytest.raises(InputError, match="training has not set it"):
        refuse_settings(SimpleNamespace(k=3, threshold=torch.tensor(-1.0)), "sae")
