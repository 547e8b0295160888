"""Activations are the same tokens in the same order, with the same documents, whatever they come from."""

import json
import os
import re
import subprocess
import sys

import datasets
import numpy as np
import pytest
import torch
from datasets import Array2D, Dataset, DatasetDict, Features, List, Value
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.utils.data import DataLoader, TensorDataset

from sandbox.activations import Chunk, Stream, activations, document_ids
from sandbox.activations.source import rechunked
from sandbox.errors import InputError

D = 3
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
NUMPY = [torch.float16, torch.float32, torch.float64]  # numpy and Arrow have no bfloat16


@pytest.fixture(scope="module", autouse=True)
def quiet():
    datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def new_folder(tmp_path_factory):
    return lambda: tmp_path_factory.mktemp("source")


def tokens(n: int, dtype=torch.float32, d: int = D) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(n)).to(dtype)


def save(path, tensor) -> None:
    """One file, in the format that its ending says."""
    if path.suffix == ".npy":
        np.save(path, tensor.numpy())
    elif path.suffix == ".safetensors":
        save_file({"x": tensor.contiguous()}, path)
    else:
        torch.save(tensor, path)


def one_file(suffix):
    def make(folder, pieces, ids):
        save(folder / f"x{suffix}", torch.cat(pieces))
        save(folder / f"ids{suffix}", torch.cat(ids))
        return folder / f"x{suffix}", folder / f"ids{suffix}"

    return make


def shards(suffix, pattern=""):
    def make(folder, pieces, ids):
        (folder / "x").mkdir()
        for at, (piece, one) in enumerate(zip(pieces, ids, strict=True)):
            save(folder / "x" / f"part-{at}{suffix}", piece)
            save(folder / f"ids-{at}{suffix}", one)
        return folder / "x" / pattern, folder / f"ids-*{suffix}"

    return make


def saved_dataset(folder, pieces, ids):
    """Rows of different lengths; their numbers are the documents."""
    rows = {"text": ["..."] * len(pieces), "x": [piece.numpy() for piece in pieces]}
    kind = {torch.float16: "float16", torch.float32: "float32", torch.float64: "float64"}[pieces[0].dtype]
    features = Features({"text": Value("string"), "x": Array2D((None, D), kind)})
    Dataset.from_dict(rows, features=features).save_to_disk(folder / "set", num_shards=min(2, len(pieces)))
    return folder / "set", None


def as_pairs(pieces, ids):
    return list(zip(pieces, ids, strict=True))


def as_dicts(pieces, ids):
    return [{"activations": piece, "documents": one, "other": 1} for piece, one in as_pairs(pieces, ids)]


ANY_ORDER = {
    "a tensor": (FLOATS, lambda folder, pieces, ids: (torch.cat(pieces), torch.cat(ids))),
    "an array": (NUMPY, lambda folder, pieces, ids: (torch.cat(pieces).numpy(), torch.cat(ids).numpy())),
    "a .npy file": (NUMPY, one_file(".npy")),
    "a .safetensors file": (FLOATS, one_file(".safetensors")),
    "a .pt file": (FLOATS, one_file(".pt")),
    "a folder of .npy files": (NUMPY, shards(".npy")),
    "a pattern of .safetensors files": (FLOATS, shards(".safetensors", "part-*")),
    "a folder of .pth files": (FLOATS, shards(".pth")),
    "a saved dataset": (NUMPY, saved_dataset),
}
STREAMS = {
    "a list": lambda folder, pieces, ids: (pieces, torch.cat(ids)),
    "pairs": lambda folder, pieces, ids: (as_pairs(pieces, ids), None),
    "a function": lambda folder, pieces, ids: (lambda: iter(as_dicts(pieces, ids)), None),
    "a DataLoader": lambda folder, pieces, ids: (DataLoader(as_dicts(pieces, ids), batch_size=None), None),
    "batches of a TensorDataset": lambda folder, pieces, ids: (
        DataLoader(TensorDataset(torch.cat(pieces), torch.cat(ids)), batch_size=4),
        None,
    ),
}
EVERY = {**ANY_ORDER, **{name: (FLOATS, make) for name, make in STREAMS.items()}}

