"""A transcoder is measured against the activations that it reconstructs: from files, arrays, streams, a live model."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from sandbox import checkpoints
from sandbox.activations import activations, with_targets
from sandbox.activations.live import live
from sandbox.checkpoints.activation_functions import JumpReLU
from sandbox.checkpoints.autoencoder import SAE
from sandbox.errors import InputError
from sandbox.measuring.forward import Forward
from sandbox.measuring.measure import look, measure, measure_pairs
from sandbox.measuring.rescale import rescale
from tests.helpers.by_saelens import sae_lens
from tests.helpers.models import make_texts, save_model
from tests.helpers.runs import assert_same, by_torchrun, report_of, sandbox

N, D, D_OUT, D_SAE = 3000, 24, 20, 96


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def model():
    """An MLP: what it reads, x, and what it outputs, y."""
    layers = nn.Sequential(nn.Linear(D, D_SAE), nn.ReLU(), nn.Linear(D_SAE, D_OUT))
    with torch.no_grad():
        for seed, weights in enumerate(layers.parameters()):
            weights.copy_(0.3 * random(*weights.shape, seed=seed))
    return layers.eval()


@pytest.fixture(scope="module")
def pair(model):
    x = random(N, D) + 0.5
    with torch.no_grad():
        return x, model(x)


def transcoder(model, skip=False, length=0.8):
    """SAELens' transcoder of the MLP: its own weights, a decoder that is shorter, and noise on the encoder."""
    make, config = sae_lens.Transcoder, sae_lens.TranscoderConfig
    if skip:
        make, config = sae_lens.SkipTranscoder, sae_lens.SkipTranscoderConfig
    made = make(config(d_in=D, d_out=D_OUT, d_sae=D_SAE, apply_b_dec_to_input=False))
    with torch.no_grad():
        made.W_enc.copy_(model[0].weight.T + 0.02 * random(D, D_SAE, seed=5))
        made.b_enc.copy_(model[0].bias)
        made.W_dec.copy_(length * model[2].weight.T)
        made.b_dec.copy_(model[2].bias)
        if skip:
            made.W_skip.copy_(0.02 * random(D_OUT, D, seed=6))
    return made.eval()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "skip"])
def made(request, model):
    return transcoder(model, request.param)


