"""A claim that an author adds is proved, or refused in one line that names the claim, the step and the reason."""

import pytest
from sympy import Eq, Function, Symbol

from sandbox.errors import InputError
from sandbox.maths.derivations import register
from sandbox.maths.derivations.numbers import InNumbers
from sandbox.maths.proof.derivation import Proof
from sandbox.maths.symbols import a, b, c, r
from tests.helpers.runs import sandbox

u = Symbol("u", real=True)


@pytest.fixture
def add(monkeypatch):
    """Register a claim for the length of a test."""
    monkeypatch.setattr(register, "_CLAIMS", {claim.number: claim for claim in register.claims()})

    def enter(write, where=()):
        register.claim("C99", "own", "The norm ratio squared: b/a = r².", where)(write)

    return enter


def test_a_new_claim_with_a_symbol_of_its_own_is_proved_and_has_its_numbers(add):
    def write(proof: Proof) -> None:
        proof.step("The ratio.", b / a, "=", r**2)
        proof.step("A factor.", c / b, "=", u, where=(Eq(c, b * u),))
        proof.says(b / a, "=", r**2)

    add(write)
    assert "∎ 2 steps" in sandbox("prove", "C99").stdout
    numbers = InNumbers.at(register.prove("C99"), (1.0, 0.49, 0.35)).numbers
    assert [chain for _, chain in numbers] == ["0.49 = 0.49", "0.7143 = 0.7143"]


MISTAKES = {
    "a wrong exponent": (
        lambda proof: proof.step("The ratio.", b / a, "=", r**3),
        "C99: the step 'The ratio.' does not hold: b/a = r**3 fails at a = 2, b = 1",
    ),
    "a divisor that may be 0": (
        lambda proof: proof.step("A quotient.", c / c, "=", a / c, where=(c >= 0,)),
        "C99: the step 'A quotient.' does not hold: 1 = a/c needs c ≠ 0",
    ),
    "no chain": (
        lambda proof: proof.step("Half a step.", b / a, "="),
        "C99: the step 'Half a step.' needs terms and relations in turn",
    ),
    "conditions that exclude each other": (
        lambda proof: proof.step("Nowhere.", c, "=", c, where=(c > 0, c < 0)),
        "C99: the step 'Nowhere.' is refused: cannot use the condition 0 > c: it must be linear in a symbol",
    ),
    "a condition that is no relation": (
        lambda proof: proof.step("Nowhere.", c, "=", c, where=(c == b,)),
        "C99: the step 'Nowhere.' is refused: a condition relates symbols, as in u > v or Eq(u, v); it cannot be False",
    ),
    "a name that has occurred": (
        lambda proof: (proof.step("One.", u, "=", u), proof.let("Two.", u, a)),
        "C99: the step 'Two.' defines u, which has been used before it",
    ),
    "a symbol that is assumed positive": (
        lambda proof: proof.step("One.", Symbol("k", positive=True), ">", 0),
        "C99: the step 'One.' is refused: k must be real and nothing else",
    ),
    "a function that is not defined": (
        lambda proof: proof.step("One.", Function("f")(a), "=", b),
        "C99: the step 'One.' does not hold: f(a) = b cannot be decided",
    ),
    "a statement that no step shows": (
        lambda proof: proof.step("One.", b / a, "=", r**2),
        "C99: its claim is not what its steps show: it says",
    ),
    "a result that no step has": (
        lambda proof: (proof.step("One.", b / a, "=", r**2), proof.result(own=a)),
        "C99: its result own, a, is not a term of any of its steps",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_of_the_author_is_one_line_and_exit_status_2(name, add):
    write, line = MISTAKES[name]
    add(write)
    done = sandbox("prove", "C99")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"sandbox: {line}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", ["C0", "C20x", "C99", "c 99"])
def test_an_unknown_number_is_answered_with_the_range_of_numbers(number):
    first, *_, last = register.claims()
    with pytest.raises(InputError) as refusal:
        register.named(number)
    line = f"there is no claim {number!r}: claims run from {first.number} to {last.number} (sandbox prove --list)"
    assert str(refusal.value) == line
