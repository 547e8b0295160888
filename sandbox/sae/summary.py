"""What was counted of one SAE ► its `Report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from sandbox.moments import Moments
from sandbox.report import Report
from sandbox.sae.forward import Forward, Pairs
from sandbox.sae.tallies import Counting, Tallies


def summary(
    sae: Forward | Pairs,
    tallies: Tallies,
    counting: Counting,
    *,
    name: str | None = None,
    documents: int | None = None,
    findings: Sequence[Mapping[str, Any]] = (),
    complete: bool = True,
) -> Report:
    """The report of what was counted.

    Args:
        counting:  how it was counted: outliers are excluded, or reported with and without; what the libraries would
                   print is of all tokens either way
        name:      in place of the SAE's own
        documents: how many were met
    """
    tallies = tallies.to("cpu")
    typical, extreme, both = tallies.moments[0], tallies.moments[1], tallies.moments.merged()
    shared = {
        "name": name or sae.name,
        "documents": documents,
        "blocks": documents is None,
        "dtype": str(sae.dtype).removeprefix("torch.") if sae.dtype else "",
        "device": _device_name(sae.device) if sae.dtype else "",
        "description": sae.description,
        "b_dec": None if sae.b_dec is None else sae.b_dec.cpu(),
        "published": tallies.published.values() if tallies.published else {},
        "published_batch": counting.published,
        "findings": findings,
        "latents": tallies.latents,
        "complete": complete,
    }

    def report(moments: Moments, without: bool, **more: Any) -> Report:
        statistics = tallies.tokens.estimates(typical=without, documents=documents is not None)
        active = statistics.pop("l0")
        if sae.sees_latents:
            statistics["l0"] = active
        l0 = active.value if sae.sees_latents else None
        return Report(moments=moments, l0=l0, statistics=statistics, **shared, **more)

    if not extreme.n:
        return report(both, without=False)
    share = (extreme.totals[..., 0].sum() / both.totals[..., 0].sum()).item()
    outliers = {"limit": counting.outlier_limit, "tokens": int(extreme.n), "share_of_a": share}
    outliers["excluded"] = counting.exclude_outliers
    if counting.exclude_outliers:
        return report(typical, without=True, outliers=outliers)
    return report(both, without=False, outliers=outliers, without_outliers=report(typical, without=True))


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
