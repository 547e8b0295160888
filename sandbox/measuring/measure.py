"""Measure SAEs on activations: check a sample, stream once, report. Constant memory; nothing waits for the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from sandbox.activations import PathOrArray, SideBySide, Source, SourceLike, activations, with_targets
from sandbox.checkpoints import Checkpoint, with_k
from sandbox.checkpoints.penalty import Penalty, given
from sandbox.errors import InputError
from sandbox.measuring.directions import Setting, directions, edges_of, refuse_once
from sandbox.measuring.forward import BATCH, FEW, Forward, Pairs
from sandbox.measuring.identity import of_run
from sandbox.measuring.objects import heads_side_by_side
from sandbox.measuring.one_pass import (
    AfterTheRun,
    NoDirections,
    NotSaved,
    Saving,
    Stopped,
    counted_at_once,
    stream,
)
from sandbox.measuring.options import Options, checked
from sandbox.measuring.preflight import Finding, outlier_limit, preflight, provenance, scale_to_root_d
from sandbox.measuring.ranks import Ranks, each_has_its_own
from sandbox.measuring.resume import State
from sandbox.measuring.summary import summary
from sandbox.measuring.totals import Counting, counter
from sandbox.moments.moments import refuse_out_of_range
from sandbox.report import Report
from sandbox.system.devices import without_autocast
from sandbox.system.interrupts import stoppable
from sandbox.system.text import without_credentials

__all__ = ["BATCH", "AfterTheRun", "NoDirections", "NotSaved", "Stopped", "look", "measure", "measure_pairs"]

SAMPLE = 4096  # tokens that the preflight check reads

OneSAE = str | Path | Checkpoint | Callable[[Tensor], Tensor]


@overload
def measure(
    sae: OneSAE,
    source: SourceLike,
    *,
    targets: SourceLike | None = None,
    device: str = "auto",
    dtype: str = "float32",
    **options: Any,
) -> Report: ...
@overload
def measure(
    sae: Sequence[OneSAE],
    source: SourceLike,
    *,
    targets: SourceLike | None = None,
    device: str = "auto",
    dtype: str = "float32",
    **options: Any,
) -> list[Report]: ...
@without_autocast()
def measure(
    sae: Any,
    source: SourceLike,
    *,
    targets: SourceLike | None = None,
    device: str = "auto",
    dtype: str = "float32",
    **options: Any,
) -> Any:
    """Every measure of shrinkage of an SAE on activations, with its uncertainty.

    A transcoder's output ŷ reconstructs other activations y than the x that it reads (arXiv 2406.11944). All measures
    are then of y and ŷ: wherever the report says x and x̂, it means these.

    Args:
        sae:           a checkpoint's path, or any module or callable that maps x to x̂ (including SAELens objects);
                       the SAEs of a list share one read of the activations
        source:        activations of shape (..., d): files, shards, arrays, tensors, iterables (`activations`)
        targets:       for transcoders, y of shape (..., d_out), in the same order and of the same kinds as `source`.
                       Documents are those of `source`. Omit it where `source` has targets (`live` with `target_hook`)
        device, dtype: of a checkpoint's forward pass; objects keep their own
        options:       see `Options`
    Returns: a Report, or a list of Reports for a list of SAEs
    Raises:  InputError for input that cannot be measured; Stopped (a KeyboardInterrupt with the partial reports) on
             Ctrl-C and SIGTERM; AfterTheRun (an InputError with the complete reports) if the state could not be saved,
             or the directions could not be measured
    """
    chosen = checked(options)
    ranks = Ranks.here()
    several = isinstance(sae, Sequence) and not isinstance(sae, str)
    items = with_k(sae if several else [sae], chosen.k)
    for item in items:
        source = heads_side_by_side(source, item)
    opened = with_targets(activations(ranks.own(source), ranks.own(chosen.documents)), ranks.own(targets))
    saes = [Forward(item, ranks.device(device), dtype, opened.device, chosen.batch_size) for item in items]
    if not saes:
        raise InputError("the list of SAEs is empty: at least one is needed")
    first = saes[0]
    for forward in saes:
        forward.read_from(opened)
        if forward.device != first.device:
            raise InputError(
                f"{forward.name} is on {forward.device}, {first.name} on {first.device}: one device is needed"
            )
    reports = _measured(saes, opened, chosen, ranks, own=each_has_its_own(source))
    return reports if several else reports[0]


@without_autocast()
def look(
    sae: OneSAE,
    source: SourceLike,
    *,
    targets: SourceLike | None = None,
    device: str = "auto",
    dtype: str = "float32",
    documents: PathOrArray | None = None,
    drop_nonfinite: bool = False,
    k: int | None = None,
) -> list[Finding]:
    """Check an SAE on a sample of the activations for causes that would make its shrinkage meaningless.

    Args, Raises: as for `measure`.
    Returns: findings, the likeliest cause first; empty if there are none
    """
    ranks = Ranks.here()
    opened = activations(ranks.own(heads_side_by_side(source, sae)), ranks.own(documents))
    opened = with_targets(opened, ranks.own(targets))
    (item,) = with_k([sae], k)
    forward = Forward(item, device, dtype, opened.device)
    forward.read_from(opened)
    _try_on([forward], opened)
    return _look([forward], opened, Options(drop_nonfinite=drop_nonfinite))[0][0]


@without_autocast()
def measure_pairs(x: SourceLike, x_hat: SourceLike, **options: Any) -> Report:
    """Every measure of shrinkage of existing reconstructions: two files, arrays or tensors.

    Args, Raises: as for `measure`.
    """
    chosen = checked(options)
    if chosen.latents:
        raise InputError("pairs of x and x_hat have no latents: each latent is counted only where an SAE is given")
    if chosen.k is not None:
        raise InputError("k is given, but pairs of x and x_hat are measured without an SAE: leave it out")
    ranks = Ranks.here()
    label = Path(without_credentials(str(x_hat))).stem if isinstance(x_hat, str | Path) else "x_hat"
    own = ranks.own(x), ranks.own(x_hat), ranks.own(chosen.documents)
    pairs = SideBySide(activations(own[0], own[2], name="x"), activations(own[1], name="x_hat"))
    return _measured([Pairs(label, pairs.width // 2, pairs.device)], pairs, chosen, ranks, own=each_has_its_own(x))[0]


def _batch(chosen: Options) -> int:
    """Batch size, rounded up to whole published batches."""
    published = chosen.published or 1
    return -(-chosen.batch_size // published) * published


def _measured(
    saes: Sequence[Forward | Pairs], source: Source, chosen: Options, ranks: Ranks, own: bool = False
) -> list[Report]:
    """Check, stream, sum over ranks, report. `own`: the source holds only this rank's tokens."""
    names = names_of(saes, chosen.name)
    for sae, penalty in zip(saes, _penalties(saes, chosen), strict=True):
        sae.penalty = penalty
    edges = edges_of(chosen.directions)
    if edges:
        refuse_once(source)
    _try_on(saes, source)
    for sae in saes:
        if chosen.l1 is not None and sae.decoder_norms is None:
            raise InputError(
                f"{sae.name}: the L1 coefficient predicts nothing here, because its latents are hidden, or x̂ is not "
                "feature_acts·W_dec + b_dec; leave l1 out"
            )
        if chosen.latents and (sae.W_dec is None or not sae.sees_latents):
            raise InputError(f"{sae.name}: its latents are not visible, or x̂ is not linear in them; leave latents out")
    with ranks.joined(str(saes[0].device)), stoppable():
        above = chosen.outliers_above
        findings, limit, scale = ranks.broadcast(_look(saes, source, chosen) if ranks.first else None)
        if chosen.strict and (messages := [finding.message for of_sae in findings for finding in of_sae]):
            raise InputError(f"strict: the preflight check failed: {'; '.join(messages)}")
        if chosen.warn and ranks.first:
            for sae, of_sae in zip(saes, findings, strict=True):
                for finding in of_sae:
                    chosen.warn(f"{sae.name}: {finding.message}")
        counting = Counting(chosen.published, chosen.latents, limit, chosen.exclude_outliers, scale, above)
        share = ranks.share(source, _batch(chosen), own, shared_ids=chosen.documents is not None)
        saving = _saving(saes, source, chosen, counting, ranks)

        def reports(state: State, complete: bool) -> list[Report]:
            facts = {"documents": len(state.documents) or None, "complete": complete}
            # No totals before the first batch.
            every = zip(saes, state.totals, names, findings, strict=False)
            return [
                summary(sae, totals, counting, name=name, findings=of_sae, judged=chosen.look, **facts)
                for sae, totals, name, of_sae in every
            ]

        count = counter(saes, counting, refuse_nonfinite=not chosen.drop_nonfinite)
        progress = chosen.progress if ranks.first else None
        try:
            chunk = counted_at_once(_batch(chosen), source.width, saes[0].device)
            state = stream(saes, source, chunk, count, share, saving=saving, progress=progress)
        except Stopped as stopped:
            stopped.reports = reports(stopped.state, complete=False)
            raise
        state = ranks.total(state, saes[0].device)
    if not state.totals:
        raise InputError(f"{source.name} holds no tokens to measure")
    for totals in state.totals:
        if not chosen.drop_nonfinite:
            totals.moments.refuse_nonfinite()
        if not totals.moments.count.sum():
            raise InputError(
                f"{source.name}: every token has a NaN or an infinity in x or x̂ (or a number whose square is one); "
                "nothing is left to measure"
            )
        totals.moments.refuse_out_of_range()
    made = reports(state, complete=True)
    if edges:
        setting = Setting(_batch(chosen), limit, ranks, share, progress)
        with stoppable():
            try:
                every = directions(saes, source, edges, setting)
            except Stopped as stopped:
                stopped.reports = made
                raise
            except InputError as error:
                raise NoDirections(error, made) from error
        made = [replace(report, directions=of_sae) for report, of_sae in zip(made, every, strict=True)]
    _say_what_the_pass_found(made, findings, chosen, ranks)
    if saving and saving.failed:
        raise NotSaved(saving.failed[0], made)
    return made


