"""Make the `Report` of an SAE from its totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from sandbox.measuring.forward import Forward, Pairs
from sandbox.measuring.preflight import Finding
from sandbox.measuring.preflight.whole import whole_pass
from sandbox.measuring.token_means import CAPTURED
from sandbox.measuring.totals import Counting, Totals
from sandbox.moments.moments import Moments
from sandbox.report import Report
from sandbox.report.law import Training

OF_TOKENS = ("zero_tokens", "outliers", "heavy_tokens", "small", "hook", "model", "model_loaded", "folding")
"""Findings that do not explain a bad fit of x̂: beside them, the whole pass's findings about the fit are kept, too."""


def summary(
    sae: Forward | Pairs,
    totals: Totals,
    counting: Counting,
    *,
    name: str | None = None,
    documents: int | None = None,
    findings: Sequence[Finding] = (),
    judged: bool = False,
    complete: bool = True,
) -> Report:
    """The report of an SAE.

    Args:
        counting:  options of the count; outliers are excluded, or reported both ways. The libraries' metrics always
                   cover all tokens
        name:      replaces the SAE's own name
        documents: number of documents
        findings:  of the preflight check
        judged:    whether to check the totals of the whole pass, too; its findings replace the sample's of the same key
        complete:  whether the pass was complete
    """
    totals = totals.to("cpu")
    typical, extreme, both = totals.moments[0], totals.moments[1], totals.moments.merged()
    shared = {
        "name": name or sae.name,
        "documents": documents,
        "blocks": documents is None,
        "dtype": str(sae.dtype).removeprefix("torch.") if sae.dtype else "",
        "device": _device_name(sae.device) if sae.dtype else "",
        "description": sae.description,
        "b_dec": None if sae.b_dec is None else sae.b_dec.cpu(),
        "published": totals.published.values() if totals.published else {},
        "published_batch": counting.published,
        "latents": totals.latents,
        "complete": complete,
    }

    def report(moments: Moments, without: bool, **more: Any) -> Report:
        statistics = totals.tokens.estimates(typical=without, documents=documents is not None)
        active = statistics.pop("l0")
        if sae.sees_latents:
            statistics["l0"] = active
        l0 = active.value if sae.sees_latents else None
        if sae.decoder_norms is not None and moments.n:
            more["training"] = Training(*totals.tokens.penalties(typical=without), sae.penalty, counting.scale)
        more["captured"] = {
            origin: totals.tokens.captured(origin, typical=without)
            for origin in CAPTURED
            if origin != "decoder_bias" or sae.b_dec is not None
        }
        made = Report(moments=moments, l0=l0, statistics=statistics, **shared, **more)
        combined = [*findings]
        if judged and moments.n:
            gamma = made.raw["relative_reconstruction_bias"]
            apart = None if without else extreme
            combined = _combined(
                combined,
                whole_pass(moments, totals.norms, apart, counting.outlier_limit, gamma, counting.outliers_above),
            )
        return replace(made, findings=[finding.to_dict() for finding in combined])

    if not extreme.n:
        return report(both, without=False)
    share = (extreme.totals[..., 0].sum() / both.totals[..., 0].sum()).item()
    outliers = {"limit": counting.outlier_limit, "tokens": int(extreme.n), "share_of_a": share}
    outliers["excluded"] = counting.exclude_outliers
    if counting.exclude_outliers:
        return report(typical, without=True, outliers=outliers)
    return report(both, without=False, outliers=outliers, without_outliers=report(typical, without=True))


def _combined(sample: Sequence[Finding], whole: Sequence[Finding]) -> list[Finding]:
    """The findings of the sample and of the whole pass; of two with the same key, that of the whole pass."""
    explained = any(finding.key not in OF_TOKENS for finding in sample)  # then a bad fit is only its consequence
    whole = [finding for finding in whole if finding.key in OF_TOKENS or not explained]
    return [finding for finding in sample if finding.key not in {other.key for other in whole}] + whole


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
