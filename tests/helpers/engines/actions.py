"""Input in the words of the W3C's WebDriver, which Firefox (WebDriver BiDi) and WebKit (WebDriver) share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from tests.helpers.engines.engine import FRAME, Engine, Point

KEYS = {
    "Backspace": "\ue003",
    "Tab": "\ue004",
    "Enter": "\ue007",
    "Shift": "\ue008",
    "Control": "\ue009",
    "Escape": "\ue00c",
    "Space": " ",
    "End": "\ue010",
    "Home": "\ue011",
    "ArrowLeft": "\ue012",
    "ArrowUp": "\ue013",
    "ArrowRight": "\ue014",
    "ArrowDown": "\ue015",
    "Delete": "\ue017",
}
"""The key names of the DOM, as code points."""


class Driven(Engine):
    """An engine that performs the W3C's actions."""

    @abstractmethod
    def perform(self, actions: list[dict[str, Any]]) -> None: ...

    def drag(self, points: Sequence[Point], let_go: bool = True) -> None:
        self._point("mouse", points, let_go)

    def touch(self, points: Sequence[Point]) -> None:
        self._point("touch", points, True)

    def _point(self, kind: str, points: Sequence[Point], let_go: bool) -> None:
        moves: list[dict[str, Any]] = [
            {"type": "pointerMove", "x": round(x), "y": round(y), "duration": round(1000 * FRAME) if i else 0}
            for i, (x, y) in enumerate(points)
        ]
        moves.insert(1, {"type": "pointerDown", "button": 0})
        if let_go:
            moves.append({"type": "pointerUp", "button": 0})
        self.perform([{"type": "pointer", "id": kind, "parameters": {"pointerType": kind}, "actions": moves}])

    def press(self, *keys: str) -> None:
        actions: list[dict[str, str]] = []
        for key in keys:
            parts = [KEYS.get(part, part) for part in (key.split("+") if len(key) > 1 else [key])]
            actions += [{"type": "keyDown", "value": part} for part in parts]
            actions += [{"type": "keyUp", "value": part} for part in reversed(parts)]
        self.perform([{"type": "key", "id": "keyboard", "actions": actions}])
