"""Shrinkage of each latent: `Latents`, additive totals from which each latent's best factor s_j follows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from sandbox.errors import InputError
from sandbox.maths import symbols
from sandbox.maths.compile import evaluate, to_torch
from sandbox.maths.derived import derived
from sandbox.maths.measures import REGISTRY
from sandbox.moments.clusters import runs_of
from sandbox.moments.machine_code import compiled
from sandbox.moments.moments import Moments
from sandbox.moments.sums import Sums
from sandbox.moments.totalling import wide_array
from sandbox.report import interval, standard_error
from sandbox.report.layout import PRINTED, fitting, number, table
from sandbox.system.devices import sent
from sandbox.system.files import written_whole

if TYPE_CHECKING:
    from rich.table import Table

GROUPS = 32
"""Groups that clusters are dealt into. The t quantile with 31 degrees of freedom is 2.04; each latent takes 0.5 kB."""

OFTEN = 100
"""Tokens in which a latent must be active to be ranked or plotted: the factor of a rarer latent is mostly noise."""

FACTOR = "scale_x_hat"
STRIDE = 16  # latents checked together: usually all are off
SHARE = 1024  # latents per thread task, and per computation of intervals


class Agreement(NamedTuple):
    """How well the law predicts the factors s_j: those measured against those predicted, over `latents` latents.

    Attributes: correlation, slope: of the least-squares line; nan if fewer than two factors differ
    """

    latents: int
    correlation: float
    slope: float


@dataclass(frozen=True, eq=False)
class Latents(Sums):
    """Totals over tokens of each latent's contribution to x̂, per group of clusters; `+` merges.

    Let x̂_j = f_j·d_j be the contribution of latent j (f_j its activation in the space of x, d_j its row of W_dec), and
    x_j = x − x̂ + x̂_j its ideal contribution, given those of all other latents. The multiple of x̂_j closest to x_j is C2
    with a = E‖x_j‖², b = E‖x̂_j‖², c = E[x_j·x̂_j], that is, the measure `scale_x_hat`:

    $s_j = c/b = 1 + E[f_j d_j·(x − x̂)] / (E[f_j²]‖d_j‖²)$: 1 means not shrunk, above 1 shrunk, below 1 too strong.

    s_j is a ratio of totals, so its interval needs only the totals of each cluster, for the report's jackknife. The
    clusters are dealt into GROUPS groups, which act as larger clusters; with fewer of them, Student's quantile is
    larger. Only groups in which the latent is active count, weighted by their share of E‖x̂_j‖²: a latent that is active
    in a single group has no interval. Without documents, blocks of tokens are the clusters, and intervals are too
    narrow if documents are longer.

    An L1 penalty fixes s_j: `predicted` computes it from the training coefficient, `energy` and `penalty` alone.

    Attributes:
        pull:    Float64[Tensor, "groups d_sae"], sums of f_j d_j·(x − x̂), squared activation units
        energy:  Float64[Tensor, "groups d_sae"], sums of f_j²‖d_j‖²
        loss:    Float64[Tensor, "groups"], sums of ‖x − x̂‖²
        tokens:  Float64[Tensor, "groups"], number of finite tokens; others are left out
        count:   Float64[Tensor, "d_sae"], number of tokens in which the latent is active
        penalty: Float64[Tensor, "d_sae"], sums of f_j‖d_j‖, activation units

    Source: C2, C16, C20 and "Per latent" in docs/mathematics.md

    >>> import numpy as np
    >>> import torch
    >>> f, W_dec = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0, 0.0]])
    >>> x = 1.25 * f @ W_dec
    >>> Latents.from_batch(f, x - f @ W_dec, W_dec, np.arange(2)).scale_factors()
    tensor([1.2500], dtype=torch.float64)
    """

    pull: Float64[Tensor, "groups d_sae"]
    energy: Float64[Tensor, "groups d_sae"]
    loss: Float64[Tensor, "groups"]
    tokens: Float64[Tensor, "groups"]
    count: Float64[Tensor, "d_sae"]
    penalty: Float64[Tensor, "d_sae"]

    @classmethod
    def from_batch(
        cls,
        feature_acts: Float[Tensor, "n d_sae"],
        residual: Float[Tensor, "n d_in"],
        W_dec: Float[Tensor, "d_sae d_in"],
        cluster: Int[np.ndarray, "n"],
        scale: Float[Tensor, "n 1"] | None = None,
    ) -> Latents:
        """Totals of a batch of tokens.

        On the CPU, only active latents are multiplied. On an accelerator the products are dense, need two temporaries
        of the size of feature_acts (and two with one byte per entry), and nothing waits for the device.

        Args:
            feature_acts: output of the SAE's encoder
            residual:     x − x̂, in the space of x
            W_dec:        the decoder that made x̂
            cluster:      an integer per token, the same for tokens that are not independent (document, or block)
            scale:        factor that undoes each token's normalisation, if the SAE normalises tokens
        Returns: totals in float64, on the device of feature_acts (the CPU if that has no float64). Tokens with a NaN
                 or an infinity in the residual are left out.
        Raises:  InputError if the shapes do not match
        """
        n, d_sae = feature_acts.shape
        if (*W_dec.shape, *residual.shape) != (d_sae, W_dec.shape[1], n, W_dec.shape[1]) or (
            scale is not None and scale.numel() != n
        ):
            raise InputError(
                f"feature_acts {(n, d_sae)}, residual {tuple(residual.shape)}, W_dec {tuple(W_dec.shape)} do not "
                "match: give (n, d_sae), (n, d_in), (d_sae, d_in) and one scale per token"
            )
        group = runs_of(cluster, torch.Size((n,)), GROUPS).of_each_token()
        tensors = feature_acts.detach(), residual.detach(), W_dec.detach()
        host = feature_acts.device.type in ("cpu", "mps")  # MPS has no float64
        return cls(*(_on_host if host else _on_device)(*tensors, group, scale))

    @cached_property
    def moments(self) -> Moments:
        """Raw moments of x_j and x̂_j for each latent, shape (d_sae,), over the groups in which it is active."""
        pull, energy = self.pull.mT, self.energy.mT
        on = energy > 0
        totals = torch.stack((self.loss + 2 * pull + energy, energy, pull + energy), -1) * on[..., None]
        sums = totals.new_zeros(*on.shape, 2, 0)  # d = 0: the mean of x_j is never needed
        return Moments(totals, self.tokens * on, sums, totals.new_zeros(len(on)))

    def scale_factors(self) -> Float64[Tensor, "d_sae"]:
        """s_j: the factor on this latent alone that brings x̂ closest to x; nan if it was never active."""
        return evaluate(REGISTRY[FACTOR], *self.moments.means.unbind(-1))

    def predicted(self, l1: float) -> Float64[Tensor, "d_sae"]:
        """The s_j that an L1 penalty leaves at the end of training, by the law; nan if the latent was never active.

        It is computed from means of f_j and f_j² only, without x and x̂.

        Args:   l1: the coefficient of Σ_j f_j‖d_j‖ beside the squared error, in units of x (`Report.l1`)
        Source: C20
        """
        tokens = self.tokens.sum()
        law = to_torch(derived("C20")["from_totals"], (symbols.lam, symbols.penalty, symbols.b))
        return law(self.tokens.new_tensor(l1), self.penalty / tokens, self.energy.sum(0) / tokens)

    def agreement(self, l1: float, often: int = OFTEN) -> Agreement:
        """How measured factors go with `predicted` ones, over the latents active in at least `often` tokens."""
        kept = (self.count >= max(often, 1)) & (self.energy.sum(0) > 0)
        expected, factor = (t[kept].cpu().numpy() for t in (self.predicted(l1), self.scale_factors()))
        if len(factor) < 2 or np.ptp(expected) == 0 or np.ptp(factor) == 0:
            return Agreement(len(factor), np.nan, np.nan)
        return Agreement(
            len(factor), float(np.corrcoef(expected, factor)[0, 1]), float(np.polyfit(expected, factor, 1)[0])
        )

    def standard_errors(self) -> Float64[Tensor, "d_sae"]:
        """The cluster-robust standard error of each s_j, by the delta method (C16); `intervals` uses the jackknife.

        nan if the latent was active in fewer than two groups.
        """
        return standard_error(self.moments, REGISTRY[FACTOR].expression)

    def intervals(self) -> tuple[Float64[Tensor, "d_sae"], Float64[Tensor, "d_sae"]]:
        """(low, high) of each 95 % jackknife interval; nan if the latent was active in fewer than two groups."""
        shares = (self.moments[at : at + SHARE] for at in range(0, len(self.count), SHARE))  # to save memory
        low, high = zip(*(interval(share, REGISTRY[FACTOR]) for share in shares), strict=True)
        return torch.cat(low), torch.cat(high)

    def columns(self, l1: float | None = None) -> dict[str, np.ndarray]:
        """A table with a row for each latent, which `save` and `sandbox measure --latents` write.

        Args: l1: the L1 coefficient of training in units of x; None if it is unknown, or if there is none
        Columns, each of length d_sae:
            latent:         its number j, from 0: row j of W_dec
            scale_factor:   s_j; 1 means not shrunk, above 1 shrunk, below 1 too strong; nan if it was never active
            standard_error: of s_j, cluster-robust; nan if it was active in fewer than two groups of documents
            low, high:      ends of the 95 % interval of s_j; nan in the same case
            count:          number of tokens in which it was active
            predicted:      s_j by the law of the L1 penalty (`predicted`); nan without l1
        """
        low, high = self.intervals()
        named = {
            "scale_factor": self.scale_factors(),
            "standard_error": self.standard_errors(),
            "low": low,
            "high": high,
            "count": self.count.long(),
            "predicted": torch.full_like(self.count, torch.nan) if l1 is None else self.predicted(l1),
        }
        return {"latent": np.arange(len(self.count))} | {key: t.cpu().numpy() for key, t in named.items()}

    def most_shrunk(self, n: int = 10, often: int = OFTEN, l1: float | None = None) -> list[dict[str, Any]]:
        """The n latents with the greatest s_j among those active in at least `often` tokens, one row each.

        Undefined values are None; so is `predicted` without l1.
        """
        columns = self.columns(l1)
        ranked = np.argsort(-columns["scale_factor"], kind="stable")
        ranked = ranked[columns["count"][ranked] >= max(often, 1)][:n]
        rows = ({key: column[j].item() for key, column in columns.items()} for j in ranked)
        return [{key: None if value != value else value for key, value in row.items()} for row in rows]

    def table(self, n: int = 10, often: int = OFTEN, width: int = PRINTED, l1: float | None = None) -> Table:
        """The n most shrunk latents, for a terminal `width` columns wide; with l1, what the law predicts for them."""
        rows = self.most_shrunk(n, often, l1)
        narrow = () if l1 is None else (lambda: self._table(rows, often, l1, errors=False),)
        return fitting(width, lambda: self._table(rows, often, l1), *narrow)

    def _table(self, ranking: list[dict[str, Any]], often: int, l1: float | None, errors: bool = True) -> Table:
        """Args: ranking: from `most_shrunk`; errors: whether to show standard errors"""
        columns = {
            "latent": lambda row: f"{row['latent']}",
            "s_j": lambda row: number(row["scale_factor"]),
            "predicted": lambda row: number(row["predicted"]),
            "std. error": lambda row: "—" if row["standard_error"] is None else number(row["standard_error"]),
            "95 % interval": lambda row: "—" if row["low"] is None else f"{number(row['low'])} … {number(row['high'])}",
            "tokens": lambda row: f"{row['count']:,}",
        }
        shown = {"predicted": l1 is not None, "std. error": errors}
        columns = {header: cell for header, cell in columns.items() if shown.get(header, True)}
        rows = ([cell(row) for cell in columns.values()] for row in ranking)
        ranked, never = int((self.count >= often).sum()), int((self.count == 0).sum())
        caption = (
            f"s_j: the best factor for that latent alone; 1 means not shrunk. Of {len(self.count):,} latents, "
            f"{ranked:,} are active in at least {often:,} tokens and ranked; {never:,} are never active."
        )
        if l1 is not None:
            caption += f" Predicted: from the L1 penalty, λ = {l1:.4g} in units of x."
            _, correlation, slope = self.agreement(l1, often)
            if correlation == correlation:
                caption += f" Measured against predicted: correlation {correlation:.3f}, slope {slope:.3f}."
        right = columns.keys() - {"95 % interval"}
        return table("Latents with the greatest factors", [*columns], rows, right, caption=caption)

    def save(self, path: str | Path, l1: float | None = None) -> None:
        """Write `columns` to a .npz or .parquet file atomically. Raises: InputError as `check_table_format` does."""
        check_table_format(path)
        columns = self.columns(l1)
        with written_whole(path) as beside:
            if beside.suffix == ".npz":
                np.savez(beside, allow_pickle=False, **columns)
            else:
                import pyarrow
                from pyarrow import parquet

                parquet.write_table(pyarrow.table(columns), beside)


def check_table_format(path: str | Path) -> None:
    """Raise InputError for a file that is neither .npz nor .parquet, or for .parquet without pyarrow."""
    path = Path(path)
    if path.suffix not in (".npz", ".parquet"):
        raise InputError(
            f"{path}: latents are written as .npz or .parquet, not {path.suffix or 'without an extension'}; "
            "change the file's name"
        )
    if path.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise InputError(f"{path}: .parquet needs pyarrow; install it, or name a .npz file")


def _on_host(feature_acts, residual, W_dec, group: np.ndarray, scale) -> tuple[Tensor, ...]:
    """Torch's threads divide the latents into shares, each with its own columns of the totals.

    A share is small enough for its rows of W_dec to stay in the cache.
    """
    acts, left, rows = (wide_array(t) for t in (feature_acts, residual, W_dec))
    n, d_sae = acts.shape
    sizes = np.ones(n) if scale is None else scale.detach().reshape(-1).double().cpu().numpy()
    errors = np.einsum("nd,nd->n", left, left, dtype=np.float64)
    ok = np.isfinite(errors)
    norms = np.einsum("jd,jd->j", rows, rows, dtype=np.float64)
    pull, energy = np.zeros((GROUPS, d_sae)), np.zeros((GROUPS, d_sae))
    count, strength = np.zeros(d_sae), np.zeros(d_sae)

    def share(low: int) -> None:
        high = min(low + SHARE, d_sae)
        _add_latents(acts, left, rows, norms, sizes, group, ok, low, high, pull, energy, count, strength)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(share, range(0, d_sae, SHARE)))
    loss = np.bincount(group[ok], errors[ok], GROUPS)
    tokens = np.bincount(group[ok], minlength=GROUPS).astype(np.float64)
    return tuple(torch.from_numpy(total) for total in (pull, energy, loss, tokens, count, strength * np.sqrt(norms)))


@compiled
def _add_latents(acts, left, rows, norms, sizes, group, ok, low, high, pull, energy, count, strength) -> None:
    """Add the latents from `low` up to `high` of each finite token to the token's group, in float64."""
    n, d = left.shape
    for i in range(n):
        if not ok[i]:
            continue
        g = group[i]
        for start in range(low, high, STRIDE):
            stop = min(start + STRIDE, high)
            on = 0
            for j in range(start, stop):  # no branch: the compiler checks a register of latents at once
                on += acts[i, j] != 0
            if not on:
                continue
            for j in range(start, stop):
                if acts[i, j] != 0:
                    along = 0.0
                    for k in range(d):
                        along += np.float64(rows[j, k]) * np.float64(left[i, k])
                    f = np.float64(acts[i, j]) * sizes[i]
                    pull[g, j] += f * along
                    energy[g, j] += f * f * norms[j]
                    count[j] += 1
                    strength[j] += f