def _say_what_the_pass_found(
    made: Sequence[Report], findings: Sequence[list[Finding]], chosen: Options, ranks: Ranks
) -> None:
    """Warn of findings that the sample did not show; raise InputError for them if strict."""
    for report, of_sample in zip(made, findings, strict=True):
        known = {finding.key for finding in of_sample}
        messages = [finding["message"] for finding in report.findings if finding["key"] not in known]
        if chosen.strict and messages:
            raise InputError(f"strict: the whole pass found what the sample had not shown: {'; '.join(messages)}")
        if chosen.warn and ranks.first:
            for message in messages:
                chosen.warn(f"{report.name}: {message}")


def _try_on(saes: Sequence[Forward | Pairs], source: Source) -> None:
    few = source.sample(FEW)
    for sae in saes:
        with torch.no_grad(), sae.evaluating():
            sae.try_on(few.to(sae.device))


def _look(saes: Sequence[Forward | Pairs], source: Source, chosen: Options) -> tuple[list[list[Finding]], float, float]:
    """The findings of a sample for each SAE; then, for `Counting`, the outlier limit and the scale."""
    sample = source.sample(SAMPLE)
    refuse_out_of_range(sample, source.name)  # before the pass rather than after it
    x = saes[0].compared(sample)
    if not chosen.look:
        return [[] for _ in saes], outlier_limit(x, chosen.outliers_above), scale_to_root_d(x)
    findings = []
    for sae in saes:
        with torch.no_grad(), sae.evaluating():
            if isinstance(sae, Pairs):
                findings.append(preflight(None, x, x_hat=sample[:, sae.d_in :], above=chosen.outliers_above))
            else:
                elsewhere = provenance(sae.trained_on, getattr(source, "origin", None))
                y = None
                if sae.targets is not None:
                    elsewhere += provenance(sae.reconstructs, sae.targets.origin, of_targets=True)
                    y = x.to(sae.device)
                read = sae.read(sample).to(sae.device)
                findings.append(elsewhere + preflight(sae.run, read, y=y, b_dec=sae.b_dec, above=chosen.outliers_above))
        bad = next((finding for finding in findings[-1] if finding.key.startswith("nonfinite")), None)
        if bad and not chosen.drop_nonfinite:  # the run would fail with this at its end
            raise InputError(bad.message)
    return findings, outlier_limit(x, chosen.outliers_above), scale_to_root_d(x)