lengths = st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any)


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=12)
@given(lengths=lengths, data=st.data())
def test_every_source_cut_in_every_way_gives_the_same(name, new_folder, lengths, data):
    dtypes, make = EVERY[name]
    dtype = data.draw(st.sampled_from(dtypes))
    n = sum(lengths)
    x = tokens(n, dtype)
    ids = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    source = activations(*make(new_folder(), list(x.split(lengths)), list(ids.split(lengths))))
    assert source.width == D
    assert source.tokens == (n if name in ANY_ORDER else None)
    for _ in range(3):  # more ranges of the same source
        size, start = data.draw(st.integers(1, 20)), data.draw(st.integers(0, n))
        stop = data.draw(st.none() | st.integers(start, n + 5))  # a stop past the end is the end
        chunks = list(source.chunks(size, start, stop))
        expected = x[start:stop]
        assert [len(chunk.x) for chunk in chunks] == [len(piece) for piece in expected.split(size) if len(piece)]
        if chunks:
            given = torch.cat([chunk.x for chunk in chunks])
            assert given.dtype == dtype
            assert torch.equal(given, expected)
            documents = np.concatenate([chunk.documents for chunk in chunks])
            assert documents.dtype == np.int64
            assert np.array_equal(documents, ids[start:stop])


@pytest.mark.parametrize("name", ANY_ORDER)
def test_a_sample_is_spread_over_all_tokens_in_order(name, new_folder):
    ids = torch.arange(400) // 20
    x = torch.arange(400.0)[:, None].repeat(1, D)
    source = activations(*ANY_ORDER[name][1](new_folder(), list(x.split(20)), list(ids.split(20))))
    places = source.sample(100)[:, 0]
    assert len(places) == 100
    assert (places.diff() > 0).all()
    assert torch.histc(places, 4, 0, 400).tolist() == pytest.approx([25] * 4, abs=10)  # one run of ten, either way
    assert torch.equal(source.sample(400), x)
    assert torch.equal(source.sample(1000), x)


@given(n=st.integers(1, 300), size=st.integers(1, 300))
def test_a_sample_never_takes_a_token_twice(n, size):
    places = activations(torch.arange(float(n))[:, None]).sample(size)[:, 0]
    assert len(places) == min(n, size)
    assert (places.diff() > 0).all()


def test_a_sample_falls_in_step_with_no_context():
    context = torch.arange(128_000.0) % 128  # 1,000 tokens in equal steps would all be first positions
    places = activations(context[:, None]).sample(1000)
    assert 4 <= (places == 0).sum() <= 16  # 1,000 / 128 = 7.8


@pytest.mark.parametrize("context", [128, 256, 512])
@pytest.mark.parametrize("contexts", [62, 63, 64, 65, 66, 100, 128, 192])
def test_a_sample_sees_first_and_last_positions_as_often_as_others(contexts, context):
    """With 64 contexts each run of a sample of 4,096 had one of them for itself, and hardly ever began with it."""
    position = torch.arange(contexts * context) % context
    places = activations(position.float()[:, None]).sample(4096)[:, 0]
    fair = 4096 / context  # in runs of 64, so that those seen are spread by about √fair
    for wanted in (0, context // 2, context - 1):
        assert 0.4 * fair <= (places == wanted).sum() <= 1.9 * fair


def test_any_leading_axes_count_tokens(new_folder):
    x = tokens(24).reshape(2, 3, 4, D)
    np.save(path := new_folder() / "x.npy", x.numpy())
    for source in (x, x.numpy(), path, [x[0], x[1]]):
        assert torch.equal(torch.cat([chunk.x for chunk in activations(source).chunks(5)]), x.reshape(24, D))


def test_shards_are_in_natural_order_and_only_data_is_read(new_folder):
    folder = new_folder()
    for at in (10, 2, 1):
        np.save(folder / f"shard-{at}.npy", np.full((1, D), at, np.float32))
    np.save(folder / "documents.npy", np.arange(3))
    (folder / ".hidden.npy").write_text("no array")
    (folder / "config.json").write_text("{}")
    for path in (folder, folder / "*", f"{folder}/shard-*.npy"):
        (chunk,) = activations(path, folder / "documents.npy").chunks(9)
        assert chunk.x[:, 0].tolist() == [1, 2, 10]
        assert chunk.documents.tolist() == [0, 1, 2]


def test_a_dict_with_one_tensor_and_a_part_of_a_tensor_are_read_from_pt(new_folder):
    x = tokens(10)
    torch.save({"x": torch.nn.Parameter(x), "layer": 3}, new := new_folder() / "dict.pt")
    torch.save(x[4:], part := new.with_name("part.pt"))
    assert torch.equal(activations(new).sample(10), x)
    assert torch.equal(activations(part).sample(10), x[4:])


def test_another_byte_order_is_read(new_folder):
    np.save(path := new_folder() / "x.npy", tokens(10).numpy().astype(">f4"))
    assert torch.equal(activations(path).sample(10), tokens(10))


def test_opening_reads_nothing_and_the_last_tokens_cost_no_more_than_the_first(new_folder):
    n = 10**10  # 80 GB, of which nothing is on the disk
    path = new_folder() / "x.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"shape": (n, 4), "fortran_order": False, "descr": np.dtype(np.float16).str}
        )
        os.truncate(path, file.tell() + 8 * n)
    source = activations(path)
    assert source.tokens == n
    assert [len(chunk.x) for chunk in source.chunks(4096, n - 5000)] == [4096, 904]
    assert source.sample(1000).shape == (1000, 4)


