"""The losses are those of the model run one context at a time with a hook, and of the libraries' own evaluations."""

import warnings

import pytest
import torch
from torch.nn.functional import cross_entropy

from sandbox.activations.live.contexts import Contexts
from sandbox.activations.live.model import load
from sandbox.downstream import loss
from sandbox.downstream.reader import Reader
from sandbox.downstream.replacements import Ablations, Reconstructions
from sandbox.downstream.splice import Splice
from sandbox.measuring.forward import Forward
from tests.helpers.models import KINDS, make_texts, save_model

with warnings.catch_warnings():  # their own imports may warn, and nobody here can mend that
    warnings.simplefilter("ignore")
    from dictionary_learning.evaluation import loss_recovered
    from nnsight import LanguageModel
    from sae_lens import StandardSAE, StandardSAEConfig
    from sae_lens.evals import get_downstream_reconstruction_metrics
    from sae_lens.training.activation_scaler import ActivationScaler

D, CONTEXT = 32, 12
CAUSAL = ("gpt2", "llama")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: save_model(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(make_texts() * 3) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def saelens_sae():
    generator = torch.Generator().manual_seed(1)
    sae = StandardSAE(StandardSAEConfig(d_in=D, d_sae=48, dtype="float32", device="cpu"))
    sae.cfg.metadata.hook_name = "blocks.1.hook_resid_post"
    sae.load_state_dict(
        {
            "W_enc": 0.3 * torch.randn(D, 48, generator=generator),
            "W_dec": 0.3 * torch.randn(48, D, generator=generator),
            "b_enc": torch.full((48,), -0.1),
            "b_dec": torch.full((D,), 0.05),
        }
    )
    return sae.eval()


def mixing(x: torch.Tensor) -> torch.Tensor:
    """A reconstruction that is too short and points elsewhere."""
    return 0.7 * x + 0.2 * x.roll(1, -1) - 0.05


def opened(folder, module: str) -> tuple[Splice, Contexts]:
    """A splice that has been checked, and the contexts of its model."""
    model, _, tokenizer = load(folder, "float32", head=True)
    contexts = Contexts(tokenizer, model.config, model, CONTEXT)
    splice = Splice(model, module, torch.device("cpu"))
    splice.check(contexts.padded([max(contexts(make_texts()), key=lambda context: len(context.ids))]))
    return splice, contexts


def reader_of(splice, contexts, sae, ablations=None, limit=float("inf")) -> Reader:
    return Reader(splice, contexts.tokenizer, contexts.special.tolist(), [sae], ablations, limit)


def by_hand(folder, module: str, replacement, texts) -> tuple[list, list, list]:
    """CE of the clean and the replaced model, and KL, at each counted token: one context at a time, with a hook."""
    model, _, tokenizer = load(folder, "float32", head=True)
    contexts = Contexts(tokenizer, model.config, model, CONTEXT)
    clean_loss, loss_with, divergence = [], [], []
    for context in contexts(texts):
        ids = torch.from_numpy(context.ids)[None]
        where = torch.zeros(ids.shape[1], dtype=torch.bool)
        where[context.measured] = True

        def hook(_module, _inputs, output, where=where):
            x = output[0] if isinstance(output, tuple) else output
            changed = torch.where(where[:, None], replacement(x), x)
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        with torch.no_grad():
            clean = model(ids).logits[0].double().log_softmax(-1)
            handle = model.get_submodule(module).register_forward_hook(hook)
            other = model(ids).logits[0].double().log_softmax(-1)
            handle.remove()
        for at in range(ids.shape[1] - 1):
            if where[at] and where[at + 1]:
                target = ids[0, at + 1]
                clean_loss.append(-clean[at, target].item())
                loss_with.append(-other[at, target].item())
                divergence.append((clean[at].exp() * (clean[at] - other[at])).sum().item())
    return clean_loss, loss_with, divergence


def mean(values) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("inside", ["", ".mlp"])
@pytest.mark.parametrize("kind", CAUSAL)
def test_the_losses_are_those_of_one_context_at_a_time_with_a_hook(kind, inside, folders, text):
    module = {"gpt2": "transformer.h.1", "llama": "model.layers.1"}[kind] + inside
    splice, contexts = opened(folders[kind], module)
    sae = Reconstructions(Forward(mixing, "cpu", "float32"), {"stretched": 1.5})
    reader = reader_of(splice, contexts, sae, Ablations(torch.full((D,), 0.3)))
    rows = reader(contexts.padded(list(contexts(make_texts())))).double()
    counted = rows[..., 0] == 1
    assert not rows[~counted][:, 1 : reader.columns.index("0.l0") + 1].any()
    replacements = {
        "0.x_hat": mixing,
        "0.stretched": lambda x: 1.5 * mixing(x),
        "mean": lambda x: torch.full_like(x, 0.3),
        "zero": torch.zeros_like,
    }
    for name, replacement in replacements.items():
        clean, other, divergence = by_hand(folders[kind], module, replacement, make_texts())
        assert len(clean) == counted.sum()
        assert rows[counted][:, 1].mean().item() == pytest.approx(mean(clean), rel=1e-6)
        found = {what: rows[counted][:, reader.columns.index(f"{name}.{what}")].mean().item() for what in ("ce", "kl")}
        assert found["ce"] == pytest.approx(mean(other), rel=1e-6)
        assert found["kl"] == pytest.approx(mean(divergence), rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("kind", CAUSAL)
def test_blocks_that_cannot_matter_do_not_run_again(kind, folders):
    splice, contexts = opened(folders[kind], {"gpt2": "transformer.h.1", "llama": "model.layers.1"}[kind])
    ran = []
    for number, block in enumerate(splice.model.get_submodule(splice.module.rpartition(".")[0])):
        block.register_forward_pre_hook(lambda _module, _inputs, number=number: ran.append(number))
        inner = next(iter(block.children()))
        inner.register_forward_pre_hook(lambda _module, _inputs, number=number: ran.append(f"inside {number}"))
    inputs = contexts.padded(list(contexts(make_texts()))[:4])
    clean = splice.clean(inputs)
    whole = [each for each in ran if isinstance(each, str)]
    ran.clear()
    same = splice.replaced(inputs, clean, clean.x)
    assert whole == ["inside 0", "inside 1", "inside 2"]
    assert [each for each in ran if isinstance(each, str)] == ["inside 2"]
    torch.testing.assert_close(same, clean.logits)
    assert splice.model(**inputs).logits.equal(clean.logits)  # the model is as it was


def test_a_model_whose_later_blocks_need_the_earlier_ones_runs_whole(folders):
    model, _, tokenizer = load(folders["llama"], "float32", head=True)
    contexts = Contexts(tokenizer, model.config, model, CONTEXT)
    memory = {}
    layers = model.model.layers
    layers[0].mlp.register_forward_hook(lambda _module, _inputs, output: memory.update(kept=output))
    layers[2].mlp.register_forward_hook(lambda _module, _inputs, output: output + memory.pop("kept"))
    inputs = contexts.padded([max(contexts(make_texts()), key=lambda context: len(context.ids))])
    splice = Splice(model, "model.layers.1", torch.device("cpu"))
    splice.check(inputs)
    clean = splice.clean(inputs)
    torch.testing.assert_close(splice.replaced(inputs, clean, clean.x), clean.logits)


def test_an_sae_that_changes_nothing_costs_nothing(folders, text):
    report = loss(folders["llama"], 1, text, lambda x: x.clone(), context=CONTEXT, search_tokens=0, device="cpu")
    (sae,) = report.saes
    assert sae.cost("x_hat").to_dict() == {"value": 0, "low": 0, "high": 0}
    assert sae.divergence("x_hat").value == pytest.approx(0, abs=1e-9)
    assert sae.recovered("x_hat").value == 1
    assert sae.gamma == pytest.approx(1)


def test_what_stands_for_itself_wins_nothing_back(folders, text):
    """x̂ none of its own cost, zero none of its own: a column less itself is 0, not minus it."""
    (sae,) = loss(folders["llama"], 1, text, mixing, context=CONTEXT, search_tokens=0, device="cpu").saes
    for estimate in (sae.share_of_cost("x_hat"), sae.gain("x_hat"), sae.recovered("zero")):
        assert estimate.to_dict() == {"value": 0, "low": 0, "high": 0}


def test_special_tokens_and_outliers_keep_their_activations(folders):
    splice, contexts = opened(folders["llama"], "model.layers.1")
    inputs = contexts.padded(list(contexts(make_texts())))
    norms = splice.clean(inputs).x.norm(dim=-1)
    text = inputs["attention_mask"].bool() & (inputs["input_ids"] != contexts.tokenizer.bos_token_id)
    limit = norms[text].median().item()
    seen = []
    run = splice.replaced

    def watch(inputs, clean, x):
        seen.append(((x - clean.x).norm(dim=-1) > 0).clone())
        return run(inputs, clean, x)

    splice.replaced = watch
    sae = Reconstructions(Forward(mixing, "cpu", "float32"))
    rows = reader_of(splice, contexts, sae, Ablations(torch.zeros(D)), limit)(inputs)
    assert not rows[..., 0][norms > limit].any()  # and their predictions do not count
    typical, every = text & (norms <= limit), inputs["attention_mask"].bool()
    # The mean, zero, zero as in all libraries; x̂, x̂ as in SAELens, which leaves special tokens, as in the two others.
    for tokens, expected in zip(seen, (typical, typical, every, typical, text, every), strict=True):
        assert torch.equal(tokens, expected)


class AsSaelensRuns:
    """A transformers model with the calls that SAELens' evaluation makes of a TransformerLens model."""

    def __init__(self, model, module):
        self.model, self.module = model, module

    def __call__(self, tokens, return_type, loss_per_token):
        assert (return_type, loss_per_token) == ("both", True)
        logits = self.model(tokens).logits
        return logits, cross_entropy(logits[:, :-1].mT, tokens[:, 1:], reduction="none")

    def run_with_hooks(self, tokens, fwd_hooks, **options):
        ((_, replace),) = fwd_hooks

        def hook(_module, _inputs, output):
            return replace(output, hook=None)

        handle = self.model.get_submodule(self.module).register_forward_hook(hook)
        try:
            return self(tokens, **options)
        finally:
            handle.remove()


class OneByOne:
    def __init__(self, contexts):
        self.contexts = iter(contexts)

    def get_batch_tokens(self, prompts):
        return torch.from_numpy(next(self.contexts).ids)[None]


@torch.no_grad()
def test_loss_recovered_is_what_saelens_prints(folders, saelens_sae):
    splice, contexts = opened(folders["llama"], "model.layers.1")
    tokenizer = contexts.tokenizer
    theirs = get_downstream_reconstruction_metrics(
        saelens_sae,
        AsSaelensRuns(splice.model, splice.module),
        OneByOne(contexts(make_texts())),
        ActivationScaler(),
        compute_kl=False,
        compute_ce_loss=True,
        n_batches=(batches := len(list(contexts(make_texts())))),
        eval_batch_size_prompts=1,
        ignore_tokens=[tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id],
    )
    assert batches > 15
    sae = Reconstructions(Forward(saelens_sae, "cpu", "float32"))
    reader = reader_of(splice, contexts, sae, Ablations(torch.zeros(D)))
    totals = reader(contexts.padded(list(contexts(make_texts())))).double().sum((0, 1)).tolist()
    ours = dict(zip(reader.columns, totals, strict=True))
    names = {"clean": "ce_loss_without_sae", "0.x_hat": "ce_loss_with_sae", "zero": "ce_loss_with_ablation"}
    for name, printed in names.items():
        assert ours[f"saelens.{name}"] / ours["saelens.tokens"] == pytest.approx(theirs[printed], rel=1e-6)


@pytest.mark.filterwarnings("ignore")  # nnsight's own
@torch.no_grad()
def test_loss_recovered_is_what_dictionary_learning_computes(folders):
    model, _, tokenizer = load(folders["llama"], "float32", head=True)
    traced = LanguageModel(model, tokenizer=tokenizer)
    splice, contexts = opened(folders["llama"], "model.layers.1")
    reader = reader_of(splice, contexts, Reconstructions(Forward(mixing, "cpu", "float32")), Ablations(torch.zeros(D)))
    names = [f"dictionary_learning.{name}" for name in ("clean", "0.x_hat", "zero")]
    seen = 0
    for context in contexts(make_texts()):  # one at a time: it averages over a batch
        rows = reader(contexts.padded([context])).double().sum((0, 1)).tolist()
        ours = dict(zip(reader.columns, rows, strict=True))
        theirs = loss_recovered(torch.from_numpy(context.ids)[None], traced, traced.model.layers[1], mixing)
        for name, printed in zip(names, theirs, strict=True):
            assert ours[name] / ours["dictionary_learning.tokens"] == pytest.approx(printed.item(), rel=1e-6)
        seen += 1
    assert seen > 15
