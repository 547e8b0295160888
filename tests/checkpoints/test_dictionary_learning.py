"""Checkpoints that dictionary_learning writes are computed as it computes them; whatever else is there is refused."""

import io
import json
import shutil
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch

from sandbox import checkpoints
from sandbox.data import embedded
from sandbox.errors import InputError

with warnings.catch_warnings():  # the library's own imports warn, and nobody here can mend that
    warnings.simplefilter("ignore")
    from dictionary_learning import trainers
    from dictionary_learning.dictionary import AutoEncoder, AutoEncoderNew, GatedAutoEncoder, JumpReluAutoEncoder
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE, MatryoshkaBatchTopKTrainer
    from dictionary_learning.trainers.top_k import AutoEncoderTopK
    from dictionary_learning.training import trainSAE
    from dictionary_learning.utils import load_dictionary

D_IN, D_SAE, K = 12, 40, 5
WITHOUT_WARMUP = {"warmup_steps": 0, "sparsity_warmup_steps": None}
TRAINERS = {
    "AutoEncoder": (trainers.StandardTrainer, WITHOUT_WARMUP),
    "AutoEncoderNew": (trainers.PAnnealTrainer, {**WITHOUT_WARMUP, "anneal_start": 0, "dict_class": AutoEncoderNew}),
    "GatedAutoEncoder": (trainers.GatedSAETrainer, WITHOUT_WARMUP),
    "JumpReluAutoEncoder": (trainers.JumpReluTrainer, WITHOUT_WARMUP),
    "AutoEncoderTopK": (trainers.TopKTrainer, {"warmup_steps": 0, "k": K}),
    "BatchTopKSAE": (trainers.BatchTopKTrainer, {"warmup_steps": 0, "k": K}),
    "MatryoshkaBatchTopKSAE": (
        MatryoshkaBatchTopKTrainer,
        {"warmup_steps": 0, "k": K, "group_fractions": [0.25, 0.25, 0.5]},
    ),
}
CLASSES = {
    one.__name__: one
    for one in (
        *(AutoEncoder, AutoEncoderNew, GatedAutoEncoder, JumpReluAutoEncoder),
        *(AutoEncoderTopK, trainers.BatchTopKSAE, MatryoshkaBatchTopKSAE),
    )
}
ARCHITECTURES = dict(
    zip(TRAINERS, ("standard", "standard", "gated", "jumprelu", "topk", "jumprelu", "jumprelu"), strict=True)
)
ALONE = ("AutoEncoder", "GatedAutoEncoder", "MatryoshkaBatchTopKSAE")
"""Whose tensors are of no other class, here or in another library."""


def tokens(n: int = 300) -> torch.Tensor:
    return torch.randn(n, D_IN, generator=torch.Generator().manual_seed(1))


def trainer_of(name: str):
    """The library's trainer, whose dictionary has a random, non-trivial value in every tensor."""
    make, options = TRAINERS[name]
    trainer = make(
        steps=10, activation_dim=D_IN, dict_size=D_SAE, layer=3, lm_name="none", device="cpu", seed=0, **options
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in trainer.ae.parameters():
            weights.copy_(0.3 * torch.randn(weights.shape, generator=generator))
        if hasattr(trainer.ae, "k"):  # its threshold is one number, and no parameter
            trainer.ae.threshold.fill_(0.45)
    return trainer


def written_by_the_library(folder: Path, name: str):
    """A checkpoint as trainSAE writes it (training.py: config, and ae.state_dict()), and the dictionary in it."""
    trainer = trainer_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"trainer": trainer.config, "buffer": {"d_submodule": D_IN, "io": "out"}}
    config["trainer"]["dict_class"] = name  # PAnnealTrainer writes AutoEncoder, whatever it was given
    (folder / "config.json").write_text(json.dumps(config, indent=4))
    torch.save({key: tensor.cpu() for key, tensor in trainer.ae.state_dict().items()}, folder / "ae.pt")
    return trainer.ae


