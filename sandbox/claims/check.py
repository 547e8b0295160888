"""`check`: is a claim of the reader's own true?"""

from __future__ import annotations

from sympy import Expr

from sandbox.claims.decide import Decision, decide
from sandbox.claims.language import ParsedClaim, Statement, read_claim, statements
from sandbox.claims.limit import SYMPY_FAILURES, SYMPY_SECONDS, Undecidable, time_limit
from sandbox.claims.outcome import Outcome
from sandbox.claims.vectors import truth, values


def check(claim: str) -> Outcome:
    """Decide a claim about x and x̂: true, refuted by explicit vectors, undefined everywhere, or undecided.

    A claim compares formulas in the measures' names (`sandbox.REGISTRY`), a, b, c, r, rho, theta, L, gamma and gamma_10
    with ==, !=, <, <=, > or >=, and joins such statements by and, or, not and =>. It is *true* if it holds for all
    vectors at which all of its terms are defined. `sandbox check --help` describes the language whole.

    Args:    claim: such as "c/a * c/b == 1" or "gamma < 1 => r < 1"
    Returns: a Outcome; print it, or let a notebook show it
    Raises:  InputError (a ValueError), one line, for a text that is no such claim. The text is never executed.

    >>> check("scale_x * scale_x_hat == cosine**2").verdict
    'true'
    >>> check("c/a * c/b == 1").counterexample
    Pair(x=(1, 0), x_hat=(1, 1), second=None, free=())
    >>> print(check("gamma1 < gamma2 => c1/a < c2/a").counterexample)
    x = (1, 0), x̂₁ = (1, 1), x̂₂ = (1/2, 1)
    """
    read = read_claim(claim)
    try:
        with time_limit(SYMPY_SECONDS):
            return _decided(read)
    except Undecidable as trouble:
        return Outcome(claim, "undecided", notes=(str(trouble), *read.remarks))
    except SYMPY_FAILURES as stumble:
        why = f"SymPy cannot work with it ({type(stumble).__name__}: {stumble})"
        return Outcome(claim, "undecided", notes=(why, *read.remarks))


ONE_PAIR = "norm and dot speak of one pair x, x̂, and so do a, b and c beside them."


def _decided(claim: ParsedClaim) -> Outcome:
    remarks = (*claim.remarks, *((ONE_PAIR,) if claim.pairwise else ()))
    decisions: list[Decision] = []
    for formula in claim.formulas:
        decision = decide(formula, claim.about, claim.free)
        if decision.pair is not None:
            found = [(one.as_written(*values(one, decision.pair.moments)), one) for one in statements(formula)]
            single = found[0][0] if isinstance(formula, Statement) else None
            point = decision.pair.moments
            others = () if single else tuple((side, bool(truth(one, point))) for side, one in found)
            return Outcome(claim.text, "false", decision.by, decision.pair, single, others, remarks, claim)
        decisions.append(decision)
    notes = tuple(dict.fromkeys(note for decision in decisions for note in decision.notes)) + remarks
    verdicts = {decision.verdict for decision in decisions}
    verdict = next(one for one in ("undecided", "undefined", "true") if one in verdicts)
    by = "" if verdict == "undecided" else "SymPy" if any(decision.by == "SymPy" for decision in decisions) else "Z3"
    if verdict == "true" and (needs := _needs(claim)):
        notes = (f"Defined where {', '.join(needs)}.", *notes)
    return Outcome(claim.text, verdict, by, notes=notes, claim=claim)


def _needs(claim: ParsedClaim) -> list[str]:
    """Where a claim is defined, as conditions on the moments, each once."""
    found: dict[str, None] = {}
    for one in (one for formula in claim.formulas for one in statements(formula)):
        found |= {f"{need} > 0": None for need, _ in one.needs}
        found |= {f"{term} ≠ 0": None for term in one.divisors if not _is_positive(term, found)}
        found |= {f"{term} ≥ 0": None for term in one.radicands}
    return list(found)


def _is_positive(term: Expr, found: dict[str, None]) -> bool:
    return f"{term} > 0" in found
