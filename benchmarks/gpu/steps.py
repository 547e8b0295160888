"""A training step of each architecture in plain torch: what a sweep costs where SAELens is not installed.

The losses are those that `sandbox.training.architectures` has SAELens train, without their warm-ups and logs; clipping
and Adam as there. `benchmarks.training` sets these steps beside SAELens' own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

COEFFICIENT = 1.0
BANDWIDTH = 2.0  # of JumpReLU's kernel, as in `sandbox.training.architectures`
K = 20


class _Jump(torch.autograd.Function):
    """JumpReLU, with the straight-through gradient of its threshold (arXiv 2407.14435)."""

    @staticmethod
    def forward(ctx, pre: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(pre, threshold)
        return pre * (pre > threshold)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, Tensor]:
        pre, threshold = ctx.saved_tensors
        near = (pre - threshold).abs() < BANDWIDTH / 2
        return grads[0] * (pre > threshold), (-threshold / BANDWIDTH * near * grads[0]).sum(0)


class Trained(nn.Module):
    """Weights of an SAE, and the loss of one architecture."""

    def __init__(self, key: str, d_in: int, d_sae: int):
        super().__init__()
        rows = nn.functional.normalize(torch.randn(d_sae, d_in), dim=1)
        self.W_enc, self.W_dec = nn.Parameter(rows.T.contiguous()), nn.Parameter(rows)
        self.b_enc, self.b_dec = nn.Parameter(torch.zeros(d_sae)), nn.Parameter(torch.zeros(d_in))
        self.b_mag, self.r_mag = nn.Parameter(torch.zeros(d_sae)), nn.Parameter(torch.zeros(d_sae))
        self.log_threshold = nn.Parameter(torch.full((d_sae,), -2.3))
        self.loss: Callable[[Tensor], Tensor] = getattr(self, key)

    def relu(self, x: Tensor) -> Tensor:
        """Reconstruction, and L1 of the latents weighted by the norms of their rows."""
        acts = torch.relu(self._pre(x))
        return self._error(acts, x) + COEFFICIENT * (acts * self.W_dec.norm(dim=1)).sum(1).mean()

    def gated(self, x: Tensor) -> Tensor:
        """With the auxiliary loss of the paper, through a frozen decoder."""
        with torch.no_grad():
            self.W_dec.div_(self.W_dec.norm(dim=1, keepdim=True))
        gate, acts = self._gate(x)
        via_gate = gate @ self.W_dec.detach() + self.b_dec.detach()
        aside = (via_gate - x).square().sum(1).mean()
        return self._error(acts, x) + COEFFICIENT * gate.sum(1).mean() + aside

    def gated_saelens(self, x: Tensor) -> Tensor:
        """With SAELens' auxiliary loss, which trains the decoder."""
        gate, acts = self._gate(x)
        penalty = COEFFICIENT * (gate * self.W_dec.norm(dim=1)).sum(1).mean()
        return self._error(acts, x) + penalty + self._error(gate, x)

    def jumprelu(self, x: Tensor) -> Tensor:
        """With a smooth count of the latents."""
        acts = _Jump.apply(self._pre(x), self.log_threshold.exp())
        return self._error(acts, x) + COEFFICIENT * torch.tanh(acts * self.W_dec.norm(dim=1)).sum(1).mean()

    def topk(self, x: Tensor) -> Tensor:
        """Reconstruction alone; the latents that are dead are few, and their loss is left out."""
        greatest = self._pre(x).topk(K, sorted=False)
        zeros = torch.zeros(len(x), len(self.W_dec), device=x.device)
        return self._error(zeros.scatter(1, greatest.indices, greatest.values.relu()), x)

    def _pre(self, x: Tensor) -> Tensor:
        return (x - self.b_dec) @ self.W_enc + self.b_enc

    def _gate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        product = (x - self.b_dec) @ self.W_enc
        gate = product + self.b_enc
        return gate.relu(), (gate > 0) * torch.relu(product * self.r_mag.exp() + self.b_mag)

    def _error(self, acts: Tensor, x: Tensor) -> Tensor:
        return (acts @ self.W_dec + self.b_dec - x).square().sum(1).mean()


def plain_steps(key: str, d_in: int, d_sae: int, batch: int, device: str) -> Callable[[], None]:
    """One step of training, to be called again and again."""
    torch.manual_seed(0)
    sae = Trained(key, d_in, d_sae).to(device)
    optimiser = torch.optim.Adam(sae.parameters(), lr=1e-3)
    x = torch.randn(batch, d_in, device=device)

    def step() -> None:
        optimiser.zero_grad()
        sae.loss(x).backward()
        nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        optimiser.step()

    return step


def saelens_steps(key: str, d_in: int, d_sae: int, batch: int, device: str) -> Callable[[], None]:
    """The same, as SAELens' trainer does it. Raises: ImportError where SAELens is not installed."""
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    from sandbox.training.architectures import ARCHITECTURES

    architecture = ARCHITECTURES[key]
    sae_class, settings = architecture.classes()
    coefficient = {architecture.coefficient: K if architecture.coefficient == "k" else COEFFICIENT}
    sae = sae_class(settings(d_in=d_in, d_sae=d_sae, **coefficient, **architecture.settings(4000))).to(device)
    trainer = SAETrainer(SAETrainerConfig(10**9, batch, lr=1e-3, lr_end=1e-3, device=device), sae, iter(()))
    x = torch.randn(batch, d_in, device=device)

    def step() -> None:
        trainer.step(x)

    return step