@pytest.fixture(scope="module")
def files(pair, model, tmp_path_factory):
    """x.npy, y.npy, ids.npy, and a transcoder that SAELens saved."""
    folder = tmp_path_factory.mktemp("transcoder")
    np.save(folder / "x.npy", pair[0].numpy())
    np.save(folder / "y.npy", pair[1].numpy())
    np.save(folder / "ids.npy", np.arange(N) // 30)
    transcoder(model).save_model(folder / "transcoder")
    return folder


def command(files, *more, name="measure") -> list[str]:
    given = ["--sae", files / "transcoder", "--activations", files / "x.npy", "--targets", files / "y.npy"]
    options = ["--documents", files / "ids.npy", "--device", "cpu", "--batch-size", 64, "--json", "-"]
    return [*map(str, [name, *given, *options, *more])]


# --- the numbers ------------------------------------------------------------------------------------------------------


def test_gamma_is_that_of_the_target_and_what_the_transcoder_makes_of_x(made, pair):
    x, y = pair
    with torch.no_grad():
        y_hat = made(x).double()
    report = measure(made, x, targets=y, device="cpu")
    by_hand = (y_hat.square().sum() / (y.double() * y_hat).sum()).item()
    assert report.raw["relative_reconstruction_bias"].value == pytest.approx(by_hand, rel=1e-6)
    assert by_hand < 0.9
    t, u = (vectors.double() - vectors.double().mean(0) for vectors in (y, y_hat))
    centred = report.centred["relative_reconstruction_bias"].value
    assert centred == pytest.approx((u.square().sum() / (t * u).sum()).item(), rel=1e-6)
    t, u = y.double() - made.b_dec.detach().double(), y_hat - made.b_dec.detach().double()
    about = report.origins["decoder_bias"]["relative_reconstruction_bias"].value
    assert about == pytest.approx((u.square().sum() / (t * u).sum()).item(), rel=1e-6)
    assert report.l0 == pytest.approx((made.encode(x) > 0).double().sum(1).mean().item())
    assert (report.law is None) == hasattr(made, "W_skip")


def test_every_measure_is_that_of_the_pair(made, pair):
    x, y = pair
    with torch.no_grad():
        pairs = measure_pairs(y, made(x), published=500, directions=(3, 7), name="Transcoder")
    report = measure(made, x, targets=y, device="cpu", published=500, directions=(3, 7))
    for origin in ("raw", "centred"):
        for key, estimate in pairs.origins[origin].items():
            assert report.origins[origin][key].value == pytest.approx(estimate.value, rel=1e-6), key
    assert report.published["sparsify"] == pytest.approx(pairs.published["sparsify"], rel=1e-5)
    for ours, theirs in zip(report.directions.bands, pairs.directions.bands, strict=True):
        key = "relative_reconstruction_bias"
        assert ours.estimates[key].value == pytest.approx(theirs.estimates[key].value, rel=1e-4)


def test_a_latent_s_best_factor_is_that_for_the_target(pair, model):
    x, y = pair
    made = transcoder(model)
    latents = measure(made, x, targets=y, device="cpu", latents=True).latents
    with torch.no_grad():
        part = made.encode(x)[:, :1] * made.W_dec[0]
        rest = y - made(x)
    expected = 1 + ((part * rest).sum() / part.square().sum()).item()
    assert latents.scale_factors()[0].item() == pytest.approx(expected, rel=1e-4)


def test_a_checkpoint_an_object_a_function_and_a_stream_agree(files, pair, model):
    x, y = pair
    made = transcoder(model)
    expected = measure(files / "transcoder", files / "x.npy", targets=files / "y.npy", device="cpu").raw

    def by_function(x):
        with torch.no_grad():
            return made(x)

    for sae, read, targets in (
        (made, x, y),
        (by_function, x, y),
        (checkpoints.load(files / "transcoder"), x.reshape(30, 100, D), y.numpy().reshape(30, 100, D_OUT)),
        (made, list(x.split(700)), list(y.split(400))),
    ):
        report = measure(sae, read, targets=targets, device="cpu")
        for key, estimate in expected.items():
            assert report.raw[key].value == pytest.approx(estimate.value, rel=1e-6), key


def test_memory_that_runs_short_changes_nothing(pair, model):
    x, y = pair
    made = transcoder(model)
    source = with_targets(activations(x), y)
    whole, pieces = (Forward(made, "cpu", "float32", tokens=tokens) for tokens in (None, 7))
    rows = source.sample(100)
    for forward in (whole, pieces):
        forward.read_from(source)
        with torch.no_grad():
            forward.try_on(rows)
    with torch.no_grad():
        for ours, theirs in zip(whole(rows), pieces(rows), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_a_token_whose_x_is_not_finite_is_not_measured_by_its_bias(pair, model):
    x, y = pair
    x = x.clone()
    x[5, 3] = torch.nan  # no pre-activation exceeds a threshold then, and ŷ would be b_dec
    weights = random(D, D_SAE), random(D_SAE, D_OUT, seed=1), torch.ones(D_OUT)
    jump = SAE(*weights, activation=JumpReLU(torch.ones(D_SAE)), subtract_b_dec=False, transcodes=True)
    for made in (jump, transcoder(model)):
        with pytest.raises(InputError, match="1 of 3000 tokens of x have a NaN"):
            measure(made, x, targets=y, device="cpu")
        assert measure(made, x, targets=y, device="cpu", drop_nonfinite=True).dropped == 1


# --- what the report says ---------------------------------------------------------------------------------------------


def test_the_report_says_what_is_compared(files):
    done = sandbox(*command(files))
    entry = report_of(done)
    assert entry["targets"] == str(files / "y.npy")
    assert "transcoder" in entry["sae"]
    shown = sandbox(*[word for word in command(files) if word not in ("--json", "-")])
    assert f"ŷ against targets {files / 'y.npy'}" in " ".join(shown.stdout.split())
    assert "than the targets" in " ".join(shown.stdout.split())


def test_an_sae_s_report_does_not_mention_targets():
    report = measure("embedded:minilm-relu", "embedded:activations", device="cpu", documents="embedded:documents")
    assert report.targets == ""
    assert "targets" not in report.to_dict()
    assert "targets" not in str(report)


def test_activations_in_another_space_are_found_for_a_transcoder_too(pair, model):
    x, y = pair
    made = transcoder(model, length=0.97)
    assert look(made, x, targets=y, device="cpu") == []
    finding = look(made, x / 20, targets=y, device="cpu")[0]
    assert finding.key == "scale"
    assert "times the variance of y" in finding.message
    shuffled = y[torch.randperm(N, generator=torch.Generator().manual_seed(0))]
    assert [finding.key for finding in look(made, x, targets=shuffled, device="cpu")] == ["loss"]


# --- refusals ---------------------------------------------------------------------------------------------------------


def refused(words, *arguments):
    done = sandbox(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.strip().count("\n") == 0


def test_what_does_not_fit_is_refused_in_one_line(files):
    both = ["--activations", files / "x.npy", "--targets", files / "y.npy"]
    sae = ["measure", "--sae", files / "transcoder"]
    refused("is a transcoder: its output reconstructs other activations", *sae, "--activations", files / "x.npy")
    refused("give these as targets, with --targets", "rescale", *sae[1:], *both[:2], "--out", files / "none")
    refused("is an SAE, which reconstructs the activations that it reads", *sae[:2], "embedded:minilm-relu", *both)
    np.save(files / "short.npy", np.zeros((N - 1, D_OUT), np.float32))
    refused(f"{N - 1} tokens of dimension {D_OUT}: they must agree", *sae, *both[:3], files / "short.npy")
    refused("of dimension 20, but", *sae, *both[:3], files / "x.npy")
    refused("reads activations of dimension 24, but", *sae, "--activations", files / "y.npy", *both[2:])
    refused("--targets needs --activations", *sae, "--model", "m", "--text", "t", "--layer", "1", *both[2:])
    refused("--target-hook needs --model", *sae, *both[:2], "--target-hook", "layers.1.mlp")
    refused("is an input and would be overwritten", *sae, *both, "--csv", files / "y.npy")


def test_targets_of_other_documents_are_refused(pair, model):
    x, y = pair
    ids = np.arange(N) // 30
    ours = [(x[:1500], ids[:1500]), (x[1500:], ids[1500:])]
    assert measure(transcoder(model), ours, targets=[(y, ids)], device="cpu").documents == 100
    with pytest.raises(InputError, match="activations and targets hold different documents"):
        measure(transcoder(model), ours, targets=[(y, ids + 1)], device="cpu")


def test_a_function_of_another_width_says_what_is_needed(pair):
    x, y = pair
    with pytest.raises(InputError, match=r"must return ŷ of shape \(\d+, 20\), as the targets have"):
        measure(lambda x: x, x, targets=y, device="cpu")
    with pytest.raises(InputError, match="already has targets"):
        measure(lambda x: x[:, :D_OUT], with_targets(activations(x), y), targets=y, device="cpu")


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_resumes_and_two_processes_give_the_same(files, tmp_path):
    whole = report_of(sandbox(*command(files)))
    state = ["--checkpoint", tmp_path / "state"]
    for _ in range(2):
        assert_same(report_of(sandbox(*command(files, *state))), whole)
    np.save(files / "other.npy", np.load(files / "y.npy"))
    other = [str(files / "other.npy") if word.endswith("y.npy") else word for word in command(files, *state)]
    assert "is the state of another run" in sandbox(*other).stderr
    done = by_torchrun(2, command(files))
    assert_same(report_of(done), whole, tolerance=1e-6)


@pytest.mark.parametrize("kind", ["scalar", "scale-shift", "per-latent", "joint", "decoder"])
def test_rescaling_brings_the_output_closer_to_the_target(kind, made, pair, tmp_path):
    x, y = pair
    correction = rescale(made, x, targets=y, kind=kind, documents=np.arange(N) // 30, device="cpu")
    assert correction.before.gamma.value < 0.85
    assert correction.after.gamma.value == pytest.approx(1, abs=0.01)
    if kind == "scalar":
        skipped = 0 if not hasattr(made, "W_skip") else x @ made.W_skip.detach().T
        with torch.no_grad():
            t, u = y - made.b_dec - skipped, made(x) - made.b_dec - skipped
        assert correction.factor.item() == pytest.approx(((t * u).sum() / u.square().sum()).item(), rel=0.01)
    correction.write(tmp_path / "out")
    after = measure(tmp_path / "out", x, targets=y, device="cpu").raw["relative_loss"].value
    assert after < measure(made, x, targets=y, device="cpu").raw["relative_loss"].value / 2
    assert "ŷ against targets targets" in correction.in_words()


def test_the_command_rescales_a_transcoder(files, tmp_path):
    done = sandbox(*command(files, "--out", tmp_path / "out", name="rescale"))
    assert done.returncode == 0, done.stderr
    correction = json.loads(done.stdout)
    assert correction["targets"] == str(files / "y.npy")
    assert correction["factor"]["mean"] == pytest.approx(1.25, abs=0.03)


# --- a live model -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    """The folder of a small random Llama, and its text."""
    folder = save_model(tmp_path_factory.mktemp("llama"), "llama")
    text = folder / "text.txt"
    text.write_text("\n\n".join(make_texts()) + "\n", encoding="utf-8")
    return folder, text


@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_live_model_gives_what_a_module_reads_and_what_it_outputs(language_model, prefix):
    folder, text = language_model
    mlp = f"{prefix}layers.1.mlp"
    source = live(folder, None, text, hook=f"{mlp}.input", target_hook=f"{mlp}.output", context=12, device="cpu")
    assert (source.width, source.targets.start, source.targets.name) == (64, 32, "layers.1.mlp")
    part = source._tap.model.get_submodule("layers.1.mlp")
    (chunk,) = source.chunks(10**6)
    with torch.no_grad():
        torch.testing.assert_close(part(chunk.x[:, :32]), chunk.x[:, 32:], rtol=1e-5, atol=1e-6)
    alone = next(iter(live(folder, None, text, hook=mlp, context=12, device="cpu").chunks(10**6)))
    torch.testing.assert_close(chunk.x[:, 32:], alone.x, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(chunk.documents, alone.documents)


def test_a_target_may_come_before_the_input_and_a_layer_be_the_input(language_model):
    folder, text = language_model
    options = {"context": 12, "device": "cpu"}
    later = live(folder, 0, text, target_hook="layers.2.mlp", **options)
    before = live(folder, None, text, hook="layers.2.mlp", target_hook="layers.0", **options)
    first, second = (next(iter(source.chunks(10**6))).x for source in (later, before))
    torch.testing.assert_close(first[:, :32], second[:, 32:], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(first[:, 32:], second[:, :32], rtol=1e-5, atol=1e-6)


def test_the_command_measures_a_transcoder_of_a_live_model(language_model, tmp_path):
    folder, text = language_model
    sae_lens.Transcoder(sae_lens.TranscoderConfig(d_in=32, d_out=32, d_sae=64, apply_b_dec_to_input=False)).save_model(
        tmp_path / "transcoder"
    )
    given = ["measure", "--sae", tmp_path / "transcoder", "--model", folder, "--text", text, "--context", "12"]
    taps = ["--hook", "layers.1.mlp.input", "--target-hook", "layers.1.mlp"]
    done = sandbox(*given, *taps, "--device", "cpu", "--json", "-")
    assert report_of(done)["targets"] == "layers.1.mlp"
    refused("give these as targets", *given, *taps[:2])
    refused("the model has no module 'layers.9.mlp'", *given, *taps[:3], "layers.9.mlp")


def test_targets_of_another_module_than_the_settings_say_are_found(language_model):
    folder, text = language_model
    made = sae_lens.Transcoder(sae_lens.TranscoderConfig(d_in=32, d_out=32, d_sae=64, apply_b_dec_to_input=False))
    made.cfg.metadata.hook_name, made.cfg.metadata.hook_name_out = (
        "blocks.1.ln2.hook_normalized",
        "blocks.1.hook_mlp_out",
    )

    def hooks(target):
        source = live(folder, None, text, hook="layers.1.mlp.input", target_hook=target, context=12, device="cpu")
        return [finding.message for finding in look(made, source, device="cpu") if finding.key == "hook"]

    assert hooks("layers.1.mlp") == []
    (message,) = hooks("layers.2.mlp")
    assert "a transcoder of the output of the MLP of block 1" in message
    assert "but the targets are the output of the MLP of block 2" in message
