"""The best decoders for given latents: joint factors of all rows, or all of W_dec and b_dec, by ridge regression.

Least squares alone would give a rare latent whatever row fits the few tokens in which it is active. The ridge prevents
that: it is as if each latent had been active in `ridge` further tokens, with its mean square strength, in which its
starting row was right. A latent that is active much more often than that gets the row of least squares, a rarer one
keeps most of its starting row, and one that is never active keeps its own row unchanged.

The ridge is chosen from RIDGES by two-fold cross-validation: each fold of the documents to fit on judges what is fitted
on the other. Starting rows are those of the simpler correction, fitted to the same documents: the one best factor for
the joint factors, and the joint factors for the decoder. So on these documents neither does worse than its start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float64
from torch import Tensor

from sandbox.maths.compile import evaluate
from sandbox.maths.measures import REGISTRY
from sandbox.measuring.normal_equations import FOLDS, NormalEquations

COARSE, FINE = tuple(10.0**step for step in range(5, -1, -1)), 10**0.5
"""The ridges to choose from, in tokens: the best of the coarse ones, strongest first, or that times or over FINE."""

WITHOUT_FOLDS = 1000.0
"""The ridge if one fold has no tokens, so that nothing can be cross-validated."""

SINGULAR = 1e-10
"""Smallest share of a diagonal entry that may be left in Cholesky's factor; below it, the eigenvalues are used."""

CHUNK = 1024  # rows of a matrix multiplied at a time, to save memory


@dataclass(frozen=True)
class Fitted:
    """A solution of `Regression`.

    Attributes:
        rows:  Float64[Tensor, "n m"]
        ridge: in tokens
    """

    rows: Float64[Tensor, "n m"]
    ridge: float


class LeastSquares:
    """Decoders fitted to normal equations, on the CPU.

    Args:
        equations: on the CPU; they are not changed
        W_dec:     Float64[Tensor, "d_sae d_in"], the present decoder
        ridge:     in tokens, 0 for none; None: chosen by cross-validation, separately for both fits
    """

    def __init__(self, equations: NormalEquations, W_dec: Float64[Tensor, "d_sae d_in"], ridge: float | None = None):
        self.equations, self.ridge = equations, ridge
        self.present = torch.cat((W_dec, W_dec.new_zeros(1, W_dec.shape[1])))

    def joint(self) -> Fitted:
        """The factor of each row of W_dec, Float64[Tensor, "d_sae 1"]; 1 if its latent is never active."""
        factors, ridge, _ = self._factors
        return Fitted(factors[:-1], ridge)

    def decoder(self) -> Fitted:
        """W_dec and, in the last row, the shift of b_dec, Float64[Tensor, "d_sae+1 d_in"]."""
        totals = self.equations
        regression = Regression(totals.products, totals.pulls, totals.energy, totals.count, self.ridge)
        factors, _, of_folds = self._factors
        return regression.fit(factors * self.present, [of_fold * self.present for of_fold in of_folds])

    @cached_property
    def _factors(self) -> tuple[Tensor, float, list[Tensor]]:
        """The joint factors, their ridge, and the factors fitted to each fold alone."""
        products = self.equations.products.clone()
        for low in range(0, len(self.present), CHUNK):
            products[:, low : low + CHUNK] *= self.present[low : low + CHUNK] @ self.present.mT
        pulls = (self.equations.pulls * self.present).sum(-1, keepdim=True)
        regression = Regression(products, pulls, self.equations.energy, self.equations.count, self.ridge)

        def start(folds: Sequence[int]) -> Tensor:
            """C2, for the latents that are active in any fold."""
            totals = (sum(total[fold].sum() for fold in folds) for total in (self.equations.energy, products, pulls))
            factor = evaluate(REGISTRY["scale_x_hat"], *totals)
            return torch.where(regression.active, factor, 1)[:, None]

        alone = [start([fold]) if fold in regression.folds else start(regression.folds) for fold in range(FOLDS)]
        fitted = regression.fit(start(regression.folds), alone)
        of_folds = [regression.solved([fold], alone[fold], fitted.ridge) for fold in range(FOLDS)]
        return fitted.rows, fitted.ridge, of_folds