def _saving(
    saes: Sequence[Forward | Pairs], source: Source, chosen: Options, counting: Counting, ranks: Ranks
) -> Saving | None:
    if chosen.checkpoint is None:
        return None
    batch = _batch(chosen)
    more = {"--batch-size": chosen.batch_size, "tokens counted at a time": batch}
    run = of_run(saes, source, counting, **more)
    return Saving.of_rank(chosen.checkpoint, run, ranks, chosen.every, chosen.tell)


def _penalties(saes: Sequence[Forward | Pairs], chosen: Options) -> list[Penalty | None]:
    """The training penalty of each SAE: as given, otherwise as its settings state it."""
    if chosen.l1 is None:
        return [sae.penalty for sae in saes]
    values = chosen.l1 if isinstance(chosen.l1, Sequence) and not isinstance(chosen.l1, str) else [chosen.l1]
    penalties: list[Penalty | None] = [given(value) for value in values]
    if len(penalties) != len(saes):
        noun = "coefficient" if len(penalties) == 1 else "coefficients"
        raise InputError(f"{len(penalties)} L1 {noun} and {len(saes)} --sae: give one for each")
    return penalties


def names_of(saes: Sequence[Forward | Pairs], given: str | Sequence[str] | None) -> list[str]:
    """The name of each SAE in the reports, as given or its own; repeated names get a number."""
    names = [given] if isinstance(given, str) else list(given or [sae.name for sae in saes])
    if len(names) != len(saes):
        raise InputError(f"{len(names)} names for {len(saes)} SAEs: one for each is needed")
    return [f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name for i, name in enumerate(names)]
