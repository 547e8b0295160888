"""`Origin`: the model and hook that activations come from, according to their source or to an SAE's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Origin:
    """Where activations come from, as far as it is known.

    Attributes:
        stated_in: the source of this information, for messages: "cfg.json", "column blocks.6.hook_resid_pre"
        hook:      the hook's name in the library that recorded the activations, or ""
        model:     the model's name, or the path of its folder, or ""
        loaded:    settings for loading the model that may change what it computes; None if unknown
    """

    stated_in: str
    hook: str = ""
    model: str = ""
    loaded: Mapping[str, Any] | None = field(default=None)
