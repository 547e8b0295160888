"""Small changes to Python, each a mistake that somebody could make: what a node could have been instead.

A change is another node and a name for it. Nothing here knows where the node stands, or whether the change matters.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

Change = tuple[str, ast.AST]
"""What it says (` ► ` for what became what, or one word), and what takes the node's place."""

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
ALONE = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
"""Operators of which one side alone could have been written."""

RENAMED = {
    one: other
    for pair in (
        ("min", "max"),
        ("any", "all"),
        ("amin", "amax"),
        ("argmin", "argmax"),
        ("floor", "ceil"),
        ("sin", "cos"),
        ("inf", "sup"),
        ("low", "high"),
        ("before", "after"),
        ("zeros", "ones"),
        ("numer", "denom"),
    )
    for one, other in (pair, pair[::-1])
}
COMMUTATIVE = {"min", "max", "minimum", "maximum", "promote_types", "broadcast_shapes", "approx", "isclose"}
DROPPED_METHODS = {"sqrt", "abs", "square", "exp", "log", "clamp", "clip", "clone", "double", "cumsum", "pow", "union"}
DROPPED_FUNCTIONS = {"abs", "sorted", "reversed", "sqrt", "round"}
DROPPED_ATTRIBUTES = {"mT", "T"}
DROPPED_KEYWORDS = {"dtype", "stable", "driver"}


def changes(node: ast.AST, siblings: Mapping[str, str]) -> Iterator[Change]:
    """Every change of this one node, its parts left alone.

    Args: siblings: for a name that was bound beside others (`u, v = …`), the one beside it
    """
    if made := OF.get(type(node)):
        for change in made(node, siblings):
            if ast.dump(change[1]) != ast.dump(node):
                yield change


def _became(old: ast.AST, new: ast.AST) -> Change:
    return f"{ast.unparse(old)} ► {ast.unparse(new)}", new


def _compare(node: ast.Compare, _: Mapping[str, str]) -> Iterator[Change]:
    for i, op in enumerate(node.ops):
        for other in COMPARISONS[type(op)]:
            ops = [*node.ops[:i], other(), *node.ops[i + 1 :]]
            yield _became(node, ast.Compare(node.left, ops, node.comparators))


def _binop(node: ast.BinOp, _: Mapping[str, str]) -> Iterator[Change]:
    if isinstance(node.op, ast.BitOr | ast.BitAnd) and not _is_mask(node):
        return  # of sets, dictionaries or types
    if any(
        isinstance(side, ast.JoinedStr | ast.List | ast.Tuple) or _is_text(side) for side in (node.left, node.right)
    ):
        return
    if other := ARITHMETIC.get(type(node.op)):
        yield _became(node, ast.BinOp(node.left, other(), node.right))
    if isinstance(node.op, ALONE):
        yield _became(node, node.left)
        if isinstance(node.op, ast.Add | ast.Mult):
            yield _became(node, node.right)
    if isinstance(node.op, ast.MatMult):
        yield _became(node, ast.BinOp(node.right, node.op, node.left))


