"""What the evaluation libraries would print for the same data at batch size B, to compare with the pooled measures.

Four libraries publish metrics, most of them under the same names, but average them differently: over tokens, as a mean
of per-batch ratios, or as a ratio of sums, each in the dtype of the activations (C15). The functions `saelens`,
`saebench`, `dictionary_learning` and `sparsify` compute what each library keeps of a batch, `LIBRARIES` names the final
step of each, and `Published` adds up batches. Where a library would print nan or inf, so does this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, reduce
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.linalg import vector_norm

from sandbox.errors import InputError
from sandbox.moments.sums import Sums
from sandbox.system.devices import sent
from sandbox.system.dtypes import ANY_FLOAT, FLOATS

PIECE = 2**18
"""Numbers to process at a time on a CPU, unless a single batch has more."""

Means = Mapping[str, Tensor]
"""The mean of each kept quantity by name: 0-d, in the dtype in which the library would hold it."""


class Batches:
    """k batches of B tokens, and the quantities that several libraries compute of a batch, in the dtype of the batch.

    Args:
        x, x_hat: Float[Tensor, "k B d"]
        l0:       Float[Tensor, "k B"], nonzero latents of each token; "0 B" if the latents are not visible
    """

    def __init__(self, x: Tensor, x_hat: Tensor, l0: Tensor):
        self.x, self.x_hat, self.l0 = x, x_hat, l0

    @cached_property
    def norm(self) -> Tensor:
        """‖x‖ of each token."""
        return vector_norm(self.x, dim=-1)

    @cached_property
    def norm_hat(self) -> Tensor:
        """‖x̂‖ of each token."""
        return vector_norm(self.x_hat, dim=-1)

    @cached_property
    def bias(self) -> Tensor:
        """The relative reconstruction bias of each batch: mean ‖x̂‖² divided by mean x·x̂."""
        return (self.norm_hat**2).mean(-1) / (self.x * self.x_hat).sum(-1).mean(-1)

    @cached_property
    def cosine(self) -> Tensor:
        """The cosine of each token, computed from rounded unit vectors; nan if x or x̂ is 0."""
        return (self.x / self.norm[..., None] * (self.x_hat / self.norm_hat[..., None])).sum(-1)

    @cached_property
    def squared_error(self) -> Tensor:
        """‖x − x̂‖² of each token."""
        return (self.x - self.x_hat).pow(2).sum(-1)

    def per_token(self) -> dict[str, Tensor]:
        """The metrics that SAELens and SAEBench share: both evaluations descend from the same file."""
        around = (self.x - self.x.mean(-2, keepdim=True)).pow(2).sum(-1)
        return {
            "l2_norm_in": self.norm,
            "l2_norm_out": self.norm_hat,
            "l2_ratio": self.norm_hat / torch.where(self.norm < 1e-4, 1, self.norm),
            "relative_reconstruction_bias": self.bias,
            "l0": self.l0,
            "explained_variance_legacy": 1 - self.squared_error / around,
            "cossim": self.cosine,
        }


def saelens(batch: Batches) -> dict[str, Tensor]:
    """SAELens 6.54, sae_lens/evals.py: `get_sparsity_and_variance_metrics`, `ExplainedVarianceCalculator`.

    `shrinkage` is from sae_lens/synthetic/evals.py, `ShrinkageCalculator`.

    A batch is `batch_size_prompts` whole sequences without their special tokens. Every metric is a mean over all
    tokens, in the dtype of the activations, except:

    - `relative_reconstruction_bias` is a mean over batches of one ratio per batch;
    - `explained_variance` is pooled: sums are taken in float32 and added up in float64. Of the libraries'
      metrics of that name it alone is the true explained variance, with the mean of x removed. (It treats a total
      variance below 1e-10, in squared activation units, as 0.)

    `explained_variance_legacy` divides each token's squared error by that token's squared distance from the batch mean.
    `l2_ratio` replaces a norm below 1e-4 by 1. `mse` is ‖x − x̂‖², summed over dimensions. `shrinkage` is the mean
    of ‖x̂‖/‖x‖ again, over the tokens with ‖x‖ above 1e-6, and 0 if there are none; the sum of each batch is rounded to
    the dtype of the activations. SAELens documents it as "1.0 = no shrinkage", but where γ is 1, the pooled norm ratio
    is the cosine (C10).
    """
    long_enough = batch.norm > 1e-6
    wide = batch.x.to(torch.promote_types(batch.x.dtype, torch.float32))
    return batch.per_token() | {
        "mse": batch.squared_error,
        "sum_squared_norm": wide.pow(2).sum((-2, -1)).double(),
        "sum_squared_residual": (wide - batch.x_hat).pow(2).sum((-2, -1)).double(),
        "num_samples": _tokens(batch.x),
        "total_shrinkage": torch.where(long_enough, batch.norm_hat / batch.norm, 0).sum(-1).double(),
        "shrinkage_samples": long_enough.sum(-1).double(),
    }


def saelens_prints(mean: Means, mean_x: Tensor) -> dict[str, Tensor]:
    """The means unchanged, plus explained variance and shrinkage from the sums (`compute` of either calculator)."""
    n = mean["num_samples"]
    mse = mean["sum_squared_residual"] / n
    variance = mean["sum_squared_norm"] / n - mean_x.pow(2).sum()
    flat = (mse < 1e-10).double()
    explained = torch.where(variance < 1e-10, flat, 1 - mse / variance)
    total, samples = mean["total_shrinkage"], mean["shrinkage_samples"]
    parts = ("sum_squared_norm", "sum_squared_residual", "num_samples", "total_shrinkage", "shrinkage_samples")
    return _without(mean, *parts) | {
        "explained_variance": explained,
        "shrinkage": torch.where(samples > 0, total / samples, 0),
    }


def saebench(batch: Batches) -> dict[str, Tensor]:
    """SAEBench 0.6, sae_bench/evals/core/main.py: `get_sparsity_and_variance_metrics`.

    As in SAELens, from which it was copied, except:

    - `mse` divides each token's ‖x − x̂‖² by the number of tokens in the batch before averaging over tokens, so it
      shrinks as the batch size grows;
    - `explained_variance` subtracts from E‖x‖² not the squared mean but the square of the mean *square*, (E‖x‖²/d)²,
      which has different units: it depends on the scale of x, and exceeds 1 if that is large. It is computed in the
      dtype of the activations.

    (The file that SAEBench writes has -1 where this function has nan: `replace_nans_with_negative_one`.)
    """
    return batch.per_token() | {
        "mse": batch.squared_error / batch.x.shape[-2],
        "mean_sum_of_squares": batch.x.pow(2).sum(-1).mean(-1),
        "mean_act_per_dimension": batch.x.pow(2).mean(-2),
        "mean_sum_of_resid_squared": batch.squared_error.mean(-1),
    }


def saebench_prints(mean: Means, mean_x: Tensor) -> dict[str, Tensor]:
    """The means unchanged, plus the explained variance from three of them (end of the same function)."""
    variance = mean["mean_sum_of_squares"] - mean["mean_act_per_dimension"] ** 2
    explained = 1 - mean["mean_sum_of_resid_squared"] / variance
    parts = ("mean_sum_of_squares", "mean_act_per_dimension", "mean_sum_of_resid_squared")
    return _without(mean, *parts) | {"explained_variance": explained}


def dictionary_learning(batch: Batches) -> dict[str, Tensor]:
    """dictionary_learning 0.1, dictionary_learning/evaluation.py: `evaluate`.

    A batch is what the generator of activations yields. Every metric is a mean over batches of one number per batch, in
    the dtype of the activations, so a short last batch weighs as much as a full one.

    - `frac_variance_explained` is 1 − Σ Var(x − x̂)/Σ Var(x), which removes the mean of the *residual*, too: a constant
      error, such as a forgotten bias, costs nothing. nan for a batch of one token;
    - `l2_ratio` and `cossim` do not guard against a norm of 0;
    - `l2_loss` is the mean of ‖x − x̂‖, not of its square.
    """
    whole = {
        "l2_loss": vector_norm(batch.x - batch.x_hat, dim=-1).mean(-1),
        "l0": batch.l0.mean(-1),
        "frac_variance_explained": 1 - _variance(batch.x - batch.x_hat) / _variance(batch.x),
        "cossim": batch.cosine.mean(-1),
        "l2_ratio": (batch.norm_hat / batch.norm).mean(-1),
        "relative_reconstruction_bias": batch.bias,
    }
    return {name: value.double() for name, value in whole.items()}  # .item() makes each a Python float


def sparsify(batch: Batches) -> dict[str, Tensor]:
    """sparsify 1.3, sparsify/sparse_coder.py: `SparseCoder.forward`, and the mean over batches that its `Trainer` logs.

    A batch holds the tokens of its sequences. `fvu` is Σ‖x − x̂‖²/Σ‖x − x̄‖² with x̄ the mean of that batch, in the dtype
    of the activations: where the denominator exceeds 65,504 in float16, it is inf and `fvu` is 0. A batch of B
    independent tokens has on average (B − 1)/B of the variance in the denominator; one token alone gives inf or nan.
    (On a GPU with bfloat16 the numerator is added up in float32; with `micro_acc_steps` above 1 the trainer logs the
    value divided by that number.)
    """
    variance = (batch.x - batch.x.mean(-2, keepdim=True)).pow(2).sum((-2, -1))
    return {"fvu": ((batch.x - batch.x_hat).pow(2).sum((-2, -1)) / variance).double()}  # float() of every batch's


class Library(NamedTuple):
    """How a library gets from batches to the metrics it prints.

    Attributes:
        keeps:  computes quantities from batches, by the library's names: one number per token or per batch
        prints: computes the printed metrics from the means of all those quantities and the mean of x over all tokens
    """

    keeps: Callable[[Batches], dict[str, Tensor]]
    prints: Callable[[Means, Tensor], Mapping[str, Tensor]]


LIBRARIES: Mapping[str, Library] = {
    "SAELens": Library(saelens, saelens_prints),
    "SAEBench": Library(saebench, saebench_prints),
    "dictionary_learning": Library(dictionary_learning, lambda mean, mean_x: mean),
    "sparsify": Library(sparsify, lambda mean, mean_x: mean),
}
"""The libraries by name."""


@dataclass(frozen=True, eq=False)
class Published(Sums):
    """Totals over batches of everything the libraries keep; `+` merges.

    B, the tokens in a batch, is `batch_size_prompts` times the context length less special tokens in SAELens and
    SAEBench, the size of a generator's batch in dictionary_learning, and `batch_size` times the context length in
    sparsify. Which tokens share a batch changes the result; this class exists to show by how much.

    Attributes:
        sums:    Float64[Tensor, "kept"], the sum of all entries of each kept quantity
        entries: Float64[Tensor, "kept 4"], the number of those entries in each dtype of FLOATS
        sum_x:   Float64[Tensor, "d"], the sum of x, for SAELens' variance

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> published = Published.from_batch(x, 0.5 * x) + Published.from_batch(10 * x, 7 * x)
    >>> round(published.values()["SAELens"]["relative_reconstruction_bias"], 6)  # pooled it is nearly 0.7
    0.6
    """

    sums: Float64[Tensor, "kept"]
    entries: Float64[Tensor, "kept 4"]
    sum_x: Float64[Tensor, "d"]

    @classmethod
    def from_batch(
        cls,
        x: Float[Tensor, "*batches tokens d"],
        x_hat: Float[Tensor, "*batches tokens d"],
        l0: Float[Tensor, "*batches tokens"] | None = None,
    ) -> Published:
        """Totals of one batch, or of several of the same size along leading axes; nothing waits for the device.

        Args:
            x, x_hat: activations and reconstructions of the same shape; their dtypes may differ
            l0:       nonzero latents of each token; without it the libraries' `l0` is left out
        Raises: InputError if shapes differ, or for a dtype that is not floating-point
        """
        if x.shape != x_hat.shape or x.ndim < 2:
            raise InputError(
                f"x has shape {tuple(x.shape)} and x_hat {tuple(x_hat.shape)}: both must be the same, (..., tokens, d)"
            )
        for name, tensor in (("x", x), ("x_hat", x_hat)):
            if tensor.dtype not in FLOATS:
                raise InputError(f"{name} has dtype {tensor.dtype}: {ANY_FLOAT} is needed")
        if l0 is not None and l0.shape != x.shape[:-1]:
            raise InputError(
                f"l0 has shape {tuple(l0.shape)}, the tokens {tuple(x.shape[:-1])}: give one count per token"
            )
        x, x_hat = (t.detach().flatten(0, -3) if t.ndim > 2 else t.detach()[None] for t in (x, x_hat))
        count = x.new_zeros((0, x.shape[1]), dtype=torch.float32) if l0 is None else l0.reshape(x.shape[:2]).float()
        if x.device.type == "mps":  # it has no float64
            x, x_hat, count = x.cpu(), x_hat.cpu(), count.cpu()
        batch = Batches(x, x_hat, count)
        kept = [values for library in LIBRARIES.values() for values in library.keeps(batch).values()]
        entries = torch.tensor([[values.numel() * (values.dtype == dtype) for dtype in FLOATS] for values in kept])
        sum_x = x.to(torch.promote_types(x.dtype, torch.float32)).sum(-2).double().sum(0)
        sums = torch.stack([values.sum(dtype=torch.float64) for values in kept])
        return cls(sums, sent(entries.double(), x.device), sum_x)

    @classmethod
    def from_tokens(
        cls,
        x: Float[Tensor, "tokens d"],
        x_hat: Float[Tensor, "tokens d"],
        size: int,
        l0: Float[Tensor, "tokens"] | None = None,
    ) -> Published:
        """Totals of consecutive tokens in batches of `size`; the last batch may be shorter.

        Each call starts a new batch, so pass a multiple of `size` tokens in all calls but the last.

        Raises: InputError for a size below 1 or no tokens, and as `from_batch` does
        """
        if size < 1 or not len(x):
            raise InputError(
                f"batches of {size} tokens out of {len(x)}: at least one token, and one per batch, is needed"
            )
        if len(x) != len(x_hat) or (l0 is not None and len(l0) != len(x)):
            raise InputError(f"x, x_hat and l0 must have the same number of tokens: x has shape {tuple(x.shape)}")
        tensors = [tensor for tensor in (x, x_hat, l0) if tensor is not None]
        # A piece fits into a CPU's cache; an accelerator takes all tokens at once.
        rows = PIECE // x.shape[-1] if x.device.type == "cpu" else len(x)
        step = max(rows // size, 1) * size
        parts = []
        for piece in zip(*(tensor.split(step) for tensor in tensors), strict=True):
            whole = len(piece[0]) // size * size
            if whole:
                parts.append(cls.from_batch(*(tensor[:whole].unflatten(0, (-1, size)) for tensor in piece)))
            if whole < len(piece[0]):
                parts.append(cls.from_batch(*(tensor[whole:] for tensor in piece)))
        return sum(parts[1:], start=parts[0])

    def values(self) -> dict[str, dict[str, float]]:
        """The metrics that each library would print, by library and name; a metric without data is left out.

        Means are rounded to the dtype in which the library holds them, so bfloat16 results look like bfloat16.
        """
        means: dict[str, dict[str, Tensor]] = {library: {} for library in LIBRARIES}
        for (library, kept), total, row in zip(_names(), self.sums.cpu(), self.entries.cpu(), strict=True):
            if row.any():
                dtype = reduce(torch.promote_types, [dtype for dtype, n in zip(FLOATS, row, strict=True) if n])
                means[library][kept] = (total / row.sum()).to(dtype)
        if not means["SAELens"]:  # no batches
            return {library: {} for library in LIBRARIES}
        mean_x = (self.sum_x / self.sums[_names().index(("SAELens", "num_samples"))]).cpu()
        return {
            name: {metric: value.item() for metric, value in library.prints(means[name], mean_x).items()}
            for name, library in LIBRARIES.items()
        }


@cache
def _names() -> tuple[tuple[str, str], ...]:
    """(library, kept quantity), in the order of `Published.sums`."""
    none = torch.zeros(0, 1, 1)
    batch = Batches(none, none, none[..., 0])
    return tuple((name, kept) for name, library in LIBRARIES.items() for kept in library.keeps(batch))


def _tokens(x: Tensor) -> Tensor:
    """B, repeated for each batch."""
    return torch.full(x.shape[:1], x.shape[1], dtype=torch.float64, device=x.device)


def _variance(x: Tensor) -> Tensor:
    """The unbiased variance of each batch, summed over dimensions; nan for one token.

    Like `torch.var`, it computes in float32 at least and rounds each dimension to the dtype, but ten times faster on a
    CPU.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    each = (wide - wide.mean(-2, keepdim=True)).pow(2).sum(-2) / (x.shape[-2] - 1)
    return each.to(x.dtype).sum(-1)


def _without(mean: Means, *names: str) -> dict[str, Tensor]:
    return {name: value for name, value in mean.items() if name not in names}
