"""Tokens ► a tree, by operator precedence [Pratt, "Top down operator precedence", POPL 1973].

From loosest to tightest: <=>, => (groups to the right), or, and, not, comparisons (which chain), + −, · / and products
without an operator, powers (to the right). A text that can be read in two ways, such as 1/2c, is refused, and the
message gives both.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Any, NamedTuple

from sandbox.claims.tokens import Token, short, tokens
from sandbox.errors import InputError

DEEPEST = 80
"""Levels of nesting: brackets, signs and powers."""

COMPARISONS = ("=", "≠", "<", "≤", ">", "≥")
_BINDS = {"<=>": 10, "=>": 20, "or": 30, "and": 40, "+": 70, "-": 70, "*": 80, "/": 80, "**": 100}
_NOT, _RELATION, _PRODUCT, _SIGNED, _POWER = 50, 60, 80, 85, 100


class Node(NamedTuple):
    """A node of the tree: its kind, its parts, and its position in the text.

    Parts by kind: number (its digits); name (itself, the word it was split from); call (a name, nodes); E, neg, deg,
    not, + - * / ** and or => <=> (nodes); chain (nodes, signs); in (value, low, high, whether low and high belong to
    it; an end at infinity is None).
    """

    kind: str
    parts: tuple[Any, ...]
    at: int


class Quantified(NamedTuple):
    """A whole text: the names after "for all", the condition on them (or None), and the tree."""

    free: tuple[str, ...]
    condition: Node | None
    tree: Node


def parsed(text: str, names: Collection[str], functions: Collection[str]) -> Quantified:
    """The tree of a text.

    Raises: InputError, one line that names the word at fault, if it is not a formula
    """
    free = _announced(text, {*names, *functions})
    parser = _Parser(text, {*names, *functions, *free}, functions)
    condition = parser.header() if free else None
    tree = parser.expression(0)
    if parser.next.kind != "end":
        raise parser.unexpected()
    return Quantified(free, condition, tree)


def _announced(text: str, taken: set[str]) -> tuple[str, ...]:
    """The names after "for all"."""
    first, *others = tokens(text, taken)
    if first.kind != "for all":
        return ()
    free: list[str] = []
    for i, token in enumerate(others):
        if token.kind == "name" and (i == 0 or others[i - 1].kind == ","):
            name = token.word or token.text
            if name in taken or token.word:
                if free:
                    break
                raise InputError(f"{short(text)}: {name!r} already has a meaning; use another name, such as s")
            free.append(name)
        elif token.kind != ",":
            break
    if not free:
        raise InputError(f"{short(text)}: 'for all' needs a name, as in for all s: ...")
    return tuple(free)


class _Parser:
    def __init__(self, text: str, names: Collection[str], functions: Collection[str]):
        self.text, self.names, self.functions = text, names, functions
        self.tokens, self.position, self.depth = tokens(text, names), 0, 0
        self.bars: list[str] = []  # brackets and bars still open, innermost last; a "(" hides the bars around it

    @property
    def next(self) -> Token:
        return self.tokens[self.position]

    def take(self, *kinds: str) -> Token | None:
        """Consume and return the next token if it is of one of these kinds."""
        token = self.next
        if token.kind not in kinds:
            return None
        self.position += 1
        return token

    def unexpected(self, wanted: str = "") -> InputError:
        token = self.next
        what = "it ends too early" if token.kind == "end" else f"{token.text!r} does not belong here"
        around = self.tokens[max(self.position - 1, 0) : self.position + 2]
        if [one.kind for one in around] == ["number", ",", "number"]:
            wanted = f"write {around[0].text}.{around[2].text}, with a point"
        hint = f"; {wanted}" if wanted else ""
        return InputError(f"{short(self.text)}: {what} (character {token.at}){hint}")

    def expect(self, kind: str) -> None:
        if self.take(kind) is None:
            raise self.unexpected(f"{kind!r} is missing")

    def header(self) -> Node | None:
        """Read `for all s, t > 0:` and return the condition, which is on the last name."""
        self.take("for all")
        mark = self.position
        while self.take("name", ","):
            last = self.position
            mark = last - 1 if self.tokens[last - 1].kind == "name" else mark
        condition = None
        if self.next.kind in (*COMPARISONS, "in"):
            self.position = mark
            condition = self.expression(_NOT)
        if self.take(":") is None:
            raise self.unexpected("'for all s' must be followed by a colon and the claim")
        return condition

    def expression(self, binds: int) -> Node:
        """The longest expression whose operators bind more tightly than `binds`."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise InputError(f"{short(self.text)}: it is nested too deeply (character {self.next.at})")
        left = self.operand()
        divided = False  # whether `left` is a quotient without brackets
        while True:
            token = self.next
            if token.kind in _BINDS and _BINDS[token.kind] > binds:
                self.position += 1
                right_first = token.kind in ("**", "=>")
                tightness = _SIGNED - 1 if token.kind == "**" else _BINDS[token.kind] - right_first
                left = Node(token.kind, (left, self.expression(tightness)), token.at)
                divided = token.kind == "/"
            elif token.kind in COMPARISONS and binds < _RELATION:
                left = self.chain(left)
            elif token.kind == "in" and binds < _RELATION:
                left = self.interval(left)
            elif token.kind == "raised" and binds < _POWER:
                self.position += 1
                left = self.raised(left, token)
            elif token.kind == "deg" and left.kind == "number":
                self.position += 1
                left = Node("deg", (left,), token.at)
            elif self.starts_operand(token) and binds < _PRODUCT:
                if divided:
                    raise InputError(
                        f"{short(self.text)}: a quotient followed by {token.text!r} without an operator can be read "
                        f"in two ways (character {token.at}): write brackets, as in 1/(2c) or (1/2)c"
                    )
                if token.kind == "(" and left.kind == "name" and self.is_word(left):
                    name = left.parts[0]
                    raise InputError(f"{short(self.text)}: {name} is not a function; write {name} * (...)")
                left = Node("*", (left, self.expression(_PRODUCT)), token.at)
            else:
                break
        self.depth -= 1
        return left

    def starts_operand(self, token: Token) -> bool:
        """Whether a factor follows without an operator, as in 2c."""
        if token.kind in ("|", "‖"):
            return not self.bars or self.bars[-1] not in ("|", "‖")
        return token.kind in ("name", "(", "√")

    def is_word(self, name: Node) -> bool:
        """Whether a name is known and is written in several ASCII letters, as a function would be."""
        return (
            len(name.parts[0]) > 1
            and name.parts[0] in self.names
            and unicodedata.normalize("NFC", self.text)[name.at - 1].isascii()
        )

    def raised(self, base: Node, token: Token) -> Node:
        digits = token.text.lstrip("-")
        if not digits.isdigit() or token.text.count("-") > 1:
            raise InputError(f"{short(self.text)}: an exponent cannot be read (character {token.at})")
        number = Node("number", (digits,), token.at)
        return Node("**", (base, Node("neg", (number,), token.at) if token.text[0] == "-" else number), token.at)

    def operand(self) -> Node:
        token = self.next
        self.position += 1
        match token.kind:
            case "number":
                return Node("number", (token.text,), token.at)
            case "name" if token.text == "E" and self.next.kind in ("[", "(", "‖"):
                return self.expectation(token)
            case "name" if token.text in self.functions:
                return self.call(token)
            case "name":
                return Node("name", (token.text, token.word), token.at)
            case "-":
                return Node("neg", (self.expression(_SIGNED - 5),), token.at)
            case "+":
                return self.expression(_SIGNED - 5)
            case "√":
                if self.next.word:
                    raise InputError(f"{short(self.text)}: add brackets to the root, as in √(a*b) or √a * b")
                root = Node("call", ("sqrt", (self.expression(_POWER),)), token.at)
                if self.next.kind in ("raised", "**"):
                    raise InputError(f"{short(self.text)}: add brackets, as in √(c²) or (√c)²")
                return root
            case "not":
                return Node("not", (self.expression(_NOT),), token.at)
            case "if":
                condition = self.expression(0)
                if self.take("then", ",") is None:
                    raise self.unexpected("'if' needs a 'then'")
                return Node("=>", (condition, self.expression(10)), token.at)
            case "(":
                return self.within(")")
            case "|":
                return Node("call", ("abs", (self.within("|"),)), token.at)
            case "‖":
                return Node("call", ("norm", (self.within("‖"),)), token.at)
        self.position -= 1
        raise self.unexpected()

    def within(self, closes: str) -> Node:
        self.bars.append(closes)
        inside = self.expression(0)
        self.bars.pop()
        token = self.next
        if closes == "|" and token.text == "||":  # |u||v|: one closes, the other opens
            self.tokens[self.position] = Token("|", "|", token.at + 1)
        else:
            self.expect(closes)
        return inside

    def expectation(self, token: Token) -> Node:
        if self.next.kind == "‖":  # E‖x‖²
            inside = self.expression(_PRODUCT)
        elif self.take("["):
            inside = self.within("]")
        else:
            self.expect("(")
            inside = self.within(")")
        return Node("E", (inside,), token.at)

    def call(self, token: Token) -> Node:
        exponent = self.take("raised")  # cos²(θ)
        if self.take("(") is None:
            raise InputError(f"{short(self.text)}: {token.text} needs brackets, as in {token.text}(...)")
        self.bars.append(")")
        arguments = [self.expression(0)]
        while self.take(","):
            arguments.append(self.expression(0))
        self.bars.pop()
        self.expect(")")
        node = Node("call", (token.text, tuple(arguments)), token.at)
        return self.raised(node, exponent) if exponent else node

    def chain(self, first: Node) -> Node:
        nodes, signs = [first], []
        at = self.next.at
        while token := self.take(*COMPARISONS):
            signs.append(token.kind)
            nodes.append(self.expression(_RELATION))
        return Node("chain", (tuple(nodes), tuple(signs)), at)

    def interval(self, value: Node) -> Node:
        at = self.next.at
        self.take("in")
        opens = self.take("(", "[", "]")
        if opens is None:
            raise self.unexpected("'in' must be followed by an interval, as in gamma in (0, 2]")
        self.bars.append("interval")
        low = self.end()
        self.expect(",")
        high = self.end()
        self.bars.pop()
        closes = self.take(")", "]", "[")
        if closes is None:
            raise self.unexpected("an interval must end with ) or ]")
        return Node("in", (value, low, high, opens.kind == "[", closes.kind == "]"), at)

    def end(self) -> Node | None:
        """One end of an interval; None for ∞ or −∞."""
        mark = self.position
        self.take("-", "+")
        if self.take("oo"):
            return None
        self.position = mark
        return self.expression(0)
