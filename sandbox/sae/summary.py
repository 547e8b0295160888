"""What was counted of one SAE ► its `Report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

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
    exclude_outliers: bool = False,
    findings: Sequence[Mapping[str, Any]] = (),
    complete: bool = True,
) -> Report:
    """The report of what was counted.

    Args:
        name:             in place of the SAE's own
        documents:        how many were met
        exclude_outliers: leave the tokens of extreme norm out of the measures and the statistics; what the libraries
                          would print, and the latents, are of all tokens either way
    """
    tallies = tallies.to("cpu")
    typical, extreme, both = tallies.moments[0], tallies.moments[1], tallies.moments.merged()
    outliers = None
    if extreme.n:
        share = (extreme.totals[..., 0].sum() / both.totals[..., 0].sum()).item()
        outliers = {"limit": counting.outlier_limit, "tokens": int(extreme.n), "share_of_a": share}
    excluded = exclude_outliers and outliers is not None
    statistics = tallies.tokens.estimates(typical=excluded)
    active = statistics.pop("l0")
    if sae.sees_latents:
        statistics["l0"] = active
    return Report(
        name=name or sae.name,
        moments=typical if excluded else both,
        documents=documents,
        l0=active.value if sae.sees_latents else None,
        dtype=str(sae.dtype).removeprefix("torch.") if sae.dtype else "",
        device=_device_name(sae.device) if sae.dtype else "",
        description=sae.description,
        b_dec=None if sae.b_dec is None else sae.b_dec.cpu(),
        typical=typical if outliers and not excluded else None,
        outliers=outliers,
        statistics=statistics,
        published=tallies.published.values() if tallies.published else {},
        published_batch=counting.published,
        findings=findings,
        latents=tallies.latents,
        complete=complete,
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
