"""sandbox/site/symptoms.json: what `sandbox measure` says of the embedded SAEs after one thing has gone wrong.

`python docs/symptoms.py` writes it; the site's page "Read your report" shows it. Every number and every warning in it
comes from a run of the command.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sandbox.checkpoints import read
from sandbox.cli import app
from sandbox.data import embedded
from sandbox.measuring.preflight import scale_to_root_d

FILE = Path(__file__).parents[1] / "sandbox" / "site" / "symptoms.json"
ORIGINS = ("raw", "centred", "decoder_bias")
MEASURES = ("relative_reconstruction_bias", "norm_ratio", "cosine", "relative_loss")
SAE = "minilm-gated"
"""Its γ is 1, so that a γ of another value is due to the fault."""

X = load_file(embedded("activations"))["activations"].float()
DOCUMENTS = torch.from_numpy(np.load(embedded("documents")))


def reconstructions(x: Tensor = X) -> Tensor:
    """x̂ of the SAE, as it should be."""
    with torch.no_grad():
        return read(embedded(SAE)).sae(x)


def without_b_dec(folder: Path) -> list[str]:
    """x̂ from the latents alone."""
    return pair(folder, X, reconstructions() - read(embedded(SAE)).sae.b_dec)


def scale_left_on_x_hat(folder: Path) -> list[str]:
    """An SAE that was trained on k·x, whose output was not divided by k."""
    return pair(folder, X, scale_to_root_d(X) * reconstructions())


def root_d_left_on_x_hat(folder: Path) -> list[str]:
    """The same where the activations were multiplied by √d."""
    return pair(folder, X, X.shape[1] ** 0.5 * reconstructions())


def root_d_undone_twice(folder: Path) -> list[str]:
    """x̂ was divided by √d, although the SAE already gives it in the units of x."""
    return pair(folder, X, reconstructions() / X.shape[1] ** 0.5)


def scale_undone_twice(folder: Path) -> list[str]:
    """x̂ was divided by √d / mean ‖x‖, although the SAE already gives it in the units of x."""
    return pair(folder, X, reconstructions() / scale_to_root_d(X))


def unit_norm_left_on_x_hat(folder: Path) -> list[str]:
    """An SAE that was trained on x/‖x‖, whose output was not multiplied by ‖x‖."""
    return pair(folder, X, reconstructions() / X.norm(dim=1, keepdim=True))


def layer_norm_left_on_x_hat(folder: Path) -> list[str]:
    """An SAE that was trained on LayerNorm(x), whose output was not brought back."""
    centred = X - X.mean(1, keepdim=True)
    return pair(folder, X, (reconstructions() - X.mean(1, keepdim=True)) / centred.std(1, correction=0, keepdim=True))


def scaled_activations(folder: Path) -> list[str]:
    """Activations that are scaled for training, given to an SAE with the scale folded into its weights."""
    return activations(folder, scale_to_root_d(X) * X)


def normalised_activations(folder: Path) -> list[str]:
    """Activations that were saved with norm 1."""
    return activations(folder, X / X.norm(dim=1, keepdim=True))


def outliers(folder: Path) -> list[str]:
    """The first token of every tenth document is as long as an attention sink of SmolLM2: 110 times the median."""
    first = torch.cat([torch.tensor([True]), DOCUMENTS[1:] != DOCUMENTS[:-1]]).nonzero()[::10, 0]
    x = X.clone()
    x[first] *= 110 * X.norm(dim=1).median() / x[first].norm(dim=1, keepdim=True)
    return activations(folder, x)


def few_documents(folder: Path) -> list[str]:
    """The first four documents."""
    chosen = torch.isin(DOCUMENTS, DOCUMENTS.unique()[:4])
    np.save(folder / "documents.npy", DOCUMENTS[chosen].numpy())
    return [*activations(folder, X[chosen]), "--documents", str(folder / "documents.npy")]


def nothing(folder: Path) -> list[str]:
    """The SAE as it is."""
    return ["--sae", f"embedded:{SAE}", "--activations", "embedded:activations"]


FAULTS: dict[str, Callable[[Path], list[str]]] = {
    one.__name__: one
    for one in (
        nothing, scale_left_on_x_hat, root_d_left_on_x_hat, root_d_undone_twice, scale_undone_twice,
        unit_norm_left_on_x_hat, layer_norm_left_on_x_hat, without_b_dec, scaled_activations, normalised_activations,
        outliers, few_documents,
    )
}  # fmt: skip


def pair(folder: Path, x: Tensor, x_hat: Tensor) -> list[str]:
    """Options of a pair of files."""
    for name, values in (("x", x), ("x_hat", x_hat)):
        save_file({name: values.contiguous()}, folder / f"{name}.safetensors")
    return ["--x", str(folder / "x.safetensors"), "--x-hat", str(folder / "x_hat.safetensors")]


def activations(folder: Path, x: Tensor) -> list[str]:
    """Options of the SAE on activations in a file."""
    save_file({"activations": x.contiguous()}, folder / "activations.safetensors")
    return ["--sae", f"embedded:{SAE}", "--activations", str(folder / "activations.safetensors")]


def measured(options: Sequence[str], folder: Path) -> dict[str, Any]:
    """What `sandbox measure` writes as JSON for the SAE."""
    report = folder / "report.json"
    options = [*options, *([] if "--documents" in options else ["--documents", "embedded:documents"])]
    command = ["measure", *options, "--device", "cpu", "--published", "0", "--json", str(report)]
    app(command, standalone_mode=False)
    (sae,) = json.loads(report.read_text("utf-8"))["saes"]
    return sae


def symptom(fault: str) -> dict[str, Any]:
    """What is said of a fault: `verdict`, `tokens`, `documents`, `findings` (key and message of each warning), and by
    origin the measures: value, low and high, or null and the reason.
    """
    with tempfile.TemporaryDirectory() as folder:
        sae = measured(FAULTS[fault](Path(folder)), Path(folder))
    said = {"verdict": sae["verdict"]["word"], "tokens": sae["tokens"], "documents": sae["documents"]}
    origins = {origin: {key: _rounded(sae[origin][key]) for key in MEASURES} for origin in ORIGINS if sae.get(origin)}
    return said | {"findings": sae["findings"]} | origins


def _rounded(estimate: dict[str, Any]) -> list[Any]:
    numbers = [None if estimate[part] is None else float(f"{estimate[part]:.5g}") for part in ("value", "low", "high")]
    return [*numbers, estimate["reason"]] if estimate.get("reason") else numbers


if __name__ == "__main__":
    said = {fault: symptom(fault) for fault in FAULTS}
    FILE.write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
