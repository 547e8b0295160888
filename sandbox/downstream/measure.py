"""What SAEs cost a causal language model: fit corrections on some documents, and measure its loss on the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox.activations.live.kept import Kept
from sandbox.activations.live.source import Live
from sandbox.downstream.fits import Gathered, best_factor, gathered, refitted
from sandbox.downstream.libraries import LIBRARIES
from sandbox.downstream.options import Options, checked
from sandbox.downstream.reader import NONFINITE, Reader, column
from sandbox.downstream.replacements import Ablations, Reconstructions
from sandbox.downstream.search import search
from sandbox.downstream.spliced import Opened, Spliced
from sandbox.downstream.totals import LossSums
from sandbox.errors import InputError
from sandbox.measuring.forward import FEW, Forward
from sandbox.measuring.measure import look
from sandbox.measuring.one_pass import NotSaved, Saving, Stopped, stream
from sandbox.measuring.preflight import Finding, provenance
from sandbox.measuring.ranks import Ranks, Share
from sandbox.measuring.resume import Facts, State
from sandbox.report.loss_report import LossReport
from sandbox.report.losses import LEAST_ERROR, LEAST_LOSS, LossCurve, Ratios, SaeLosses
from sandbox.system.devices import without_autocast
from sandbox.system.interrupts import stoppable

PER_LATENT = "per-latent"

CEILINGS = ("joint", "decoder")
"""Kinds of correction that show how much any correction of the decoder could bring."""


@without_autocast()
def loss(
    model: str | Path, layer: int | None, text: str | Path, sae: Any, *, device: str = "auto", **options: Any
) -> LossReport:
    """What SAEs cost a causal language model, in nats per token, and how much of that correcting them wins back.

    The activations at one module are replaced by x̂, by x̂ stretched about the decoder bias with the factor of the least
    error and with that of the least loss, by x̂ with a factor per latent, by their mean, and by zero. The corrections
    and the mean come from some documents; the losses from the others, on the same tokens, so that differences are
    paired. Where fewer tokens are asked for than there are, the contexts read are spread evenly over the text, which
    may be sorted by topic. Special tokens keep their activations.

    Args:
        model:   a folder of a causal language model, as `sandbox.activations.live.live` takes it
        layer:   replace the residual stream after this block, counted from 0; None with the option `hook`
        text:    as for `live`
        sae:     a checkpoint's path, a `Checkpoint`, a SAELens object, or any callable that maps x to x̂, for which
                 there is no factor per latent; or a list of these
        device:  of the model and of checkpoints
        options: see `Options`
    Returns: a `LossReport`
    Raises:  InputError for input that cannot be measured; Stopped (a KeyboardInterrupt with the partial report) on
             Ctrl-C and SIGTERM; NotSaved (an InputError with the complete report) if the state could not be saved
    """
    chosen = checked(options)
    saes = list(sae) if isinstance(sae, Sequence) and not isinstance(sae, str) else [sae]
    if not saes:
        raise InputError("the list of SAEs is empty: at least one is needed")
    ranks = Ranks.here()
    spliced = Spliced(Path(model), layer, text, saes, ranks.device(device), chosen)
    with ranks.joined(str(spliced.device)), stoppable(), spliced.halves() as (to_fit, to_measure):
        return _Run(spliced, chosen, ranks).report(to_fit, to_measure)


@dataclass(frozen=True)
class _Run:
    """A run: it fits and searches on one half of the text, and measures on the other."""

    spliced: Spliced
    chosen: Options
    ranks: Ranks

    def report(self, to_fit: Kept, to_measure: Kept) -> LossReport:
        spliced, chosen = self.spliced, self.chosen
        source = spliced.read(spliced.tap, to_fit, chosen.fit_tokens)
        fitted = min(chosen.fit_tokens, source.count())
        with gathered(
            source, fitted, chosen.exclude_outliers, chosen.outliers_above, chosen.bars("tokens to fit on", fitted)
        ) as activations:
            for sae in spliced.saes:
                sae.sae.try_on(activations.source.sample(FEW))
            findings = self._look(activations)
            factors, corrected = [], []
            for sae in spliced.saes:
                factors.append(factor := best_factor(sae, activations))
                corrected.append({} if factor is None else self._corrected(sae, activations))
        limit = activations.limit if chosen.exclude_outliers else float("inf")
        curves = self._curves(to_fit, limit, factors)
        saes = []
        for sae, factor, curve, others in zip(spliced.saes, factors, curves, corrected, strict=True):
            by_name = {} if factor is None else {LEAST_ERROR: factor}
            by_name |= {} if curve is None else {LEAST_LOSS: curve.best}
            saes.append(replace(sae, factors=by_name, corrected=others))
        libraries = LIBRARIES if chosen.libraries else ()
        reader = self._reader(saes, Ablations(activations.mean), limit, libraries)
        source = spliced.read(reader, to_measure, chosen.tokens, spliced.batch)
        outliers = {"limit": activations.limit, "tokens": activations.outliers, "excluded": chosen.exclude_outliers}

        def made(state: State, complete: bool) -> LossReport:
            sums = state.totals[0].sums.cpu() if state.totals else torch.zeros(1, len(reader.columns)).double()
            ratios = Ratios(reader.columns, sums)
            shown = {library.key: library.name for library in libraries}
            every = [
                SaeLosses(name, sae.sae.description, number, sae.names, sae.factors, curve, shown, ratios, sae.about)
                for number, (name, sae, curve) in enumerate(zip(spliced.names, saes, curves, strict=True))
            ]
            return LossReport(
                spliced.name,
                spliced.splice.module,
                ratios,
                len(state.documents),
                fitted_on=activations.tokens,
                fitted_documents=activations.documents,
                outliers=outliers,
                saes=every,
                complete=complete,
                findings=findings,
            )

        state = self._measured(reader, source, saes, made)
        if not state.totals or not state.totals[0].sums[:, 0].sum():
            raise InputError(f"{spliced.name}: no document is left to measure the loss on: give more text")
        if bad := int(state.totals[0].sums[:, reader.columns.index(NONFINITE)].sum()):
            raise InputError(
                f"{spliced.name}: {bad} activations have a nan or an infinity: compute the model in float32"
            )
        if not state.totals[0].sums[:, 1].isfinite().all():
            raise InputError(f"{spliced.name}: the model's own loss is nan or infinite: compute it in float32")
        return made(state, True)

    def _reader(self, saes: Sequence[Reconstructions], *more: Any) -> Reader:
        contexts = self.spliced.contexts
        return Reader(self.spliced.splice, contexts.tokenizer, contexts.special.tolist(), saes, *more)

    def _look(self, activations: Gathered) -> list[dict[str, str]]:
        findings = []
        spliced = self.spliced
        for name, sae in zip(spliced.names, spliced.saes, strict=True):
            of_sae: list[Finding] = provenance(sae.sae.trained_on, spliced.origin)
            if self.chosen.look:
                of_sae += look(sae.original, activations.source, device=str(spliced.device), dtype=self.chosen.dtype)
            findings += [{"sae": name, "key": finding.key, "message": finding.message} for finding in of_sae]
        if self.chosen.strict and findings:
            messages = "; ".join(finding["message"] for finding in findings)
            raise InputError(f"strict: the preflight check failed: {messages}")
        if self.chosen.warn and self.ranks.first:
            for finding in findings:
                self.chosen.warn(f"{finding['sae']}: {finding['message']}")
        return findings

    def _corrected(self, sae: Opened, activations: Gathered) -> dict[str, Forward]:
        if sae.checkpoint is None:
            return {}
        kinds = (PER_LATENT, *(CEILINGS if self.chosen.ceilings else ()))
        return refitted(sae.checkpoint, sae.sae, activations, kinds)

    def _curves(self, to_fit: Kept, limit: float, starts: Sequence[float | None]) -> list[LossCurve | None]:
        """The search of each SAE, on the documents that were fitted on."""
        spliced, chosen = self.spliced, self.chosen
        if not chosen.search_tokens:
            return [None] * len(spliced.saes)

        def losses(factors: Sequence[Sequence[float]]) -> list[tuple[Tensor, Tensor]]:
            stretched = [
                replace(sae, factors={str(factor): factor for factor in of_sae})
                for sae, of_sae in zip(spliced.saes, factors, strict=True)
            ]
            reader = self._reader(stretched, None, limit, ())
            source = spliced.read(reader, to_fit, chosen.search_tokens, spliced.batch)
            forwards = [sae.sae for sae in spliced.saes]
            share = Share(stop=min(chosen.search_tokens, source.count()))
            moved = chosen.bars("searching the least loss", share.stop or 0)
            sums = stream(forwards, source, spliced.chunk, _count, share, progress=moved).totals[0].sums.cpu()
            return [
                (
                    sums[:, [reader.columns.index(f"{column(number, str(factor))}.ce") for factor in of_sae]],
                    sums[:, 0],
                )
                for number, of_sae in enumerate(factors)
            ]

        return self.ranks.broadcast(search(losses, [[start] if start else [] for start in starts]))

    def _measured(self, reader: Reader, source: Live, saes: Sequence[Reconstructions], made: Any) -> State:
        chosen, chunk = self.chosen, self.spliced.chunk
        forwards = [sae.sae for sae in saes]
        source.tokens = min(source.count(), chosen.tokens or source.count())  # the processes share these
        share = self.ranks.share(source, chunk)
        share = replace(share, stop=source.tokens if share.stop is None else share.stop)
        saving = None
        if chosen.checkpoint is not None:
            more = chosen.every, chosen.tell, lambda tensors: LossSums(**tensors)
            saving = Saving.of_rank(chosen.checkpoint, self._facts(saes), self.ranks, *more)
        try:
            moved = chosen.bars("measuring the loss", (share.stop or 0) - share.start)
            state = stream(forwards, source, chunk, _count, share, saving=saving, progress=moved)
        except Stopped as stopped:
            stopped.reports = [made(stopped.state, False)]
            raise
        state = self.ranks.total(state, self.spliced.device)
        if saving and saving.failed:
            raise NotSaved(saving.failed[-1], [made(state, True)])
        return state

    def _facts(self, saes: Sequence[Reconstructions]) -> Facts:
        chosen = self.chosen
        facts = self.spliced.facts()
        facts |= {"--share": chosen.share, "--seed": chosen.seed, "--fit-tokens": chosen.fit_tokens}
        facts |= {"--search-tokens": chosen.search_tokens, "--tokens": chosen.tokens}
        facts["the choice of tokens"] = "evenly"  # once it was the first ones
        facts["--exclude-outliers"] = f"above {chosen.outliers_above:g}" if chosen.exclude_outliers else "no"
        facts["--ceilings"] = "yes" if chosen.ceilings else "no"
        facts["--published"] = "yes" if chosen.libraries else "no"
        for number, sae in enumerate(saes, 1):
            facts |= {f"SAE {number}": sae.sae.name, f"the digest of SAE {number}": sae.sae.identity}
            facts |= {f"the factor of SAE {number}, {name}": round(factor, 4) for name, factor in sae.factors.items()}
        return facts


def _count(rows: Tensor, cluster: np.ndarray) -> list[LossSums]:
    return [LossSums.of(rows, cluster)]