def _on_device(feature_acts, residual, W_dec, group: np.ndarray, scale) -> tuple[Tensor, ...]:
    """Dense products in float32 (float64 if any argument is); batches are summed in float64."""
    wide = torch.float64 if torch.float64 in {feature_acts.dtype, residual.dtype, W_dec.dtype} else torch.float32
    left, rows = residual.to(wide), W_dec.to(wide)
    errors = left.square().sum(1, dtype=torch.float64)
    ok = errors.isfinite()
    index = sent(group, feature_acts.device)
    member = (index == torch.arange(GROUPS, device=index.device)[:, None]) & ok
    on = (feature_acts != 0) & ok[:, None]
    count = on.sum(0, dtype=torch.float64)
    f = torch.where(on, feature_acts, 0).to(wide)
    if scale is not None:
        f *= torch.where(ok[:, None], scale.reshape(-1, 1), 0)
    norms = rows.square().sum(1, dtype=torch.float64)
    penalty = f.sum(0, dtype=torch.float64) * norms.sqrt()
    product = torch.where(ok[:, None], left, 0) @ rows.mT
    pull = (member.to(wide) @ product.mul_(f)).double()
    energy = (member.to(wide) @ f.square_()).double() * norms
    loss = (member * torch.where(ok, errors, 0)).sum(1)
    return pull, energy, loss, member.sum(1, dtype=torch.float64), count, penalty
