"""What SAEs cost a causal language model: fit corrections on some documents, and measure its loss on the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox import checkpoints
from sandbox.activations.live.contexts import Contexts
from sandbox.activations.live.kept import Kept, halves
from sandbox.activations.live.model import Tap, layer_named, load, module_named
from sandbox.activations.live.source import Live
from sandbox.activations.live.texts import documents, text_files
from sandbox.activations.origin import Origin
from sandbox.activations.split import Split
from sandbox.checkpoints import Checkpoint
from sandbox.downstream.fits import Gathered, best_factor, gathered, refitted
from sandbox.downstream.libraries import LIBRARIES
from sandbox.downstream.reader import NONFINITE, Reader, column, contexts_at_once
from sandbox.downstream.replacements import Ablations, Reconstructions
from sandbox.downstream.search import search
from sandbox.downstream.splice import Splice
from sandbox.downstream.totals import LossSums
from sandbox.errors import InputError
from sandbox.measuring.forward import BATCH, FEW, Forward
from sandbox.measuring.identity import size_and_time
from sandbox.measuring.measure import check_multiple, look, names_of, options_of
from sandbox.measuring.one_pass import NotSaved, Saving, Stopped, stream
from sandbox.measuring.preflight import OUTLIER, Finding, provenance
from sandbox.measuring.ranks import Ranks, Share
from sandbox.measuring.resume import Facts, State
from sandbox.report.losses import LEAST_ERROR, LEAST_LOSS, LossCurve, LossReport, Ratios, SaeLosses
from sandbox.system.devices import device_named, without_autocast
from sandbox.system.interrupts import stoppable

FIT_TOKENS = 100_000
SEARCH_TOKENS = 8192
PER_LATENT = "per-latent"

CEILINGS = ("joint", "decoder")
"""Kinds of correction that show how much any correction of the decoder could bring."""

Bars = Callable[[str, int], Callable[[int], None]]
"""A label and a total (0: unknown) ► a function that is called with the amount just done."""


@dataclass(frozen=True)
class Options:
    """Options of `loss`.

    Attributes:
        hook:             instead of a layer, the name of a module whose output is replaced
        context:          tokens per context; by default, as many as the model takes, at most 1024
        whole_files:      treat each .txt file as one document
        model_dtype:      dtype that the model computes in
        dtype:            dtype that checkpoints compute in
        name:             name of the SAE in the report (a list for several SAEs)
        share, seed:      share of the documents to fit on, and random seed of the split (`Split`)
        tokens:           about how many tokens, at most, to measure the loss on; all by default
        fit_tokens:       the same, to fit corrections on
        search_tokens:    the same, to search the factor of the least loss on; 0: no search
        exclude_outliers: leave the activations of tokens of extreme norm as they are
        outliers_above:   the norm above which that is, as a multiple of the median norm
        ceilings:         also replace by x̂ with the best factors of all latents together, and with the best decoder
        libraries:        reproduce the loss recovered of SAELens, SAEBench and dictionary_learning
        look:             check a sample first; report the findings
        strict:           raise InputError for any finding
        warn:             called with a message for each finding
        checkpoint:       file for the run's state: the same call resumes from it
        every:            seconds between saves of it
        tell:             called with a message when a run resumes
        bars:             makes progress bars
    """

    hook: str | None = None
    context: int | None = None
    whole_files: bool = False
    model_dtype: str = "float32"
    dtype: str = "float32"
    name: str | Sequence[str] | None = None
    share: float = 0.5
    seed: int = 0
    tokens: int | None = None
    fit_tokens: int = FIT_TOKENS
    search_tokens: int = SEARCH_TOKENS
    exclude_outliers: bool = False
    outliers_above: float = OUTLIER
    ceilings: bool = False
    libraries: bool = True
    look: bool = True
    strict: bool = False
    warn: Callable[[str], None] | None = None
    checkpoint: str | Path | None = None
    every: float = 30.0
    tell: Callable[[str], None] | None = None
    bars: Bars = lambda label, total: lambda done: None


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
    chosen = _options(options)
    ranks = Ranks.here()
    run = _Run(Path(model), layer, text, _listed(sae), ranks.device(device), chosen, ranks)
    with ranks.joined(str(run.device)), stoppable():
        return run.report()


class _Run:
    """A run: its model, its SAEs, and the two halves of its text."""

    def __init__(
        self,
        model: Path,
        layer: int | None,
        text: str | Path,
        saes: list[Any],
        device: str,
        chosen: Options,
        ranks: Ranks,
    ) -> None:
        if (layer is None) == (chosen.hook is None):
            raise InputError("name either a layer or a hook: they say which activations to replace")
        self.chosen, self.ranks, self.device = chosen, ranks, device_named(device)
        self.files, self.split = text_files(text), Split(chosen.share, chosen.seed)
        self.model, missing, self.tokenizer = load(model, chosen.model_dtype, head=True)
        if missing:
            raise InputError(
                f"{model} lacks {sorted(missing)[0]}, which transformers would fill at random: "
                "give a causal language model with its head"
            )
        module = layer_named(self.model, layer) if layer is not None else module_named(self.model, str(chosen.hook))
        self.splice = Splice(self.model, module, self.device)
        self.weights = list(Path(self.model.name_or_path).glob("*.safetensors"))
        self.origin = Origin(module, module, str(model), {})
        config = self.model.config.get_text_config()
        self.contexts = Contexts(self.tokenizer, config, self.model, chosen.context)
        by_file = ", file by file," if chosen.whole_files else ""
        self.name = f"{model}, {module} in {chosen.model_dtype}, on {text}{by_file} in contexts of {self.contexts.size}"
        self.batch = contexts_at_once(self.contexts.size, config.vocab_size, self.device)
        self.chunk = self.batch * self.contexts.size  # tokens between two saves, or two steps of a progress bar
        self._check_causal()
        self.tap = Tap(self.model, module, self.device)
        source = self._live(self.tap, None, None)
        self.saes = [_opened(item, str(self.device), chosen.dtype, source) for item in saes]
        self.names = names_of([sae.sae for sae in self.saes], chosen.name)

    def _live(self, tap: Any, kept: Kept | None, tokens: int | None, batch: int = 16) -> Live:
        """What a tap computes on the contexts that were kept, or on about so many tokens of them."""
        read = None if kept is None else partial(kept.spread, tokens)
        whole = self.chosen.whole_files
        return Live(self.name, tap, self.contexts, self.files, whole, batch, set(), self.origin, read)

    def _check_causal(self) -> None:
        """Try the splice on the first document with enough tokens."""
        for context in self.contexts(documents(self.files, self.chosen.whole_files)):
            if len(set(context.ids[context.measured].tolist())) > 2:
                short = context._replace(ids=context.ids[:FEW], measured=context.measured[context.measured < FEW])
                self.splice.check(self.contexts.padded([short]))
                return
        raise InputError(f"{self.name}: the text holds no document of three different tokens")

    def _check_documents(self) -> None:
        """Raise InputError unless there are two documents to fit on, and one to measure the loss on."""
        count = sum(1 for _ in documents(self.files, self.chosen.whole_files))
        to_fit = int(self.split.chosen(np.arange(count)).sum())
        if to_fit < 2 or to_fit == count:
            raise InputError(
                f"{self.name}: of {count} documents, {to_fit} are to fit on and {count - to_fit} to measure the loss "
                "on: give more text, or another share or seed"
            )

    def report(self) -> LossReport:
        self._check_documents()
        texts, moved = documents(self.files, self.chosen.whole_files), self.chosen.bars("tokenising the text", 0)
        with halves(self.contexts, texts, self.split, moved) as (to_fit, to_measure):
            return self._report(to_fit, to_measure)

    def _report(self, to_fit: Kept, to_measure: Kept) -> LossReport:
        chosen = self.chosen
        source = self._live(self.tap, to_fit, chosen.fit_tokens)
        fitted = min(chosen.fit_tokens, source.count())
        with gathered(
            source, fitted, chosen.exclude_outliers, chosen.outliers_above, chosen.bars("tokens to fit on", fitted)
        ) as activations:
            for sae in self.saes:
                sae.sae.try_on(activations.source.sample(FEW))
            findings = self._look(activations)
            factors, corrected = [], []
            for sae in self.saes:
                factors.append(factor := best_factor(sae, activations))
                corrected.append({} if factor is None else self._corrected(sae, activations))
        limit = activations.limit if chosen.exclude_outliers else float("inf")
        curves = self._curves(to_fit, limit, factors)
        saes = []
        for sae, factor, curve, others in zip(self.saes, factors, curves, corrected, strict=True):
            by_name = {} if factor is None else {LEAST_ERROR: factor}
            by_name |= {} if curve is None else {LEAST_LOSS: curve.best}
            saes.append(replace(sae, factors=by_name, corrected=others))
        libraries = LIBRARIES if chosen.libraries else ()
        reader = Reader(self.splice, self.tokenizer, self._special, saes, Ablations(activations.mean), limit, libraries)
        source = self._live(reader, to_measure, chosen.tokens, self.batch)
        outliers = {"limit": activations.limit, "tokens": activations.outliers, "excluded": chosen.exclude_outliers}

        def made(state: State, complete: bool) -> LossReport:
            sums = state.totals[0].sums.cpu() if state.totals else torch.zeros(1, len(reader.columns)).double()
            ratios = Ratios(reader.columns, sums)
            shown = {library.key: library.name for library in libraries}
            every = [
                SaeLosses(name, sae.sae.description, number, sae.names, sae.factors, curve, shown, ratios, sae.about)
                for number, (name, sae, curve) in enumerate(zip(self.names, saes, curves, strict=True))
            ]
            return LossReport(
                self.name,
                self.splice.module,
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
            raise InputError(f"{self.name}: no document is left to measure the loss on: give more text")
        if bad := int(state.totals[0].sums[:, reader.columns.index(NONFINITE)].sum()):
            raise InputError(f"{self.name}: {bad} activations have a nan or an infinity: compute the model in float32")
        if not state.totals[0].sums[:, 1].isfinite().all():
            raise InputError(f"{self.name}: the model's own loss is nan or infinite: compute it in float32")
        return made(state, True)

    @property
    def _special(self) -> list[int]:
        return self.contexts.special.tolist()

    def _look(self, activations: Gathered) -> list[dict[str, str]]:
        findings = []
        for name, sae in zip(self.names, self.saes, strict=True):
            of_sae: list[Finding] = provenance(sae.sae.trained_on, self.origin)
            if self.chosen.look:
                of_sae += look(sae.original, activations.source, device=str(self.device), dtype=self.chosen.dtype)
            findings += [{"sae": name, "key": finding.key, "message": finding.message} for finding in of_sae]
        if self.chosen.strict and findings:
            messages = "; ".join(finding["message"] for finding in findings)
            raise InputError(f"strict: the preflight check failed: {messages}")
        if self.chosen.warn and self.ranks.first:
            for finding in findings:
                self.chosen.warn(f"{finding['sae']}: {finding['message']}")
        return findings

    def _corrected(self, sae: _Opened, activations: Gathered) -> dict[str, Forward]:
        if sae.checkpoint is None:
            return {}
        kinds = (PER_LATENT, *(CEILINGS if self.chosen.ceilings else ()))
        return refitted(sae.checkpoint, sae.sae, activations, kinds)

    def _curves(self, to_fit: Kept, limit: float, starts: Sequence[float | None]) -> list[LossCurve | None]:
        """The search of each SAE, on the documents that were fitted on."""
        chosen = self.chosen
        if not chosen.search_tokens:
            return [None] * len(self.saes)

        def losses(factors: Sequence[Sequence[float]]) -> list[tuple[Tensor, Tensor]]:
            stretched = [
                replace(sae, factors={str(factor): factor for factor in of_sae})
                for sae, of_sae in zip(self.saes, factors, strict=True)
            ]
            reader = Reader(self.splice, self.tokenizer, self._special, stretched, None, limit, ())
            source = self._live(reader, to_fit, chosen.search_tokens, self.batch)
            forwards = [sae.sae for sae in self.saes]
            share = Share(stop=min(chosen.search_tokens, source.count()))
            moved = chosen.bars("searching the least loss", share.stop or 0)
            sums = stream(forwards, source, self.chunk, _count, share, progress=moved).totals[0].sums.cpu()
            return [
                (
                    sums[:, [reader.columns.index(f"{column(number, str(factor))}.ce") for factor in of_sae]],
                    sums[:, 0],
                )
                for number, of_sae in enumerate(factors)
            ]

        return self.ranks.broadcast(search(losses, [[start] if start else [] for start in starts]))

    def _measured(self, reader: Reader, source: Live, saes: Sequence[Reconstructions], made: Any) -> State:
        chosen, chunk = self.chosen, self.chunk
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
        state = self.ranks.total(state, self.device)
        if saving and saving.failed:
            raise NotSaved(saving.failed[-1], [made(state, True)])
        return state

    def _facts(self, saes: Sequence[Reconstructions]) -> Facts:
        chosen = self.chosen
        facts: Facts = {"--model, --layer and --text": self.name}
        facts |= {"--share": chosen.share, "--seed": chosen.seed, "--fit-tokens": chosen.fit_tokens}
        facts |= {"--search-tokens": chosen.search_tokens, "--tokens": chosen.tokens}
        facts["the choice of tokens"] = "evenly"  # once it was the first ones
        facts["--exclude-outliers"] = f"above {chosen.outliers_above:g}" if chosen.exclude_outliers else "no"
        facts["--ceilings"] = "yes" if chosen.ceilings else "no"
        facts["--published"] = "yes" if chosen.libraries else "no"
        for path in (*sorted(self.weights), *self.files):
            facts[str(path)] = size_and_time(path)
        for number, sae in enumerate(saes, 1):
            facts |= {f"SAE {number}": sae.sae.name, f"the digest of SAE {number}": sae.sae.identity}
            facts |= {f"the factor of SAE {number}, {name}": round(factor, 4) for name, factor in sae.factors.items()}
        return facts


@dataclass
class _Opened(Reconstructions):
    """An SAE as it was given, and its checkpoint; None if it is any other callable."""

    original: Any = None
    checkpoint: Checkpoint | None = None


def _opened(item: Any, device: str, dtype: str, source: Live) -> _Opened:
    checkpoint = item if isinstance(item, Checkpoint) else None
    if isinstance(item, str | Path) or callable(getattr(item, "save_model", None)):
        checkpoint = checkpoints.read(item)
    original = item if checkpoint is None else checkpoint
    sae = Forward(original, device, dtype, source.device, BATCH)
    if sae.transcodes:
        raise InputError(
            f"{sae.name} is a transcoder: here x̂ takes the place of the x that an SAE reads, which a transcoder does "
            "not reconstruct; give an SAE"
        )
    sae.read_from(source)
    return _Opened(sae, original=original, checkpoint=checkpoint)


def _count(rows: Tensor, cluster: np.ndarray) -> list[LossSums]:
    return [LossSums.of(rows, cluster)]


def _listed(sae: Any) -> list[Any]:
    saes = list(sae) if isinstance(sae, Sequence) and not isinstance(sae, str) else [sae]
    if not saes:
        raise InputError("the list of SAEs is empty: at least one is needed")
    return saes


def _options(options: dict[str, Any]) -> Options:
    chosen = options_of(Options, options)
    check_multiple(chosen.outliers_above)
    for key, least in (("fit_tokens", 1), ("search_tokens", 0), ("tokens", 1)):
        value = getattr(chosen, key)
        if value is not None and (not isinstance(value, int) or value < least):
            raise InputError(f"{key} is {value!r}: a whole number of tokens, {least} or more, is needed")
    return chosen
