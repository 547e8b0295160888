"""Live activations are what transformers gives for one context at a time, in order, without special tokens."""

import json
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from sandbox.activations.live import live
from sandbox.activations.live.texts import documents, text_files
from sandbox.errors import InputError
from sandbox.measuring.measure import measure
from tests.helpers.models import KINDS, SMALL, WORDS, make_texts, make_tokenizer, save_model

with warnings.catch_warnings():  # transformers' own imports may warn, and nobody here can mend that
    warnings.simplefilter("ignore")
    import transformers
    from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

CONTEXT = 12


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A small random model of each kind, and its tokenizer, saved by transformers."""
    return {kind: save_model(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(make_texts()) + "\n", encoding="utf-8")
    return path


def one_at_a_time(folder, layer: int, context: int = CONTEXT) -> tuple[torch.Tensor, np.ndarray]:
    """The slow way: the tokenizer itself cuts, nothing is padded, special tokens are left out by its own mask."""
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    cut = {"truncation": True, "max_length": context, "return_overflowing_tokens": True}
    found, ids = [], []
    for number, one in enumerate(make_texts()):
        encoded = tokenizer(one, return_special_tokens_mask=True, **cut)
        for tokens, special in zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True):
            with torch.no_grad():
                states = model(torch.tensor([tokens]), output_hidden_states=True).hidden_states
            found.append(states[layer + 1][0][~torch.tensor(special).bool()])
            ids.append(np.full(len(found[-1]), number))
    return torch.cat(found), np.concatenate(ids)


def whole(source, size: int = 50, start: int = 0, stop: int | None = None) -> tuple[torch.Tensor, np.ndarray]:
    chunks = list(source.chunks(size, start, stop))
    return torch.cat([one.x for one in chunks]), np.concatenate([one.documents for one in chunks])


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("name", KINDS)
def test_a_layer_is_transformers_hidden_state_of_each_context_alone(name, layer, folders, text):
    expected, ids = one_at_a_time(folders[name], layer)
    x, found = whole(live(folders[name], layer, text, context=CONTEXT, batch=4, device="cpu"))
    # Float32, summed in another order when a batch is padded; the states are of order 1.
    torch.testing.assert_close(x, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found, ids)
    assert found.dtype == np.int64


def test_the_last_layer_is_taken_before_the_final_norm(folders, text):
    expected, _ = one_at_a_time(folders["llama"], 2)
    x, _ = whole(live(folders["llama"], 2, text, context=CONTEXT, device="cpu"))
    with torch.no_grad():
        normed = AutoModel.from_pretrained(folders["llama"]).norm(x)
    torch.testing.assert_close(normed, expected, rtol=1e-5, atol=1e-5)
    assert (x - expected).abs().max() > 0.01


def test_bert_has_no_final_norm(folders, text):
    x, _ = whole(live(folders["bert"], 2, text, context=CONTEXT, device="cpu"))
    torch.testing.assert_close(x, one_at_a_time(folders["bert"], 2)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("name", KINDS)
def test_the_size_of_the_batch_changes_nothing_beyond_rounding(name, batch, folders, text):
    x, ids = whole(live(folders[name], 1, text, context=CONTEXT, batch=7, device="cpu"))
    other, other_ids = whole(live(folders[name], 1, text, context=CONTEXT, batch=batch, device="cpu"))
    torch.testing.assert_close(other, x, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(other_ids, ids)


def test_chunks_are_of_the_size_that_is_asked_for(folders, text):
    source = live(folders["bert"], 1, text, context=CONTEXT, batch=2, device="cpu")
    expected, ids = whole(source)
    for size in (1, 7, 32, 1000):
        chunks = list(source.chunks(size))
        assert [len(one.x) for one in chunks[:-1]] == [size] * (len(chunks) - 1)
        assert [len(one.documents) for one in chunks] == [len(one.x) for one in chunks]
        x, found = whole(source, size)
        assert torch.equal(x, expected)
        np.testing.assert_array_equal(found, ids)


def test_any_range_of_tokens_is_that_range_of_all_of_them_to_the_last_bit(folders, text):
    source = live(folders["llama"], 1, text, context=CONTEXT, batch=3, device="cpu")
    expected, ids = whole(source)
    for start, stop in [(0, 1), (5, 6), (17, 90), (90, None), (len(ids) - 1, None), (40, 10_000)]:
        x, found = whole(source, 16, start, stop)
        assert torch.equal(x, expected[start:stop])
        np.testing.assert_array_equal(found, ids[start:stop])
    assert list(source.chunks(16, len(ids))) == []


def test_ranges_of_three_processes_make_up_the_whole(folders, text):
    expected, ids = whole(live(folders["gpt2"], 1, text, context=CONTEXT, device="cpu"))
    parts = []
    for rank in range(3):
        source = live(folders["gpt2"], 1, text, context=CONTEXT, device="cpu")
        n = source.count()
        parts.append(whole(source, 20, rank * n // 3, (rank + 1) * n // 3))
    assert torch.equal(torch.cat([x for x, _ in parts]), expected)
    np.testing.assert_array_equal(np.concatenate([found for _, found in parts]), ids)


def test_tokens_before_the_start_are_not_computed(folders, text):
    source = live(folders["gpt2"], 0, text, context=CONTEXT, batch=1, device="cpu")
    n, read = source.count(), []

    def note(_module, _positional, given):
        read.append(given["input_ids"].numel())

    source._tap.model.register_forward_pre_hook(note, with_kwargs=True)
    whole(source, 10, n - 5)
    assert sum(read) <= 2 * CONTEXT
    for at in range(0, n, 9):  # one token is one context, in a window of several
        read.clear()
        whole(source, 1, at, at + 1)
        assert len(read) == 1
    read.clear()
    whole(source)
    assert sum(read) == n  # nothing is read twice, and with one context at a time nothing is padded


def test_the_tokens_are_known_once_they_are_counted_or_read(folders, text):
    source = live(folders["bert"], 0, text, context=CONTEXT, device="cpu")
    assert source.tokens is None
    list(source.chunks(10, 0, 20))
    assert source.tokens is None
    n = len(whole(source)[1])
    assert source.tokens == n
    other = live(folders["bert"], 0, text, context=CONTEXT, device="cpu")
    assert other.count() == other.tokens == n


def test_a_sample_is_the_first_tokens_and_leaves_the_rest_as_it_was(folders, text):
    source = live(folders["bert"], 0, text, context=CONTEXT, device="cpu")
    sample = source.sample(30)
    x, _ = whole(source)
    assert torch.equal(sample, x[:30])
    assert torch.equal(source.sample(10**6), x)
    assert source.width == 32


def test_a_report_on_live_activations_is_that_on_the_same_ones_from_a_file(folders, text):
    source = live(folders["llama"], 1, text, context=CONTEXT, device="cpu")
    x, ids = whole(source)
    of_text = measure(shrunk, live(folders["llama"], 1, text, context=CONTEXT, device="cpu"), batch_size=64)
    of_file = measure(shrunk, x, documents=ids, batch_size=64)
    assert of_text.tokens == of_file.tokens == len(ids)
    assert of_text.documents == of_file.documents == len(make_texts())
    assert of_text.raw == of_file.raw


def shrunk(x):
    """A reconstruction that is no multiple of x."""
    return 0.8 * x + 0.1 * x.abs()


def test_special_tokens_in_the_text_are_read_but_not_measured(folders, tmp_path):
    (tmp_path / "a.txt").write_text("the sea</s> is wide", encoding="utf-8")
    x, _ = whole(live(folders["llama"], 0, tmp_path / "a.txt", device="cpu"))
    tokenizer, model = AutoTokenizer.from_pretrained(folders["llama"]), AutoModel.from_pretrained(folders["llama"])
    ids = tokenizer("the sea</s> is wide", return_tensors="pt")["input_ids"]
    assert (ids == 2).any()
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states[1][0]
    torch.testing.assert_close(x, states[ids[0] > 2], rtol=1e-5, atol=1e-5)


def test_unknown_words_are_measured(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "words")
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "the": 1, "sea": 2}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
    (tmp_path / "a.txt").write_text("the grey sea", encoding="utf-8")
    assert live(folder, 0, tmp_path / "a.txt", device="cpu").count() == 3


def test_a_tokenizer_without_a_padding_token_pads_all_the_same(folders, text, tmp_path):
    folder = shutil.copytree(folders["llama"], tmp_path / "unpadded")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder).pad_token is None
    x, _ = whole(live(folder, 1, text, context=CONTEXT, device="cpu"))
    torch.testing.assert_close(x, one_at_a_time(folders["llama"], 1)[0], rtol=1e-5, atol=1e-5)


def test_token_types_are_fed_as_the_tokenizer_gives_them(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "typed")
    make_tokenizer("<s>:1 $A:0 </s>:1").save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    encoded = AutoTokenizer.from_pretrained(folder)("the grey sea", return_tensors="pt")
    assert encoded["token_type_ids"].sum() == 2
    with torch.no_grad():
        states = AutoModel.from_pretrained(folder)(**encoded, output_hidden_states=True).hidden_states
    (tmp_path / "a.txt").write_text("the grey sea\n\n" + " ".join(WORDS[:5]), encoding="utf-8")
    x, ids = whole(live(folder, 0, tmp_path / "a.txt", device="cpu"))
    torch.testing.assert_close(x[ids == 0], states[1][0, 1:-1], rtol=1e-5, atol=1e-5)


def test_a_hook_takes_any_module_by_its_name_or_that_of_the_model_with_a_head(folders, text):
    taken = []
    model, tokenizer = AutoModel.from_pretrained(folders["gpt2"]).eval(), AutoTokenizer.from_pretrained(folders["gpt2"])
    model.h[1].mlp.register_forward_hook(lambda *given: taken.append(given[2][0]))
    with torch.no_grad():
        model(**tokenizer(make_texts()[0][:40], return_tensors="pt", truncation=True, max_length=CONTEXT))
    for hook in ("h.1.mlp", "transformer.h.1.mlp"):
        source = live(folders["gpt2"], None, text, hook=hook, context=CONTEXT, device="cpu")
        torch.testing.assert_close(source.sample(5), taken[0][:5], rtol=1e-5, atol=1e-5)
    attention = live(folders["gpt2"], None, text, hook="h.1.attn", context=CONTEXT, device="cpu")  # gives a tuple
    assert attention.sample(5).shape == (5, 32)


def test_the_model_stops_at_the_layer_and_keeps_no_hook(folders, text):
    source = live(folders["llama"], 0, text, context=CONTEXT, device="cpu")
    model = source._tap.model
    reached = []
    model.norm.register_forward_hook(lambda *_: reached.append(1))
    whole(source)
    assert not reached
    assert len(model.layers) == 1  # the later blocks take no memory
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.layers.modules())
    with pytest.raises(RuntimeError):
        source._tap({"input_ids": torch.zeros(1, 3)})  # not whole numbers
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in model.layers.modules())


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_the_model_computes_in_the_dtype_that_is_asked_for(dtype, folders, text):
    expected, _ = one_at_a_time(folders["llama"], 1)
    x = live(folders["llama"], 1, text, context=CONTEXT, device="cpu", dtype=dtype).sample(40)
    assert x.dtype == getattr(torch, dtype)
    assert not x.requires_grad
    # bfloat16 has steps of 2^-8; a few dozen roundings of numbers of order 1 lie between.
    torch.testing.assert_close(x.float(), expected[:40], rtol=0.05, atol=0.05)


def test_a_context_is_as_long_as_the_model_can_if_nobody_says(folders, text):
    source = live(folders["gpt2"], 0, text, device="cpu")
    assert source.count() == whole(source)[0].shape[0]
    expected, _ = one_at_a_time(folders["gpt2"], 0, context=16)
    torch.testing.assert_close(whole(source)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("GPTNeoX", {**SMALL, "max_position_embeddings": 16}),
        ("Gemma2", {**SMALL, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8}),
        ("Roberta", {**SMALL, "max_position_embeddings": 16, "pad_token_id": 0}),  # 15 positions: one is the padding's
        ("Mistral", {**SMALL, "num_key_value_heads": 2, "sliding_window": 8}),
    ],
)
def test_the_blocks_of_other_families_are_found(family, options, folders, text, tmp_path):
    config = getattr(transformers, f"{family}Config")(vocab_size=300, **options)
    getattr(transformers, f"{family}Model")(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folders["llama"]).save_pretrained(tmp_path)
    x, _ = whole(live(tmp_path, 1, text, context=15, batch=4, device="cpu"))
    torch.testing.assert_close(x, one_at_a_time(tmp_path, 1, context=15)[0], rtol=1e-5, atol=1e-5)
    if family == "Roberta":
        with pytest.raises(InputError, match="support 1 to 15"):
            live(tmp_path, 1, text, context=16, device="cpu")


# ── Text ──


def test_blank_lines_separate_documents(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffone\r\ntwo\r\n \r\n\r\n\n\tthree\n\nvier ü".encode())
    assert list(documents([tmp_path / "a.txt"])) == ["one\r\ntwo", "\tthree", "vier ü"]
    assert list(documents([tmp_path / "a.txt"], whole_files=True)) == ["one\r\ntwo\r\n \r\n\r\n\n\tthree\n\nvier ü"]


def test_each_line_of_jsonl_is_a_document(tmp_path):
    texts = ["one\n\ntwo", "", "drei \u2028 ü"]
    lines = [json.dumps({"id": 1, "text": one}, ensure_ascii=False) for one in texts]
    (tmp_path / "a.jsonl").write_text("\n".join([lines[0], "", *lines[1:]]), encoding="utf-8")
    assert list(documents([tmp_path / "a.jsonl"])) == texts


def test_documents_are_numbered_over_all_files_and_empty_ones_keep_their_number(folders, tmp_path):
    (tmp_path / "b.txt").write_text("grey waves\n\ncold wind", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text('{"text": "the sea"}\n{"text": ""}\n', encoding="utf-8")
    (tmp_path / "notes.md").write_text("not text", encoding="utf-8")
    for source in (tmp_path, str(tmp_path / "[ab].*")):
        _, ids = whole(live(folders["llama"], 0, source, device="cpu"))
        assert list(dict.fromkeys(ids.tolist())) == [0, 2, 3]


def test_text_is_read_a_document_at_a_time(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo\n\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text("broken", encoding="utf-8")
    reading = documents(text_files(tmp_path))
    assert [next(reading), next(reading)] == ["one", "two"]
    with pytest.raises(InputError, match=r"b.jsonl, line 1 is not JSON"):
        next(reading)


# ── Bad input ──


@pytest.mark.parametrize(
    ("content", "suffix", "found"),
    [
        (b"the sea\n\xff\xfe", ".txt", "line 2 is not UTF-8"),
        (b'{"text": "a"}\n[1]\n', ".jsonl", "line 2 holds a list: an object with a field 'text'"),
        (b'{"content": "a"}\n', ".jsonl", "line 1 holds the fields 'content': an object with a field 'text'"),
        (b'{"text": 3}\n', ".jsonl", "line 1 holds the fields 'text': an object with a field 'text', a string"),
        (b'{"text": "\\ud800"}\n', ".jsonl", "line 1 holds a lone surrogate"),
        (b"[" * 100_000, ".jsonl", "line 1 is not JSON"),
        (b"a,b\n", ".csv", "text is read from .txt and .jsonl files, not .csv"),
        (b"", ".txt", "the text holds no tokens to measure"),
        (b"\n \n", ".txt", "the text holds no tokens to measure"),
    ],
)
def test_text_that_cannot_be_read_is_refused_with_its_place(content, suffix, found, folders, tmp_path):
    path = tmp_path / f"text{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=found) as refusal:
        live(folders["gpt2"], 0, path, device="cpu").count()
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("layer", "options", "found"),
    [
        (3, {}, "layer is 3: the model has 3 blocks, 0 to 2"),
        (-1, {}, "layer is -1: the model has 3 blocks"),
        (None, {}, "name either a layer or a hook"),
        (1, {"hook": "h.1"}, "name either a layer or a hook"),
        (None, {"hook": "h.1.mpl"}, r"no module 'h.1.mpl'; similar names: h.1.mlp"),
        (None, {"hook": "blocks.1.hook_resid_pre"}, "no module 'blocks.1.hook_resid_pre'"),
        (None, {"hook": "h"}, "the model does not run 'h' when it reads text"),
        (None, {"hook": "wpe"}, r"'wpe' outputs shape"),
        (1, {"context": 17}, "context is 17 tokens: this model and its tokenizer support 1 to 16"),
        (1, {"context": 0}, "context is 0 tokens: .* 1 to 16"),
        (1, {"batch": 0}, "batch is 0"),
        (1, {"dtype": "int8"}, "dtype is 'int8': choose float32"),
        (1, {"device": "tpu9"}, "device 'tpu9' cannot be used"),
        (1, {"text": "nowhere.txt"}, "nowhere.txt: there is no such file or folder"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(layer, options, found, folders, text):
    options = {"device": "cpu", "text": text} | options
    with pytest.raises(InputError, match=found) as refusal:
        live(folders["gpt2"], layer, **options)
    assert "\n" not in str(refusal.value)


def spoilt(folder, how: str):
    """A copy of a model's folder with one thing wrong."""
    weights = load_file(folder / "model.safetensors")
    if how == "no folder":
        shutil.rmtree(folder)
    elif how == "no config":
        (folder / "config.json").unlink()
    elif how == "pickled":
        (folder / "model.safetensors").unlink()
        torch.save(weights, folder / "pytorch_model.bin")
    elif how == "no tokenizer":
        for one in folder.glob("tokenizer*"):
            one.unlink()
    elif how == "no vocabulary":
        (folder / "tokenizer.json").unlink()
    elif how == "empty vocabulary":  # transformers makes a tokenizer of nothing but special tokens
        (folder / "tokenizer.json").unlink()
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    elif how == "adapter":
        (folder / "adapter_config.json").write_text("{}")
    elif how == "cut short":
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    elif how == "a weight too few":
        weights.pop("model.layers.0.mlp.up_proj.weight")
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    elif how == "another shape":
        weights["model.norm.weight"] = torch.ones(31)
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    elif how == "another tokenizer":
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(["gulls"])
        tokenizer.save_pretrained(folder)
    else:
        config = json.loads((folder / "config.json").read_text())
        config |= {
            "code": {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}},
            "no model": {"model_type": "abacus"},
        }[how]
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "own.py").write_text("raise SystemExit('run')")
    return folder


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ("no folder", "neither a folder nor a model in the local Hugging Face cache"),
        ("no config", "has no config.json"),
        ("pickled", r"no .safetensors weights \(weights found: pytorch_model.bin\)"),
        ("no tokenizer", "has no tokenizer that transformers can load"),
        ("no vocabulary", "has no tokenizer that transformers can load"),
        ("empty vocabulary", "has a tokenizer without a vocabulary"),
        ("adapter", "holds an adapter"),
        ("cut short", "cannot be loaded by transformers"),
        ("a weight too few", "lacks layers.0.mlp.up_proj.weight"),
        ("another shape", r"norm.weight has shape \(31,\), but config.json makes it \(32,\)"),
        ("another tokenizer", "the tokenizer yields token 300, but the model knows 300"),
        ("code", "cannot be loaded by transformers"),
        ("no model", "cannot be loaded by transformers"),
    ],
)
def test_a_model_that_cannot_be_had_as_it_was_saved_is_refused_in_one_line(how, found, folders, text, tmp_path):
    folder = spoilt(shutil.copytree(folders["llama"], tmp_path / "model"), how)
    with pytest.raises(InputError, match=found) as refusal:
        live(folder, 0, text, device="cpu").count()
    assert str(folder) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_no_kernel_is_looked_for_that_a_config_asks_for(folders, text, tmp_path):
    folder = shutil.copytree(folders["llama"], tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    for key in ("attn_implementation", "_attn_implementation", "experts_implementation"):
        (folder / "config.json").write_text(json.dumps(config | {key: "kernels-community/flash-attn"}))
        x = live(folder, 0, text, context=CONTEXT, device="cpu").sample(20)
        torch.testing.assert_close(x, one_at_a_time(folders["llama"], 0)[0][:20], rtol=1e-5, atol=1e-5)


def test_a_weight_that_is_missing_behind_the_layer_does_no_harm(folders, text, tmp_path):
    folder = shutil.copytree(folders["llama"], tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.norm.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    x = live(folder, 0, text, context=CONTEXT, device="cpu").sample(20)
    torch.testing.assert_close(x, one_at_a_time(folders["llama"], 0)[0][:20], rtol=1e-5, atol=1e-5)


def test_an_encoder_with_a_decoder_needs_the_name_of_a_module(folders, text, tmp_path):
    config = transformers.T5Config(vocab_size=300, d_model=32, d_ff=48, d_kv=8, num_layers=2, num_heads=4)
    transformers.T5Model(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folders["bert"]).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"2 lists of 2 blocks \(encoder.block, decoder.block\)"):
        live(tmp_path, 0, text, device="cpu")
    x = live(tmp_path, None, text, hook="encoder.block.1", device="cpu").sample(9)
    assert x.shape == (9, 32)


def test_a_name_is_looked_up_in_the_local_cache_alone(folders, text, tmp_path):
    """With HF_HOME elsewhere, and no name server in reach of a name that is not there: refused, and at once."""
    script = (
        "import socket, sys\n"
        "def connect(*_): sys.exit('it went to the network')\n"
        "socket.socket.connect = socket.getaddrinfo = connect\n"
        "from sandbox.activations.live import live\n"
        "for name in sys.argv[2:]:\n"
        "    print(live(name, 0, sys.argv[1], device='cpu').count(), flush=True)\n"
    )
    snapshot = tmp_path / "hub" / "models--sea--boat" / "snapshots" / "0123abc"
    shutil.copytree(folders["llama"], snapshot)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("0123abc")

    command = [sys.executable, "-c", script, str(text), "sea/boat", "sea/ship"]
    environment = os.environ | {"HF_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert int(done.stdout) > 100, done.stderr  # the first name alone gave tokens
    said = done.stderr.strip().splitlines()
    assert said[0].startswith("Traceback")  # nothing was said of the first
    refusal = "sandbox.errors.InputError: sea/ship is neither a folder nor a model in the local Hugging Face cache"
    assert said[-1].startswith(refusal)


def test_without_transformers_it_is_named(text):
    script = (
        "import sys; sys.modules['transformers'] = None\n"
        "from sandbox.activations.live import live\n"
        "live('model', 0, sys.argv[1], device='cpu')"
    )
    done = subprocess.run([sys.executable, "-c", script, str(text)], capture_output=True, text=True, check=False)
    assert "pip install transformers" in done.stderr.splitlines()[-1]