def _is_mask(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Compare | ast.Invert) or _called(part) == "isfinite" for part in ast.walk(node))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _called(node: ast.AST) -> str:
    """The name of what is called, without what it is looked up in."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _boolop(node: ast.BoolOp, _: Mapping[str, str]) -> Iterator[Change]:
    yield _became(node, ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
    for i in range(len(node.values)):
        rest = [*node.values[:i], *node.values[i + 1 :]]
        yield _became(node, rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest))


def _unaryop(node: ast.UnaryOp, _: Mapping[str, str]) -> Iterator[Change]:
    yield _became(node, node.operand)


def _constant(node: ast.Constant, _: Mapping[str, str]) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield _became(node, ast.Constant(not value))
    elif isinstance(value, int):
        for other in (value + 1, value - 1) if value else (1,):
            yield _became(node, ast.Constant(other))
    elif isinstance(value, float):
        for other in (2 * value, value / 2) if value else (1.0,):
            yield _became(node, ast.Constant(other))


def _ifexp(node: ast.IfExp, _: Mapping[str, str]) -> Iterator[Change]:
    yield _became(node, node.body)
    yield _became(node, node.orelse)


def _if(node: ast.If, _: Mapping[str, str]) -> Iterator[Change]:
    test = ast.unparse(node.test)
    yield f"if {test}: never", ast.If(_and(node.test, False), node.body, node.orelse)
    yield f"if {test}: always", ast.If(_and(node.test, True), node.body, node.orelse)


def _and(test: ast.expr, forced: bool) -> ast.expr:
    """The test with another outcome; a name that it gives (`:=`) is still given."""
    if not any(isinstance(part, ast.NamedExpr) for part in ast.walk(test)):
        return ast.Constant(forced)
    return ast.BoolOp(ast.Or() if forced else ast.And(), [test, ast.Constant(forced)])


def _comprehension(node: ast.comprehension, _: Mapping[str, str]) -> Iterator[Change]:
    for i, test in enumerate(node.ifs):
        rest = [*node.ifs[:i], *node.ifs[i + 1 :]]
        yield f"drop if {ast.unparse(test)}", ast.comprehension(node.target, node.iter, rest, node.is_async)


def _augassign(node: ast.AugAssign, _: Mapping[str, str]) -> Iterator[Change]:
    yield "drop", ast.Pass()
    if other := ARITHMETIC.get(type(node.op)):
        yield _became(node, ast.AugAssign(node.target, other(), node.value))
    if isinstance(node.target, ast.Name):
        yield _became(node, ast.Assign([node.target], node.value, lineno=node.lineno))


def _assign(node: ast.Assign, _: Mapping[str, str]) -> Iterator[Change]:
    """Something that was there before is written over: what if not?"""
    target = node.targets[0]
    names = {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
    used = {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
    if isinstance(target, ast.Subscript) or (names and names <= used):
        yield "drop", ast.Pass()


def _expr(node: ast.Expr, _: Mapping[str, str]) -> Iterator[Change]:
    if isinstance(node.value, ast.Call):
        yield "drop", ast.Pass()


def _continue(node: ast.Continue, _: Mapping[str, str]) -> Iterator[Change]:
    yield "continue ► break", ast.Break()
    yield "drop", ast.Pass()


def _break(node: ast.Break, _: Mapping[str, str]) -> Iterator[Change]:
    yield "break ► continue", ast.Continue()
    yield "drop", ast.Pass()


def _return(node: ast.Return, _: Mapping[str, str]) -> Iterator[Change]:
    """Two things returned the wrong way round."""
    if isinstance(node.value, ast.Tuple):
        for i, (one, other) in enumerate(pairwise(node.value.elts)):
            elements = [*node.value.elts[:i], other, one, *node.value.elts[i + 2 :]]
            yield _became(node, ast.Return(ast.Tuple(elements, ast.Load())))


def _call(node: ast.Call, _: Mapping[str, str]) -> Iterator[Change]:
    name, inside = _called(node), node.func
    starred = any(isinstance(one, ast.Starred) for one in node.args[:2])
    if len(node.args) >= 2 and not starred and name not in COMMUTATIVE:
        yield _became(node, ast.Call(inside, [node.args[1], node.args[0], *node.args[2:]], node.keywords))
    if isinstance(inside, ast.Attribute) and name in DROPPED_METHODS:
        yield _became(node, inside.value)
    if isinstance(inside, ast.Name) and name in DROPPED_FUNCTIONS and len(node.args) == 1:
        yield _became(node, node.args[0])
    for i, keyword in enumerate(node.keywords):
        if keyword.arg in DROPPED_KEYWORDS:
            rest = [*node.keywords[:i], *node.keywords[i + 1 :]]
            yield f"drop {keyword.arg}={ast.unparse(keyword.value)}", ast.Call(inside, node.args, rest)


def _attribute(node: ast.Attribute, _: Mapping[str, str]) -> Iterator[Change]:
    if isinstance(node.ctx, ast.Load):
        if other := RENAMED.get(node.attr):
            yield _became(node, ast.Attribute(node.value, other, node.ctx))
        if node.attr in DROPPED_ATTRIBUTES:
            yield _became(node, node.value)


def _name(node: ast.Name, siblings: Mapping[str, str]) -> Iterator[Change]:
    if isinstance(node.ctx, ast.Load):
        for other in {RENAMED.get(node.id), siblings.get(node.id)} - {None}:
            yield _became(node, ast.Name(str(other), node.ctx))


def _slice(node: ast.Slice, _: Mapping[str, str]) -> Iterator[Change]:
    if node.lower is not None:
        yield _became(node, ast.Slice(None, node.upper, node.step))
    if node.upper is not None:
        yield _became(node, ast.Slice(node.lower, None, node.step))


OF: dict[type[ast.AST], Callable[[Any, Mapping[str, str]], Iterator[Change]]] = {
    ast.Compare: _compare,
    ast.BinOp: _binop,
    ast.BoolOp: _boolop,
    ast.UnaryOp: _unaryop,
    ast.Constant: _constant,
    ast.IfExp: _ifexp,
    ast.If: _if,
    ast.comprehension: _comprehension,
    ast.AugAssign: _augassign,
    ast.Assign: _assign,
    ast.Expr: _expr,
    ast.Continue: _continue,
    ast.Break: _break,
    ast.Return: _return,
    ast.Call: _call,
    ast.Attribute: _attribute,
    ast.Name: _name,
    ast.Slice: _slice,
}