class Regression:
    """Ridge regression on totals by fold: minimises Σ ‖t − φW‖² and the ridge times the distance from a start.

    Args:
        products: Float64[Tensor, "folds n n"], Σ φᵀφ
        pulls:    Float64[Tensor, "folds n m"], Σ φᵀt
        energy:   Float64[Tensor, "folds"], Σ ‖t‖²
        count:    Float64[Tensor, "folds n"], tokens in which each φ_j is not 0, and last all tokens
        ridge:    in tokens; None: chosen by cross-validation
    """

    def __init__(self, products: Tensor, pulls: Tensor, energy: Tensor, count: Tensor, ridge: float | None):
        self.products, self.pulls, self.energy, self.ridge = products, pulls, energy, ridge
        self.folds = [fold for fold in range(FOLDS) if count[fold, -1] > 0]
        squares, total = products.diagonal(dim1=1, dim2=2).sum(0), count.sum(0)
        self.active = total > 0
        self._strength = torch.where(squares > 0, squares / total.clamp(min=1), 1)  # mean square where active

    def loss(self, rows: Tensor, fold: int) -> float:
        """Σ ‖t − φW‖² over a fold."""
        return (self.energy[fold] + ((self.products[fold] @ rows - 2 * self.pulls[fold]) * rows).sum()).item()

    def fit(self, start: Tensor, alone: Sequence[Tensor]) -> Fitted:
        """The rows fitted to all folds.

        Args: start: for all folds; alone: for each fold, from that fold only, to choose the ridge
        """
        ridge = self._chosen(alone)
        return Fitted(self.solved(self.folds, start, ridge), ridge)

    def _chosen(self, starts: Sequence[Tensor]) -> float:
        """The ridge with the least loss on the fold that each fit has not seen."""
        if self.ridge is not None:
            return self.ridge
        if len(self.folds) < FOLDS:
            return WITHOUT_FOLDS
        residuals = [self._residual([fold], starts[fold]) for fold in range(FOLDS)]

        def loss(ridge: float) -> float:
            fits = (starts[fold] + self._change([fold], residuals[fold], ridge) for fold in range(FOLDS))
            return sum(self.loss(rows, 1 - fold) for fold, rows in enumerate(fits))

        best, least = _least(loss, COARSE)
        return _least(loss, (best * FINE, best / FINE), best, least)[0]

    def solved(self, folds: Sequence[int], start: Tensor, ridge: float) -> Tensor:
        """The rows fitted to some folds."""
        return start + self._change(folds, self._residual(folds, start), ridge)

    def _residual(self, folds: Sequence[int], start: Tensor) -> Tensor:
        """Σ φᵀ(t − φ·start)."""
        residual = torch.zeros_like(start)
        for fold in folds:
            residual += self.pulls[fold] - self.products[fold] @ start
        return residual

    def _change(self, folds: Sequence[int], residual: Tensor, ridge: float) -> Tensor:
        """(products + ridge·strength)⁻¹·residual, and 0 where products are 0.

        Rows are divided by the roots of their strengths first: the diagonal then counts tokens.
        """
        products = self.products[folds[0]].clone() if folds else torch.zeros_like(self.products[0])
        for fold in folds[1:]:
            products += self.products[fold]
        off = products.diagonal() <= 0
        by = self._strength.rsqrt()
        products *= by
        products *= by[:, None]
        products.diagonal().add_(ridge + off.double())
        return by[:, None] * solve(products, by[:, None] * torch.where(off[:, None], 0, residual))


def _least(
    loss: Callable[[float], float], ridges: Sequence[float], best: float = COARSE[0], least: float = torch.inf
) -> tuple[float, float]:
    """The ridge of least loss: up to the first that is worse, as losses fall, then rise along `ridges`."""
    for ridge in ridges:
        value = loss(ridge)
        if value > least:
            if best in ridges:
                break
            continue
        best, least = ridge, value
    return best, least


def solve(matrix: Tensor, right: Tensor) -> Tensor:
    """The solution of least norm of a positive semi-definite system: Cholesky's, or by eigenvalues if nearly singular.

    Args: matrix: Float64[Tensor, "n n"]; right: Float64[Tensor, "n m"]
    """
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if not failed and (factor.diagonal().square() > SINGULAR * matrix.diagonal()).all():
        return torch.cholesky_solve(right, factor)
    del factor
    values, vectors = torch.linalg.eigh(matrix)
    kept = values > SINGULAR * values[-1]
    return vectors @ (torch.where(kept, 1 / values, 0)[:, None] * (vectors.mT @ right))
