"""OpenAI's states are computed as its sparse_autoencoder computes them; what does not say its activation is refused."""

from collections import OrderedDict

import numpy as np
import pytest
import torch

from sandbox import checkpoints
from sandbox.errors import InputError
from tests.helpers.checkpoint_files import agrees, other_decoder, some, tensors

D, LATENTS, K = 16, 48, 6
X = some(200, D, seed=4, scale=1) + 0.5  # with a mean, that a layer norm takes away


def statistics() -> dict:
    return {"stats_last_nonzero": torch.zeros(LATENTS).long(), "latents_mean_square": torch.rand(LATENTS)}


RELU = {"activation": "ReLU", "activation_state_dict": OrderedDict()}
TOPK = {"activation": "TopK", "activation_state_dict": OrderedDict(k=K, postact_fn="ReLU")}
FORMS = {
    "relu": RELU,
    "topk": TOPK,
    "with statistics": TOPK | statistics(),
    "as the public class saves it": TOPK | statistics() | {"activation.k": K, "activation.postact_fn": "ReLU"},
}


def written(folder, form=TOPK, tied=False):
    """A state, as torch saves it."""
    encoder = torch.from_numpy(some(LATENTS, D))
    decoder = {"decoder.linear.weight": encoder} if tied else {"decoder.weight": torch.from_numpy(some(D, LATENTS))}
    biases = {"pre_bias": torch.from_numpy(some(D)), "latent_bias": torch.from_numpy(some(LATENTS))}
    folder.mkdir(exist_ok=True)
    torch.save(OrderedDict(**biases, **{"encoder.weight": encoder}, **decoder, **form), folder / "6.pt")


def reference(folder, x: np.ndarray) -> np.ndarray:
    """The class's docstring and its LN, token by token, in float64."""
    state = torch.load(folder / "6.pt", weights_only=True)
    p = {name: value.double().numpy() for name, value in state.items() if isinstance(value, torch.Tensor)}
    decoder = p["decoder.weight"] if "decoder.weight" in p else p["encoder.weight"].T
    rows = []
    for token in x.astype(np.float64):
        mean, std = 0.0, 1.0
        z = token
        if state["activation"] == "TopK":
            mean = token.sum() / len(token)
            std = np.sqrt(((token - mean) ** 2).sum() / (len(token) - 1))
            z = (token - mean) / (std + 1e-5)
        pre_acts = p["encoder.weight"] @ (z - p["pre_bias"]) + p["latent_bias"]
        if state["activation"] == "TopK":
            pre_acts[np.argsort(pre_acts)[: -state["activation_state_dict"]["k"]]] = 0
        rows.append((decoder @ np.maximum(pre_acts, 0) + p["pre_bias"]) * std + mean)
    return np.array(rows)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_the_reconstruction_is_the_published_one(form, tied, tmp_path):
    written(tmp_path, FORMS[form], tied)
    agrees(checkpoints.load(tmp_path / "6.pt")(torch.from_numpy(X)), reference(tmp_path, X))
    agrees(checkpoints.load(tmp_path)(torch.from_numpy(X)), reference(tmp_path, X))


def test_tokens_that_hardly_vary_are_divided_by_std_and_eps_but_multiplied_by_std_alone(tmp_path):
    written(tmp_path)
    small = 1e-4 * X.astype(np.float64)  # std 1e-4, of which eps is a tenth
    found = checkpoints.load(tmp_path).double()(torch.from_numpy(small)) * 1e4
    agrees(found, reference(tmp_path, small) * 1e4)


def test_the_conventions_are_said(tmp_path):
    written(tmp_path, tied=True)
    assert checkpoints.read(tmp_path).describe() == (
        "OpenAI topk (k = 6), d_in 16, d_sae 48, decoder bias subtracted from the input: yes, "
        "layer norm of every token, undone on decode, decoder tied to the encoder"
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_changed_decoder_is_stored_where_the_reference_finds_it(form, tmp_path):
    written(tmp_path / "in", FORMS[form])
    checkpoint = checkpoints.read(tmp_path / "in")
    decoder = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "out", *decoder)
    expected = reference(tmp_path / "out", X)
    agrees(checkpoint.sae.with_decoder(*decoder)(torch.from_numpy(X)), expected)
    agrees(checkpoints.load(tmp_path / "out")(torch.from_numpy(X)), expected)