def test_a_stream_keeps_what_was_looked_at():
    x = tokens(10)
    for source in (activations(piece for piece in x.split(3)), activations(lambda: iter(x.split(3)))):
        assert torch.equal(source.sample(2), x[:2])
        assert source.width == D
        assert torch.equal(source.sample(5), x[:5])
        assert torch.equal(torch.cat([chunk.x for chunk in source.chunks(4)]), x)


def test_a_generator_is_read_once():
    source = activations(piece for piece in tokens(10).split(3))
    assert len(list(source.chunks(4))) == 3
    with pytest.raises(InputError, match="is a generator, which can be read only once"):
        next(source.chunks(4))


def test_a_look_that_fails_does_not_end_the_next_reading_early():
    source = activations([tokens(4), tokens(4).numpy().astype(int)])
    for _ in range(2):
        with pytest.raises(InputError, match="piece 2 has dtype int64"):
            source.sample(8)
    with pytest.raises(InputError, match="piece 2"):
        list(source.chunks(2))


@pytest.mark.parametrize("size", [2, 3, 5, 100])
def test_an_iterable_may_reuse_its_memory(size):
    def pieces():
        buffer = torch.empty(3, D)
        for number in range(4):
            yield buffer.fill_(number)

    chunks = list(activations(pieces).chunks(size))  # all chunks are kept while the buffer is overwritten
    assert torch.cat([chunk.x[:, 0] for chunk in chunks]).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_a_chunk_keeps_no_other_tokens_in_memory_and_whole_pieces_are_not_copied():
    pieces = [Chunk(tokens(n), None) for n in (100, 4, 4, 3)]
    chunks = list(rechunked(pieces, 4))
    assert all(chunk.x.untyped_storage().nbytes() == chunk.x.nbytes for chunk in chunks)
    assert [piece.x.data_ptr() for piece in pieces[1:]] == [chunk.x.data_ptr() for chunk in chunks[25:]]


def test_a_stream_takes_single_tokens_and_read_only_arrays():
    x = tokens(5)
    fixed = x.numpy().copy()
    fixed.flags.writeable = False
    assert torch.equal(activations(iter(x)).sample(9), x)
    assert torch.equal(activations([fixed[::-1]]).sample(9), x.flip(0))


def test_a_source_is_opened_once():
    source = activations(tokens(5))
    assert activations(source) is source
    assert isinstance(activations([tokens(5)]), Stream)