def loaded_by_the_library(folder: Path):
    with redirect_stdout(io.StringIO()):  # from_pretrained says that it normalises
        return load_dictionary(str(folder), device="cpu")[0]


def agree(ours, theirs, x=None):
    x = tokens() if x is None else x
    with torch.no_grad():
        # float32 sums of 12 and 40 products of order 1, in another order
        torch.testing.assert_close(ours.encode(x), theirs.encode(x), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=2e-6)
        on = (ours.encode(x) > 0).float().mean()
    assert 0.01 < on < 0.9  # something to compare, and some of it off


@pytest.mark.parametrize("name", TRAINERS)
def test_latents_and_reconstruction_are_the_librarys(name, tmp_path):
    theirs = written_by_the_library(tmp_path, name)
    read = checkpoints.read(tmp_path)
    agree(read.sae, theirs)
    assert read.describe().startswith(f"dictionary_learning {ARCHITECTURES[name]}")
    assert name in read.describe()
    with torch.no_grad():  # also as the library reads its own file: normalising an AutoEncoder moves latents, not x̂
        torch.testing.assert_close(read.sae(tokens()), loaded_by_the_library(tmp_path)(tokens()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", TRAINERS)
def test_a_new_decoder_is_written_so_that_the_library_reconstructs_with_it(name, tmp_path):
    written_by_the_library(tmp_path / "in", name)
    read = checkpoints.read(tmp_path / "in")
    W_dec = read.sae.W_dec * (1 + torch.rand(D_SAE, 1, generator=torch.Generator().manual_seed(2)))
    b_dec = read.sae.b_dec + torch.randn(D_IN, generator=torch.Generator().manual_seed(3))
    read.write(tmp_path / "out", W_dec, b_dec)
    changed = read.sae.with_decoder(W_dec, b_dec)
    x = tokens()
    with torch.no_grad():
        expected, latents = changed(x), read.sae.encode(x)
        # a shifted bias is taken back in float32: latents near their threshold aside, which none of these is
        torch.testing.assert_close(loaded_by_the_library(tmp_path / "out")(x), expected, rtol=1e-5, atol=1e-5)
        again = checkpoints.load(tmp_path / "out")
        torch.testing.assert_close(again(x), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(again.encode(x), latents, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(expected, read.sae(x), atol=0.1)


@pytest.mark.parametrize("name", ["GatedAutoEncoder", "JumpReluAutoEncoder", "BatchTopKSAE", "MatryoshkaBatchTopKSAE"])
def test_what_is_exactly_at_its_threshold_is_off_as_in_the_library(name, tmp_path):
    """Small whole numbers, so that every sum is exact and many pre-activations are equal to their threshold."""
    theirs = trainer_of(name).ae
    with torch.no_grad():
        for weights in theirs.parameters():
            weights.mul_(4).round_()
        if name == "GatedAutoEncoder":
            theirs.r_mag.zero_()
            theirs.mag_bias.fill_(50)  # so that the gate alone decides
        else:
            theirs.threshold.fill_(2)
        written_by_the_library(tmp_path, name)
        torch.save(theirs.state_dict(), tmp_path / "ae.pt")
        ours, x = checkpoints.load(tmp_path), tokens().round()
        pre_acts = (x - ours.b_dec * ours.subtract_b_dec) @ ours.W_enc
        at = pre_acts + ours.activation.b_gate == 0 if name == "GatedAutoEncoder" else pre_acts + ours.b_enc == 2
        assert at.any()
        assert torch.equal(ours.encode(x), theirs.encode(x))
        assert not ours.encode(x)[at].any()


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("name", ["AutoEncoder", "GatedAutoEncoder", "JumpReluAutoEncoder", "AutoEncoderTopK"])
def test_what_a_training_of_the_library_leaves_is_read(name, normalised, tmp_path, capsys):
    make, options = TRAINERS[name]
    settings = {"steps": 4, "activation_dim": D_IN, "dict_size": D_SAE, "layer": 3, "lm_name": "none", "seed": 0}
    trainSAE(
        [7 * tokens(64) for _ in range(5)],
        [{"trainer": make, "device": "cpu", **settings, **options}],
        steps=4,
        save_steps=[2],
        save_dir=str(tmp_path),
        normalize_activations=normalised,
        device="cpu",
    )
    ours = checkpoints.load(tmp_path)  # the run's folder, with its one trainer
    theirs = CLASSES[name].from_pretrained(tmp_path / "trainer_0" / "ae.pt")
    with torch.no_grad():
        torch.testing.assert_close(ours(7 * tokens()), theirs(7 * tokens()), rtol=1e-5, atol=1e-5)
    on_the_way = checkpoints.read(tmp_path / "trainer_0" / "checkpoints" / "ae_2.pt")
    theirs = CLASSES[name].from_pretrained(tmp_path / "trainer_0" / "checkpoints" / "ae_2.pt")
    with torch.no_grad():
        torch.testing.assert_close(on_the_way.sae(7 * tokens()), theirs(7 * tokens()), rtol=1e-5, atol=1e-5)
    with pytest.raises(InputError, match="is one folder up"):
        on_the_way.write(tmp_path / "out", on_the_way.sae.W_dec, on_the_way.sae.b_dec)
    capsys.readouterr()


@pytest.mark.parametrize("name", [name for name in TRAINERS if name != "AutoEncoderNew"])
def test_a_backup_of_a_training_is_read_as_it_would_have_been_saved(name, tmp_path):
    trainer = trainer_of(name)  # AutoEncoderNew has no scale_biases, so trainSAE does not normalise for it
    held = {"step": 3, "ae": trainer.ae.state_dict(), "optimizer": trainer.optimizer.state_dict()}
    torch.save(held | {"config": trainer.config, "norm_factor": 2.5}, tmp_path / "ae.pt")
    read = checkpoints.read(tmp_path)
    with torch.no_grad():
        expected = 2.5 * trainer.ae(tokens() / 2.5)  # in the space that it is being trained in
        torch.testing.assert_close(read.sae(tokens()), expected, rtol=1e-5, atol=1e-5)
        trainer.ae.scale_biases(2.5)
    agree(read.sae, trainer.ae)
    assert "multiplied by norm_factor 2.5" in read.describe()
    with pytest.raises(InputError, match="can be read, but not written"):
        read.write(tmp_path / "out", read.sae.W_dec, read.sae.b_dec)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", TRAINERS)
def test_tensors_alone_name_their_class_only_beyond_doubt(name, tmp_path):
    theirs = written_by_the_library(tmp_path, name)
    (tmp_path / "config.json").unlink()
    (tmp_path / "ae.pt").rename(tmp_path / "mine.pt")
    if name in ALONE:
        read = checkpoints.read(tmp_path / "mine.pt")
        agree(read.sae, theirs)
        read.write(tmp_path / "out", 2 * read.sae.W_dec, read.sae.b_dec)
        torch.testing.assert_close(checkpoints.load(tmp_path / "out" / "mine.pt").W_dec, 2 * read.sae.W_dec)
    else:
        with pytest.raises(InputError, match=f"may be those of .*{name}") as refused:
            checkpoints.load(tmp_path / "mine.pt")
        assert "\n" not in str(refused.value)


def test_what_a_topk_sae_computes_does_not_depend_on_its_threshold(tmp_path):
    theirs = written_by_the_library(tmp_path, "AutoEncoderTopK")
    weights = torch.load(tmp_path / "ae.pt")
    torch.save(weights | {"threshold": torch.tensor(torch.inf)}, tmp_path / "ae.pt")
    agree(checkpoints.load(tmp_path), theirs)


def test_a_topk_sae_from_before_k_was_stored_is_read_with_the_configurations(tmp_path):
    theirs = written_by_the_library(tmp_path, "AutoEncoderTopK")
    weights_with(lambda w: (w.pop("k"), w.pop("threshold")))(tmp_path)
    agree(checkpoints.load(tmp_path), theirs)
    trainer_with(k=None)(tmp_path)
    with pytest.raises(InputError, match=f"k is None; a whole number from 1 to d_sae = {D_SAE}"):
        checkpoints.load(tmp_path)


def test_the_earlier_spelling_of_matryoshka_is_known(tmp_path):
    theirs = written_by_the_library(tmp_path, "MatryoshkaBatchTopKSAE")
    trainer_with(dict_class="MatroyshkaBatchTopKSAE", trainer_class="MatroyshkaBatchTopKTrainer")(tmp_path)
    agree(checkpoints.load(tmp_path), theirs)


def test_a_configuration_from_before_classes_were_named_leaves_it_to_the_tensors(tmp_path):
    theirs = written_by_the_library(tmp_path, "AutoEncoder")
    trainer_with(dict_class=None)(tmp_path)
    agree(checkpoints.load(tmp_path), theirs)
    trainer_with(dict_size=39)(tmp_path)
    with pytest.raises(InputError, match="dict_size is 39, but 40 in the weights"):
        checkpoints.load(tmp_path)


def test_a_compiled_dictionary_is_read_and_written_under_its_names(tmp_path):
    theirs = written_by_the_library(tmp_path / "in", "GatedAutoEncoder")
    compiled = {f"_orig_mod.{name}": tensor for name, tensor in theirs.state_dict().items()}
    torch.save(compiled, tmp_path / "in" / "ae.pt")
    read = checkpoints.read(tmp_path / "in")
    agree(read.sae, theirs)
    read.write(tmp_path / "out", 2 * read.sae.W_dec, read.sae.b_dec)
    written = torch.load(tmp_path / "out" / "ae.pt")
    assert set(written) == set(compiled)
    torch.testing.assert_close(written["_orig_mod.decoder.weight"], 2 * compiled["_orig_mod.decoder.weight"])


def test_bfloat16_weights_are_read_as_the_library_reads_them(tmp_path):
    theirs = written_by_the_library(tmp_path, "BatchTopKSAE")
    weights_with(lambda w: w.update({k: t.bfloat16() for k, t in w.items() if t.is_floating_point()}))(tmp_path)
    theirs.load_state_dict(torch.load(tmp_path / "ae.pt"))
    agree(checkpoints.load(tmp_path), theirs)


def trainer_with(**changes):
    def change(folder):
        path = folder / "config.json"
        config = json.loads(path.read_text())
        config["trainer"] |= changes
        path.write_text(json.dumps(config))

    return change


def weights_with(change):
    def rewrite(folder):
        weights = dict(torch.load(folder / "ae.pt"))
        change(weights)
        torch.save(weights, folder / "ae.pt")

    return rewrite


def unset(*names):
    return weights_with(lambda w: [w.pop(name) for name in names])


def backup(**changes):
    def rewrite(folder):
        config = json.loads((folder / "config.json").read_text())["trainer"]
        held = {"step": 0, "ae": torch.load(folder / "ae.pt"), "optimizer": {}, "config": config, "norm_factor": 2.0}
        torch.save(held | changes, folder / "ae.pt")

    return rewrite


DAMAGE = {
    "no weights": ("AutoEncoder", lambda f: (f / "ae.pt").unlink(), r"no supported layout \(found: config.json\)"),
    "not JSON": ("AutoEncoder", lambda f: (f / "config.json").write_text("{"), "cannot be read as JSON"),
    "a list": ("AutoEncoder", lambda f: (f / "config.json").write_text("[]"), "holds a list"),
    "not a pickle": ("AutoEncoder", lambda f: (f / "ae.pt").write_bytes(b"x" * 99), "cannot be read as weights only"),
    "another class": ("AutoEncoder", trainer_with(dict_class="CrossCoder"), "dict_class is 'CrossCoder'; supported"),
    "no class": ("BatchTopKSAE", trainer_with(dict_class=None), "no configuration names its class"),
    "a class of more tensors": (
        "AutoEncoder",
        trainer_with(dict_class="AutoEncoderTopK"),
        "dict_class is 'AutoEncoderTopK', but the tensors are those of AutoEncoder;",
    ),
    "a class of others": ("AutoEncoderNew", trainer_with(dict_class="AutoEncoder"), "are those of AutoEncoderNew"),
    "jumprelu as relu": ("JumpReluAutoEncoder", trainer_with(dict_class="AutoEncoder"), "those of JumpReluAutoEnc"),
    "batchtopk as relu": ("BatchTopKSAE", trainer_with(dict_class="AutoEncoder"), "AutoEncoderTopK or BatchTopKSAE"),
    "matryoshka as batchtopk": ("MatryoshkaBatchTopKSAE", trainer_with(dict_class="BatchTopKSAE"), "those of Matryo"),
    "batchtopk as topk": ("BatchTopKSAE", trainer_with(dict_class="AutoEncoderTopK"), "contradict each other"),
    "topk as batchtopk": ("AutoEncoderTopK", trainer_with(dict_class="BatchTopKSAE"), "contradict each other"),
    "jumprelu without threshold": (
        "JumpReluAutoEncoder",
        unset("threshold"),
        "holds W_dec, W_enc, b_dec, b_enc, but no threshold",
    ),
    "batchtopk without threshold": ("BatchTopKSAE", unset("threshold"), "BatchTopKSAE, has exactly"),
    "batchtopk of 2024": ("BatchTopKSAE", unset("k", "threshold"), "BatchTopKSAE, has exactly"),
    "topk without k": ("AutoEncoderTopK", unset("k"), "AutoEncoderTopK, has exactly"),
    "threshold never set": (
        "BatchTopKSAE",
        weights_with(lambda w: w["threshold"].fill_(-1.0)),
        "threshold is -1: training ended before it was set",
    ),
    "matryoshka's never set": (
        "MatryoshkaBatchTopKSAE",
        weights_with(lambda w: w["threshold"].fill_(-1.0)),
        "threshold is -1: training ended before it was set",
    ),
    "one threshold for all": (
        "JumpReluAutoEncoder",
        weights_with(lambda w: w.update(threshold=torch.tensor(0.1))),
        r"threshold is .* shape \(40,\)",
    ),
    "a threshold each": (
        "BatchTopKSAE",
        weights_with(lambda w: w.update(threshold=torch.ones(40))),
        r"threshold is .* shape \(\)",
    ),
    "a tensor too many": (
        "AutoEncoder",
        weights_with(lambda w: w.update(extra=torch.ones(2))),
        "extra may change x̂: its class, AutoEncoder, has exactly bias",
    ),
    "an AutoEncoder without bias": ("AutoEncoder", unset("bias"), "AutoEncoder, has exactly bias"),
    "a shape that does not fit": (
        "AutoEncoder",
        weights_with(lambda w: w.update({"encoder.bias": torch.ones(39)})),
        r"encoder.bias is .* \(39,\)",
    ),
    "transposed": (
        "AutoEncoder",
        weights_with(lambda w: w.update({"decoder.weight": w["decoder.weight"].T})),
        r"decoder.weight is .* \(40, 12\)",
    ),
    "no matrix": (
        "AutoEncoder",
        weights_with(lambda w: w.update({"encoder.weight": torch.ones(3)})),
        r"encoder.weight is torch.float32 of shape \(3,\), but",
    ),
    "no tensor": (
        "AutoEncoder",
        weights_with(lambda w: w.update({"encoder.weight": 3})),
        "encoder.weight is 3, but the other weights",
    ),
    "nan": ("AutoEncoder", weights_with(lambda w: w["bias"].fill_(torch.nan)), "bias holds a NaN"),
    "whole numbers": (
        "AutoEncoder",
        weights_with(lambda w: w.update(bias=torch.ones(12).long())),
        "bias is torch.int6",
    ),
    "another d_sae": ("AutoEncoder", trainer_with(dict_size=41), "dict_size is 41, but 40 in the weights"),
    "another d_in": ("AutoEncoder", trainer_with(activation_dim=13), "activation_dim is 13, but 12 in the weights"),
    "another k": ("AutoEncoderTopK", trainer_with(k=6), "k is 6, but 5 in the weights"),
    "half a latent": (
        "AutoEncoderTopK",
        weights_with(lambda w: w.update(k=torch.tensor(2.5))),
        "k is torch.float32 of shape .* require whole numbers",
    ),
    "more latents than there are": (
        "AutoEncoderTopK",
        lambda f: (weights_with(lambda w: w["k"].fill_(41))(f), trainer_with(k=41)(f)),
        "k is 41; a whole number from 1",
    ),
    "groups of the configuration": (
        "MatryoshkaBatchTopKSAE",
        trainer_with(group_sizes=[20, 20]),
        r"group_sizes is \[20, 20\], but \[10, 10, 20\] in the weights",
    ),
    "groups that leave latents out": (
        "MatryoshkaBatchTopKSAE",
        lambda f: (weights_with(lambda w: w["group_sizes"].fill_(10))(f), trainer_with(group_sizes=[10, 10, 10])(f)),
        r"group_sizes are \[10, 10, 10\], but must be positive and add up to 40",
    ),
    "normalised outside": ("AutoEncoder", trainer_with(norm_factor=3.0), "norm_factor is 3.0, which may change x̂"),
    "bias subtracted": ("JumpReluAutoEncoder", trainer_with(apply_b_dec_to_input=True), "apply_b_dec_to_input is True"),
    "a transcoder": (
        "AutoEncoder",
        lambda f: (f / "config.json").write_text((f / "config.json").read_text().replace('"out"', '"in_and_out"')),
        "a transcoder",
    ),
    "a backup without factor": (
        "AutoEncoder",
        backup(norm_factor=None),
        "its config and a positive norm_factor; norm_factor is None",
    ),
    "a backup of another class": ("AutoEncoder", backup(config={"dict_class": "X"}), "'X' in the backup"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_exactly_the_layout_is_refused_in_one_line(damage, tmp_path):
    name, harm, line = DAMAGE[damage]
    written_by_the_library(tmp_path, name)
    checkpoints.load(tmp_path)
    harm(tmp_path)
    with pytest.raises(InputError, match=line) as refused:
        checkpoints.load(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_pickled_dictionary_is_refused_before_it_runs_code(tmp_path):
    theirs = written_by_the_library(tmp_path, "AutoEncoder")
    torch.save(theirs, tmp_path / "ae.pt")
    with pytest.raises(InputError, match=r"as weights only .* save it with torch.save\(sae.state_dict\(\)"):
        checkpoints.load(tmp_path / "ae.pt")
    (tmp_path / "config.json").unlink()
    with pytest.raises(InputError, match="as weights only"):
        checkpoints.load(tmp_path)


def test_several_trainers_are_a_choice_that_the_user_makes(tmp_path):
    theirs = written_by_the_library(tmp_path / "trainer_0", "AutoEncoder")
    agree(checkpoints.load(tmp_path), theirs)
    theirs = written_by_the_library(tmp_path / "trainer_1", "BatchTopKSAE")
    with pytest.raises(InputError, match=r"several SAEs: trainer_0/ae.pt \(dictionary_learning\) and trainer_1/ae.pt"):
        checkpoints.load(tmp_path)
    agree(checkpoints.load(tmp_path / "trainer_1"), theirs)


def test_a_folder_of_two_layouts_is_refused_and_a_file_of_it_read(tmp_path):
    theirs = written_by_the_library(tmp_path, "AutoEncoder")
    for file in embedded("minilm-relu").iterdir():
        shutil.copy(file, tmp_path)
    with pytest.raises(
        InputError, match=r"several SAEs: .*\(SAELens\) and ae.pt \(dictionary_learning\); name one of these files"
    ):
        checkpoints.load(tmp_path)
    agree(checkpoints.load(tmp_path / "ae.pt"), theirs)
    assert checkpoints.read(tmp_path / "sae_weights.safetensors").layout == "SAELens"


def test_other_state_dicts_are_left_to_other_layouts(tmp_path):
    torch.save({"pre_bias": torch.ones(2), "encoder.weight": torch.ones(3, 2)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="matches no supported layout"):
        checkpoints.load(tmp_path / "other.pt")