def test_a_tied_decoder_takes_a_shift_and_nothing_else(tmp_path):
    written(tmp_path / "in", tied=True)
    checkpoint = checkpoints.read(tmp_path / "in")
    W_dec, b_dec = other_decoder(checkpoint.sae)
    checkpoint.write(tmp_path / "shifted", checkpoint.sae.W_dec, b_dec)
    expected = reference(tmp_path / "shifted", X)
    agrees(checkpoint.sae.with_decoder(checkpoint.sae.W_dec, b_dec)(torch.from_numpy(X)), expected)
    with pytest.raises(InputError, match="tied to its encoder and cannot be changed separately"):
        checkpoint.write(tmp_path / "turned", W_dec, b_dec)
    assert not (tmp_path / "turned").exists()


def test_a_folder_of_many_states_needs_the_name_of_one(tmp_path):
    written(tmp_path)
    (tmp_path / "7.pt").write_bytes((tmp_path / "6.pt").read_bytes())
    with pytest.raises(InputError, match=r"found: 6.pt, 7.pt"):
        checkpoints.load(tmp_path)
    assert checkpoints.load(tmp_path / "7.pt").d_sae == LATENTS


def state(change):
    return tensors("6.pt", change)


def topk(**changes):
    return state(lambda s: s["activation_state_dict"].update(changes))


DAMAGE = {
    "no activation": (state(lambda s: s.pop("activation")), "does not name its activation function"),
    "an unknown activation": (state(lambda s: s.update(activation="JumpReLU")), "activation is 'JumpReLU'"),
    "no sparsity": (state(lambda s: s.update(activation="Identity")), "activation is 'Identity'"),
    "settings of another": (state(lambda s: s.update(activation="ReLU")), "which is unknown for a ReLU"),
    "settings that are none": (
        state(lambda s: s.update(activation_state_dict=3)),
        "activation_state_dict is 3, which is unknown for a TopK",
    ),
    "signed latents": (topk(postact_fn="Identity"), "postact_fn is 'Identity'"),
    "no k": (state(lambda s: s["activation_state_dict"].pop("k")), "k is None"),
    "k beyond d_sae": (topk(k=49), "k is 49; a whole number from 1 to d_sae = 48"),
    "k that is no whole number": (topk(k=6.0), "k is 6.0"),
    "an unknown setting": (topk(threshold=1.0), "which is unknown for a TopK"),
    "two values of k": (state(lambda s: s.update({"activation.k": 7})), "but the state repeats it"),
    "a tensor too many": (state(lambda s: s.update(scale=torch.ones(D))), "scale may change x̂"),
    "no decoder": (state(lambda s: s.pop("decoder.weight")), "but no decoder.weight"),
    "two decoders": (state(lambda s: s.update({"decoder.linear.weight": s["encoder.weight"]})), "decoder.weight may"),
    "transposed": (
        state(lambda s: s.update({"decoder.weight": s["decoder.weight"].T})),
        r"decoder.weight is .* \(48, 16\)",
    ),
    "a flat encoder": (state(lambda s: s.update({"encoder.weight": torch.ones(3)})), "encoder.weight is"),
    "a number for a tensor": (state(lambda s: s.update(pre_bias=0.0)), "pre_bias is 0.0"),
    "nan": (state(lambda s: s["latent_bias"].fill_(torch.nan)), "latent_bias holds a NaN"),
    "no pre_bias": (state(lambda s: s.pop("pre_bias")), "matches no supported layout"),
    "code": (lambda f: torch.save(torch.nn.Linear(2, 2), f / "6.pt"), "cannot be read as weights only"),
    "no pickle": (lambda f: (f / "6.pt").write_bytes(b"x" * 99), "cannot be read as weights only"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_exactly_the_layout_is_refused(damage, tmp_path):
    written(tmp_path)
    harm, line = DAMAGE[damage]
    harm(tmp_path)
    with pytest.raises(InputError, match=line):
        checkpoints.load(tmp_path)


def test_a_tied_decoder_that_is_another_tensor_is_refused(tmp_path):
    written(tmp_path, tied=True)
    state(lambda s: s.update({"decoder.linear.weight": 2 * s["encoder.weight"]}))(tmp_path)
    with pytest.raises(InputError, match=r"decoder\.linear\.weight differs from encoder\.weight, but"):
        checkpoints.load(tmp_path)