# What Hugging Face's datasets and SAELens write


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_contexts_are_documents_and_keep_their_dtype(dtype, new_folder):
    x = torch.randn(7, 5, D).to(getattr(torch, dtype))
    features = Features({"blocks.0.hook": Array2D((5, D), dtype), "token_ids": List(Value("int32"), 5)})
    rows = {"blocks.0.hook": x, "token_ids": torch.arange(35).reshape(7, 5)}
    Dataset.from_dict(rows, features=features).save_to_disk(folder := new_folder() / "set", num_shards=3)
    for path in (folder, f"{folder}::blocks.0.hook"):
        source = activations(path)
        (chunk,) = source.chunks(100)
        assert chunk.x.dtype == getattr(torch, dtype)
        assert torch.equal(chunk.x, x.reshape(35, D))
        assert np.array_equal(chunk.documents, np.arange(35) // 5)
    assert next(activations(folder, documents=np.arange(35)).chunks(3)).documents.tolist() == [0, 1, 2]


NESTED = {
    "lists of lists": (List(List(Value("float32"))), 3),
    "lists of lists of one length": (List(List(Value("float32"), D)), 3),
    "lists of one length of lists": (List(List(Value("float32")), 4), 3),
    "lists": (List(Value("float32")), 2),
    "lists of one length": (List(Value("float32"), D), 2),
}


@pytest.mark.parametrize("name", NESTED)
def test_every_nesting_of_floats_is_read(name, new_folder):
    feature, axes = NESTED[name]
    x = tokens(24).reshape((6, 4, D) if axes == 3 else (24, D))
    made = Dataset.from_dict({"x": x.numpy().tolist()}, features=Features({"x": feature}))
    made.select(range(1, len(x))).save_to_disk(folder := new_folder() / "set")  # rows that begin within a batch
    (chunk,) = activations(folder).chunks(100)
    assert torch.equal(chunk.x, x[1:].reshape(-1, D))
    if axes == 3:
        assert np.array_equal(chunk.documents, np.arange(20) // 4)
    else:
        assert chunk.documents is None  # a row a token says nothing of documents


def test_a_shuffled_dataset_is_read_in_its_order(new_folder):
    rows = {"x": np.repeat(np.arange(9.0), 2 * D).reshape(9, 2, D)}
    made = Dataset.from_dict(rows, features=Features({"x": Array2D((2, D), "float32")})).shuffle(seed=0)
    made.save_to_disk(folder := new_folder() / "set")
    assert torch.equal(activations(folder).sample(99)[:, 0], torch.tensor(made["x"]).reshape(-1, D)[:, 0])


RUNNER = """
import sys, torch
from datasets import Dataset, load_from_disk
from sae_lens.cache_activations_runner import CacheActivationsRunner
from sae_lens.config import CacheActivationsRunnerConfig
from tokenizers import Tokenizer, models
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

folder = sys.argv[1]
torch.manual_seed(0)
GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=16, n_embd=8, n_layer=2, n_head=2)).save_pretrained(folder + "/m")
words = Tokenizer(models.WordLevel({"<e>": 0} | {f"w{i}": i for i in range(1, 50)}, unk_token="<e>"))
special = dict.fromkeys(("bos_token", "eos_token", "pad_token", "unk_token"), "<e>")
PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder + "/m")
cfg = CacheActivationsRunnerConfig(
    dataset_path="none", model_name=folder + "/m", model_class_name="AutoModelForCausalLM", model_batch_size=4,
    hook_name="transformer.h.1", d_in=8, training_tokens=256, context_size=8, new_cached_activations_path=folder + "/c",
    dtype="float16", device="cpu", buffer_size_gb=2e-6, shuffle=False, prepend_bos=False, streaming=False,
)
text = Dataset.from_dict({"input_ids": torch.randint(1, 50, (64, 8)).tolist()})
CacheActivationsRunner(cfg, override_dataset=text).run()
torch.save(load_from_disk(folder + "/c").with_format("torch")["transformer.h.1"][:], folder + "/read.pt")
"""


@pytest.mark.slow
def test_what_saelens_caches_is_read_as_it_reads_it(new_folder):
    folder = new_folder()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", RUNNER, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    expected = torch.load(folder / "read.pt", weights_only=True)
    assert len(list((folder / "c").glob("*.arrow"))) > 1
    (chunk,) = activations(folder / "c").chunks(10_000)
    assert chunk.x.dtype == torch.float16  # where `datasets` gives float32
    assert torch.equal(chunk.x.float(), expected.reshape(-1, 8))
    assert np.array_equal(chunk.documents, np.arange(len(chunk.x)) // 8)


# What is refused


def saved(folder, name="set", **columns):
    Dataset.from_dict(columns).save_to_disk(folder / name)
    return folder / name


def put(folder, **arrays):
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def pt(held):
    def make(folder):
        torch.save(held, folder / "x.pt")
        return folder / "x.pt"

    return make


def mixed(folder):
    put(folder, a=X, b=X)
    save(folder / "c.pt", tokens(2))
    return folder


def cut(folder):
    path = pt(tokens(1000))(folder)
    path.write_bytes(path.read_bytes()[:-100])
    return path


def pickled(folder):
    return pt({"x": InputError})(folder)


def old(folder):
    torch.save(tokens(3), folder / "x.pt", _use_new_zipfile_serialization=False)
    return folder / "x.pt"


def splits(folder):
    DatasetDict({"train": Dataset.from_dict({"x": [[1.0]]})}).save_to_disk(folder / "d")
    return folder / "d"


def without_a_file(folder):
    path = saved(folder, x=[[1.0]])
    next(path.glob("*.arrow")).unlink()
    return path


def not_arrow(folder):
    path = saved(folder, x=[[1.0]])
    next(path.glob("*.arrow")).write_bytes(b"nothing of the kind")
    return path


def features_of_another_kind(folder):
    path = saved(folder, x=[[1.0]])
    info = path / "dataset_info.json"
    info.write_text(json.dumps(json.loads(info.read_text("utf-8")) | {"features": ["x"]}), "utf-8")
    return path


def broken_state(folder):
    path = saved(folder, x=[[1.0]])
    (path / "state.json").write_text(json.dumps([1]))
    return path


X = np.zeros((4, D), np.float32)
T = torch.zeros(4, D)
REFUSED = {
    "shards of two widths": (lambda f: put(f, a=X, b=X[:, :2]), "b.npy has width 2, but"),
    "shards of two dtypes": (lambda f: put(f, a=X, b=X.astype("f2")), "b.npy has dtype float16, but"),
    "two formats": (mixed, "holds 2 .npy and 1 .pt files: name the shards of one format"),
    "an empty folder": (lambda f: f, "no activations in .npy, .safetensors, .pt, .pth files; found nothing"),
    "documents alone": (lambda f: put(f, documents=X), "found documents.npy"),
    "a pattern of nothing": (lambda f: f / "*.npy", "found nothing"),
    "empty shards alone": (lambda f: put(f, a=X[:0], b=X[:0]), "holds no tokens"),
    "a width of 0": (lambda f: put(f, a=X[:, :0]), r"has shape \(4, 0\)"),
    "no file": (lambda f: f / "x.pt", "x.pt: there is no such file"),
    "another ending": (lambda f: __file__, "test_sources.py: activations are read from .npy"),
    "two tensors": (pt({"x": T, "y": T}), r"holds several entries \(x, y\): save the tensor"),
    "no tensor": (pt({"x": 1}), "holds no tensor: x"),
    "a list of tensors": (pt([T]), "holds a list: a tensor, or a dict with exactly one"),
    "one of two tensors hidden": (pt({"x": T, "more": [T + 1]}), "holds the numbers of 2 tensors"),
    "a transposed tensor": (pt(torch.zeros(3, 4).T), "is not contiguous"),
    "a sparse tensor": (pt({"x": T.to_sparse(), "y": "z"}), "x.pt"),
    "whole numbers": (pt(T.int()), "x.pt: activations have dtype I32"),
    "complex numbers": (pt(T.cfloat()), "x.pt: activations have dtype complex64"),
    "a cut .pt": (cut, "not written by torch.save"),
    "a .pt of old": (old, r"not written by torch.save \(of torch 1.6 or later"),
    "a class in a .pt": (pickled, "x.pt holds a pickled object, or is damaged"),
    "a dataset of splits": (splits, "holds the splits train: name one of them"),
    "two columns": (lambda f: saved(f, x=[[1.0]], y=[[[1.0]]]), "has 2 columns .* x, y: name one, as in .*set::x"),
    "no column": (lambda f: saved(f, x=[1.0], s=["a"]), "has 0 columns with lists of floats among x, s"),
    "another column": (lambda f: f"{saved(f, x=[[1.0]])}::y", "has no column 'y' .* it has: x"),
    "tokens of different widths": (lambda f: saved(f, x=[[[1.0, 2.0], [3.0]], [[4.0, 5.0, 6.0]]]), "rows of x differ"),
    "numbers that are missing": (lambda f: saved(f, x=[[1.0, None]]), r"missing .* \(null\)"),
    "rows that are missing": (lambda f: saved(f, x=[[1.0], None]), r"missing .* \(null\)"),
    "a dataset of no rows": (lambda f: saved(f, x=[[]]), "set"),
    "a missing data file": (without_a_file, r"\(1 of 1 data files\)"),
    "a data file that is none": (not_arrow, "the end of its Arrow stream is missing"),
    "a state that is none": (broken_state, "are not as datasets writes them"),
    "features that are a list": (features_of_another_kind, "are not as datasets writes them"),
    "bytes": (lambda f: b"x", "is a bytes: a file path"),
    "a number": (lambda f: 3, "is a int: a file path"),
    "a module": (lambda f: torch.nn.Identity(), "is a Identity: a file path"),
    "a float8 tensor": (lambda f: T.to(torch.float8_e4m3fn), "has dtype torch.float8_e4m3fn"),
    "a function that gives no iterable": (lambda f: lambda: 3, "returned a int: an iterable"),
    "nothing in a list": (lambda f: [], "yielded no activations"),
    "no tokens in a list": (lambda f: [T[:0]], "yielded no activations"),
    "pieces of two widths": (lambda f: [T, T[:, :2]], "piece 2 has width 2, but the first piece has 3"),
    "pieces of two dtypes": (lambda f: [T, T.half()], "piece 2 has dtype torch.float16"),
    "documents in one piece": (lambda f: [(T, [1] * 4), T], "piece 2 has documents False"),
    "text in a list": (lambda f: ["x"], "piece 1 is a str: activations must be"),
    "three in a piece": (lambda f: [(T, T, T)], "is a tuple of length 3: x or"),
    "a dict without activations": (lambda f: [{"x": T}], 'is a dict with the keys x: the key "activations" is needed'),
    "documents that are no whole numbers": (lambda f: [(T, T[:, 0])], "documents has dtype float32: whole numbers"),
    "documents that are no array": (lambda f: [(T, [[1], [2, 3]])], "a list and cannot be converted to an array"),
    "too few documents in a piece": (lambda f: [(T, [1, 2])], "piece 1: documents holds 2 document ids for 4 tokens"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_source_is_refused_in_one_line(name, new_folder):
    make, line = REFUSED[name]
    given = make(new_folder())
    with pytest.raises(InputError, match=line) as caught:
        list(activations(given).chunks(3))
    assert "\n" not in str(caught.value)


DOCUMENTS = {
    "ids too few": (T, np.arange(3), "documents holds 3 document ids for 4 tokens: one per token is needed"),
    "ids too many": (T, np.arange(5), "documents holds 5 document ids for 4 tokens"),
    "ids too few for a stream": (
        [T, T],
        np.arange(6),
        "documents holds 6 document ids, but activations has at least",
    ),
    "ids too many for a stream": ([T, T], np.arange(9), "documents holds 9 document ids for 8 tokens"),
    "ids twice": ([(T, [1] * 4)], np.arange(4), "yields its own documents, but documents was passed too"),
    "ids that are floats": (T, T[:, 0], "documents has dtype torch.float32: whole numbers"),
    "ids that are truths": (T, T[:, 0] > 0, "documents has dtype torch.bool: whole numbers"),
    "ids of another kind": (T, 3, "documents is a int"),
    "ids of a source that is open": (activations(T), np.arange(4), "is already open"),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_one_a_token_or_refused(name):
    source, ids, line = DOCUMENTS[name]
    with pytest.raises(InputError, match=line):
        list(activations(source, ids).chunks(3))


def test_ids_in_shards_may_have_any_whole_dtype(new_folder):
    folder = put(new_folder(), a=np.arange(3, dtype=np.int32), b=np.arange(2), c=np.zeros(0, np.uint8))
    assert document_ids(folder, 5)[0:5].flatten().tolist() == [0, 1, 2, 0, 1]


RANGES = {
    "no size": (T, (0,), "chunk size is 0"),
    "before the first": (T, (1, -1), "tokens -1 to None"),
    "a generator from the middle": ((one for one in [T]), (2, 1), "is a generator, which cannot be read from token 1"),
    "a loader that shuffles": (DataLoader([T, T], shuffle=True, batch_size=None), (2, 1), "a DataLoader that shuffles"),
    "batches that are shuffled": (DataLoader(T, shuffle=True, batch_size=2), (2, 1), "a DataLoader that shuffles"),
}


@pytest.mark.parametrize("name", RANGES)
def test_what_is_no_range_is_refused(name):
    source, given, line = RANGES[name]
    with pytest.raises(InputError, match=line):
        list(activations(source).chunks(*given))


def test_a_file_that_shrinks_while_it_is_read_is_named(new_folder):
    np.save(path := new_folder() / "x.npy", np.zeros((100, D)))
    source = activations(path)
    os.truncate(path, 1000)  # the header and 36 rows
    with pytest.raises(InputError, match=re.escape(f"{path} ends before row 50")):
        list(source.chunks(50))


def test_without_arrow_what_reads_it_is_named(new_folder, monkeypatch):
    folder = saved(new_folder(), x=[[1.0]])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="pip install datasets"):
        activations(folder)
