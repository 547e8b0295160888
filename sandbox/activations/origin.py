"""`Origin`: which place in which model activations are from, as their source knows it, or as an SAE's settings say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Origin:
    """Where activations come from, as far as somebody says so.

    Attributes:
        stated_in: who says it, for messages: "cfg.json", "hook h.3", "column blocks.6.hook_resid_pre"
        hook:   the place, by the name that its library has for it; "" if nobody says
        model:  its name, or the path of its folder; "" likewise
        loaded: settings with which the model was loaded, and which may change what it computes; None if nobody says
    """

    stated_in: str
    hook: str = ""
    model: str = ""
    loaded: Mapping[str, Any] | None = field(default=None)
