"""`check`: is a reader's own claim true?"""

from __future__ import annotations

from sandbox.claims.decide import Decision, decide
from sandbox.claims.language import ParsedClaim, Statement, read_claim, statements
from sandbox.claims.limit import SYMPY_FAILURES, SYMPY_SECONDS, Undecidable, time_limit
from sandbox.claims.outcome import Outcome
from sandbox.claims.vectors import truth, values

ONE_PAIR = "norm and dot are about one pair x, x̂; so are a, b and c in the same claim."


def check(claim: str) -> Outcome:
    """Decide a claim about x and x̂: true, refuted by explicit vectors, undefined everywhere, or undecided.

    A claim compares formulas in the names of the measures (`sandbox.REGISTRY`), a, b, c, r, rho, theta, L, gamma and
    gamma_10 with ==, !=, <, <=, > or >=, and joins such statements by and, or, not and =>. It is *true* if it holds for
    all vectors at which all of its terms are defined. `sandbox check --help` describes the whole language.

    Args:    claim: such as "c/a * c/b == 1" or "gamma < 1 => r < 1"
    Returns: an Outcome; print it, or let a notebook show it
    Raises:  InputError (a ValueError), one line, for a text that is not a claim. The text is never executed.

    >>> check("scale_x * scale_x_hat == cosine**2").verdict
    'true'
    >>> check("c/a * c/b == 1").counterexample
    Pair(x=(1, 0), x_hat=(1, 1), second=None, free=())
    >>> print(check("gamma1 < gamma2 => c1/a < c2/a").counterexample)
    x = (1, 0), x̂₁ = (1, 1), x̂₂ = (1/2, 1)
    """
    parsed = read_claim(claim)
    try:
        with time_limit(SYMPY_SECONDS):
            return _decided(parsed)
    except Undecidable as trouble:
        why = str(trouble)
    except SYMPY_FAILURES as failure:
        why = f"SymPy cannot work with it ({type(failure).__name__}: {failure})"
    return Outcome(claim, "undecided", notes=(why, *parsed.remarks))


def _decided(claim: ParsedClaim) -> Outcome:
    """Decide the formulas in turn, up to the first that fails."""
    remarks = (*claim.remarks, *((ONE_PAIR,) if claim.pairwise else ()))
    decisions: list[Decision] = []
    for formula in claim.formulas:
        decision = decide(formula, claim.about, claim.free)
        if decision.pair is not None:
            point = decision.pair.moments
            sides = [
                (statement.as_written(*values(statement, point)), bool(truth(statement, point)))
                for statement in statements(formula)
            ]
            if isinstance(formula, Statement):
                return Outcome(claim.text, "false", decision.by, decision.pair, sides[0][0], (), remarks, claim)
            return Outcome(claim.text, "false", decision.by, decision.pair, None, tuple(sides), remarks, claim)
        decisions.append(decision)
    notes = (*dict.fromkeys(note for decision in decisions for note in decision.notes), *remarks)
    verdicts = {decision.verdict for decision in decisions}
    verdict = next(verdict for verdict in ("undecided", "undefined", "true") if verdict in verdicts)
    by = "" if verdict == "undecided" else "SymPy" if any(decision.by == "SymPy" for decision in decisions) else "Z3"
    if verdict == "true" and (bounds := _bounds(claim)):
        notes = (f"Defined where {', '.join(bounds)}.", *notes)
    return Outcome(claim.text, verdict, by, notes=notes, claim=claim)


def _bounds(claim: ParsedClaim) -> list[str]:
    """Where a claim is defined: its bounds as the reader would write them, each once."""
    bounds: dict[str, None] = {}
    for formula in claim.formulas:
        for statement in statements(formula):
            for term, sign in statement.bounds:
                if sign != "≠" or f"{term} > 0" not in bounds:
                    bounds[f"{term} {sign} 0"] = None
    return list(bounds)
