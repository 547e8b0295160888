"""The reader of losses: token ids ► a row of losses per token, for the model and for each replacement.

It takes the place of a tap (`sandbox.activations.live.model.Tap`), so that losses are read, shared between processes
and resumed exactly as activations are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import kl_div

from sandbox.downstream.libraries import LIBRARIES, Library
from sandbox.downstream.replacements import Ablations, Computed, Reconstructions
from sandbox.downstream.splice import Clean, Splice
from sandbox.errors import InputError
from sandbox.report.losses import CLEAN, TOKENS, X_HAT, ZERO
from sandbox.system.devices import sent

NONFINITE = "nonfinite"
ENERGIES = ("a", "b", "c", "l0")
"""‖x − b_dec‖², ‖x̂ − b_dec‖², their inner product, and the number of active latents."""

AT_ONCE = 2**25
"""Logits computed at a time on a CPU: 128 MB in float32."""

AT_ONCE_ON_GPU = 2**28

SLICE = 2**24
"""Logits turned into losses at a time, so that only the logits themselves are held whole."""

MOST = 4096
"""Tokens computed at a time, however small the vocabulary: an SAE's latents take memory, too."""


class Reader:
    """Losses of a model with and without replaced activations, from token ids.

    Activations are replaced at tokens of text of norm up to `limit`. Special tokens and outliers keep theirs. A
    prediction counts if it is made at a replaced token and if the next token is text.

    Attributes:
        model, device: of the splice
        columns:       names of the numbers in a row: `tokens` (1 if the prediction counts); `clean`; `nonfinite` (1 if
                       the activation at this token of text has a nan or an infinity); for each replacement its
                       cross-entropy and its KL divergence from the clean model (nats); for each SAE its ENERGIES; and,
                       in the row of the first token of each context, each library's sums over it
    """

    target = None  # of a tap with two points

    def __init__(
        self,
        splice: Splice,
        tokenizer: Any,
        special: Iterable[int],
        saes: Sequence[Reconstructions],
        ablations: Ablations | None = None,
        limit: float = float("inf"),
        libraries: Sequence[Library] = LIBRARIES,
    ) -> None:
        self.splice, self.saes, self.ablations, self.limit = splice, saes, ablations, limit
        self.model, self.device, self.module = splice.model, splice.device, splice.module
        self._special_here = torch.tensor(sorted(special), dtype=torch.int64)
        self._special = sent(self._special_here, self.device)
        # Each of them compares with zero.
        compared = libraries if ablations else ()
        self._libraries = [(library, library.ids(tokenizer)) for library in compared]
        self._special_of = {library.key: sent(special, self.device) for library, special in self._libraries}
        self.columns = self._columns()
        self._at_once = 1 << 30  # contexts, until memory runs out

    def each(self, inputs: dict[str, Tensor]) -> list[Tensor]:
        """The rows, as the only point of a tap."""
        return [self(inputs)]

    def _columns(self) -> list[str]:
        names = [TOKENS, CLEAN, NONFINITE]
        replacements = [*(self.ablations.names if self.ablations else ())]
        replacements += [column(number, name) for number, sae in enumerate(self.saes) for name in sae.names]
        names += [f"{name}.{what}" for name in replacements for what in ("ce", "kl")]
        names += [column(number, name) for number in range(len(self.saes)) for name in ENERGIES]
        for library, _ in self._libraries:
            names += [f"{library.key}.{TOKENS}", f"{library.key}.{CLEAN}", f"{library.key}.{ZERO}"]
            names += [f"{library.key}.{column(number, X_HAT)}" for number in range(len(self.saes))]
        return names

    @torch.no_grad()
    def __call__(self, inputs: dict[str, Tensor]) -> Float[Tensor, "batch tokens columns"]:
        """The rows of a batch; when memory runs out, it is halved, for the rest of the run.

        Args: inputs: a tokenizer's output, (batch, tokens) each, padded on the right
        """
        rows, length = inputs["input_ids"].shape
        if rows <= self._at_once:
            try:
                return self._rows(inputs)
            except torch.OutOfMemoryError as error:
                if rows == 1:
                    raise InputError(
                        f"the model runs out of memory on a context of {length} tokens: choose a shorter context"
                    ) from error
            self._at_once = rows // 2  # outside `except`: the error no longer keeps the tensors alive
        size = self._at_once  # which may shrink again meanwhile
        parts = ({key: value[start : start + size] for key, value in inputs.items()} for start in range(0, rows, size))
        return torch.cat([self(part) for part in parts])

    def _rows(self, inputs: dict[str, Tensor]) -> Tensor:
        here, inputs = inputs, {key: sent(value, self.device) for key, value in inputs.items()}
        clean = self.splice.clean(inputs)
        ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
        text = mask & ~torch.isin(ids, self._special)
        norm = clean.x.norm(dim=-1, dtype=torch.promote_types(clean.x.dtype, torch.float32))
        at = Batch(self.splice, inputs, clean, ids, mask, text & (norm <= self.limit))
        counts = at.replaced.clone()
        counts[:, :-1] &= text[:, 1:]
        counts[:, -1] = False
        values: dict[str, Tensor] = {TOKENS: counts, CLEAN: at.clean_loss}
        everywhere: dict[str, dict[str, Tensor]] = {}
        flat = clean.x.flatten(0, 1)
        computed = [sae.computed(flat) for sae in self.saes]
        for name, x in self._replacements(flat, computed):
            x = x.reshape(clean.x.shape)
            values[f"{name}.ce"], values[f"{name}.kl"] = at.losses(x)
            if self._libraries and name.rpartition(".")[2] in (X_HAT, ZERO):
                everywhere[name] = self._of_libraries(name, x, at, here, values[f"{name}.ce"])
        for number, of_sae in enumerate(computed):
            for name, value in zip(ENERGIES, _energies(flat, of_sae), strict=True):
                values[column(number, name)] = value.reshape(mask.shape)
        rows = {name: torch.where(counts, value.float(), 0.0) for name, value in values.items()}
        rows[NONFINITE] = (text & ~norm.isfinite()).float()
        rows |= self._sums(at, text, everywhere)
        return torch.stack([rows[name] for name in self.columns], -1)

    def _replacements(self, x: Float[Tensor, "n d"], computed: Sequence[Computed]) -> Iterable[tuple[str, Tensor]]:
        if self.ablations:
            yield from zip(self.ablations.names, self.ablations.replacements(x), strict=True)
        for number, (sae, of_sae) in enumerate(zip(self.saes, computed, strict=True)):
            names = [column(number, name) for name in sae.names]
            yield from zip(names, sae.replacements(x, of_sae), strict=True)

    def _of_libraries(self, name: str, x: Tensor, at: Batch, here: dict[str, Tensor], own: Tensor) -> dict[str, Tensor]:
        """The cross-entropy with x at the tokens at which each library replaces the activations, by library.

        Which tokens these are is decided on the CPU, from the inputs `here`: the device would have to be waited for.
        """
        ids, mask = here["input_ids"], here["attention_mask"].bool()
        known: list[tuple[Tensor, Tensor]] = []
        if self.limit == float("inf"):  # else only the device knows which tokens are outliers
            known.append((mask & ~torch.isin(ids, self._special_here), own))
        by_library = {}
        for library, special in self._libraries:
            all_tokens = library.replaces or name == ZERO
            where = mask if all_tokens else mask & ~torch.isin(ids, special)
            same = next((loss for tokens, loss in known if torch.equal(tokens, where)), None)
            if same is None:
                same = at.losses(x, sent(where, self.device), divergence=False)[0]
                known.append((where, same))
            by_library[library.key] = same
        return by_library

    def _sums(
        self, at: Batch, text: Bool[Tensor, "batch tokens"], everywhere: dict[str, dict[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Each library's sums over a context, in the row of its first token of text; the other rows are 0."""
        first = text & (text.cumsum(1) == 1)
        sums = {}
        for library, _ in self._libraries:
            counts = library.counted(at.ids, at.mask, self._special_of[library.key])
            losses = {TOKENS: torch.ones_like(at.clean_loss), CLEAN: at.clean_loss}
            losses |= {name: of_library[library.key] for name, of_library in everywhere.items()}
            for name, loss in losses.items():
                total = torch.where(counts, loss, 0.0).sum(1, keepdim=True)
                sums[f"{library.key}.{name}"] = torch.where(first, total, 0.0)
        return sums


class Batch:
    """A batch of contexts, and the losses of replacing their activations."""

    def __init__(
        self,
        splice: Splice,
        inputs: dict[str, Tensor],
        clean: Clean,
        ids: Int[Tensor, "batch tokens"],
        mask: Bool[Tensor, "batch tokens"],
        replaced: Bool[Tensor, "batch tokens"],
    ) -> None:
        self.splice, self.inputs, self.clean = splice, inputs, clean
        self.ids, self.mask, self.replaced = ids, mask, replaced
        self._target = ids.roll(-1, 1).flatten()[:, None]  # that of the last token is not counted
        self._log_p = clean.logits.flatten(0, 1).float().log_softmax(-1)
        del clean.logits  # as large
        self.clean_loss = _cross_entropy(self._log_p, self._target).reshape(ids.shape)

    def losses(
        self, x: Float[Tensor, "batch tokens d"], where: Tensor | None = None, *, divergence: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy and KL(clean ‖ replaced) at each token, (batch, tokens), nats.

        Args: where: the tokens whose activations x replaces; by default, `replaced`
        """
        where = self.replaced if where is None else where
        x = torch.where(where[..., None], x.to(self.clean.x.dtype), self.clean.x)
        logits = self.splice.replaced(self.inputs, self.clean, x).flatten(0, 1)
        losses, divergences = [], []
        size = max(1, SLICE // logits.shape[1])
        for part, log_p, target in zip(
            logits.split(size), self._log_p.split(size), self._target.split(size), strict=True
        ):
            log_q = part.float().log_softmax(-1)
            losses.append(_cross_entropy(log_q, target))
            if divergence:
                divergences.append(kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1))
        loss = torch.cat(losses).reshape(self.ids.shape)
        return loss, torch.cat(divergences).reshape(self.ids.shape) if divergence else loss


def _cross_entropy(log_p: Float[Tensor, "n vocabulary"], target: Int[Tensor, "n 1"]) -> Float[Tensor, "n"]:
    return -log_p.gather(-1, target)[:, 0]


def column(sae: int, name: str) -> str:
    """The name of an SAE's column."""
    return f"{sae}.{name}"


def contexts_at_once(context: int, vocabulary: int, device: torch.device) -> int:
    """Number of contexts whose logits fit in memory several times."""
    at_once = AT_ONCE if device.type == "cpu" else AT_ONCE_ON_GPU
    return max(1, min(at_once // (context * vocabulary), MOST // context))


def _energies(x: Float[Tensor, "n d"], computed: Computed) -> Sequence[Tensor]:
    """Of each token: ENERGIES."""
    wide = torch.promote_types(computed.x_hat.dtype, torch.float32)
    t, u = (vector.to(wide) - computed.bias.to(wide) for vector in (x, computed.x_hat))
    return (t * t).sum(-1), (u * u).sum(-1), (t * u).sum(-1), computed.l0
