"""Streaming an SAE and measuring it, against the SAE's forward pass alone over the same batches."""

from collections.abc import Iterator

import torch

from benchmarks.timing import claim, ratio
from sandbox.data import embedded
from sandbox.sae import checkpoints
from sandbox.sae.activations import activations
from sandbox.sae.autoencoder import SAE
from sandbox.sae.measure import measure

BATCH = 4096


def random_sae(d_in: int, d_sae: int) -> SAE:
    """A ReLU SAE of any size, with about one latent in ten on."""
    generator = torch.Generator().manual_seed(0)
    W_enc = torch.randn(d_in, d_sae, generator=generator) / d_in**0.5
    return SAE(W_enc, W_enc.T.contiguous(), torch.zeros(d_in), torch.full((d_sae,), -1.3), subtract_b_dec=False)


def overhead(sae: SAE, x: torch.Tensor, device: str, documents: torch.Tensor | None = None) -> float:
    """Time to measure over time of the forward pass."""

    def forward():
        with torch.inference_mode():
            for batch in x.split(BATCH):
                sae(batch)

    return ratio(lambda: measure(sae, x, batch_size=BATCH, documents=documents), forward, device)


def claims() -> Iterator[bool]:
    """Print and give each claim, on the CPU, and on a CUDA GPU where there is one."""
    x = torch.cat([chunk.x for chunk in activations(embedded("activations")).chunks(BATCH)]).float().repeat(4, 1)
    documents = torch.arange(len(x)) // 70
    for name in ("minilm-relu", "minilm-gated"):
        value = overhead(checkpoints.load(embedded(name)), x, "cpu", documents)
        yield claim(f"real path: measuring {name} on the CPU, times its forward pass", value, 1.10)
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(2 * BATCH, 768, generator=generator)
    value = overhead(random_sae(768, 12288), wide, "cpu")
    yield claim("real path: measuring 768 × 12288 on the CPU, times its forward pass", value, 1.10)
    if torch.cuda.is_available():
        many = torch.randn(64 * BATCH, 768, generator=generator).cuda()
        sae = random_sae(768, 24576).cuda()
        for label, dtype, tf32 in (
            ("float32", torch.float32, False),
            ("TF32", torch.float32, True),
            ("bf16", torch.bfloat16, False),
        ):
            torch.backends.cuda.matmul.allow_tf32 = tf32
            value = overhead(sae.to(dtype), many.to(dtype), "cuda")
            yield claim(f"real path: measuring 768 × 24576 on CUDA in {label}, times its forward pass", value, 1.10)
