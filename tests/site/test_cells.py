"""What proof cells ask of Python, here outside a browser."""

import json
from xml.dom.minidom import parseString

import pytest
from sympy import Derivative, Limit

from sandbox.maths.derivations import claims
from sandbox.maths.proof.formulas import mathml
from sandbox.maths.symbols import Expect, a, s, x, x_hat
from sandbox.site.cells import answered
from sandbox.site.proofs import proofs

KNOWN = {"mi", "mn", "mo", "mrow", "mfrac", "msqrt", "mroot", "msup", "msub", "msubsup", "munder", "mtext"}
TOKENS = {"mi", "mn", "mo", "mtext"}


def told(**question):
    return json.loads(answered(json.dumps(question)))


def formulas(value):
    """Every text in JSON that is MathML."""
    if isinstance(value, str):
        return [value] if value.startswith("<") else []
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [formula for part in parts for formula in formulas(part)]


@pytest.mark.parametrize("number", [claim.number for claim in claims()])
def test_every_formula_is_well_formed_and_knows_its_names(number):
    [proof] = [proof for proof in proofs() if proof["number"] == number]
    assert formulas(proof)
    for formula in formulas(proof):
        document = parseString(f"<math>{formula}</math>")
        tags = {node.tagName for node in document.documentElement.getElementsByTagName("*")}
        assert tags <= KNOWN, formula
        for node in document.documentElement.getElementsByTagName("*"):  # a browser shows no text beside these
            assert node.tagName in TOKENS or all(part.nodeType != part.TEXT_NODE for part in node.childNodes), formula
        for name in document.getElementsByTagName("mi"):
            text = name.firstChild.data
            assert text not in ("expect", "subs", "order", "xhat"), formula  # how SymPy shows a class it does not know
            assert "_" not in text, formula


def test_an_expectation_is_written_as_people_write_it():
    bars = "<mi>E</mi><msup><mrow><mo>‖</mo><mi>x̂</mi><mo>−</mo><mi>s</mi><mo>·</mo><mi>x</mi><mo>‖</mo></mrow>"
    assert bars in mathml(Expect(x_hat - s * x))
    assert "<mo>[</mo><mi>x</mi><mo>·</mo><mi>x̂</mi><mo>]</mo>" in mathml(Expect(x, x_hat))


def test_a_sum_in_a_product_a_derivative_or_a_limit_stands_in_parentheses():
    for term in (Expect(x_hat, x - x_hat), Derivative(s * a, s), Derivative(s + a, s), Limit(a + s, s, 0)):
        assert "<mo>(</mo>" in mathml(term), term


def test_a_measure_is_shown_by_its_letter():
    told_ = told(ask="check", claim="equation_10_v1 >= relative_reconstruction_bias")
    names = [step["terms"][0] for step in told_["proof"]["steps"][:2]]
    assert names == ["<mi>γ</mi>", "<mi>γ₁₀</mi>"]


def test_a_true_claim_has_a_proof_and_no_vectors():
    told_ = told(ask="check", claim="scale_x * scale_x_hat == cosine**2")
    assert told_["verdict"] == "true"
    assert told_["proof"]["steps"]
    assert told_["pairs"] == []


def test_a_false_claim_has_vectors_at_which_it_fails():
    [pair] = told(ask="check", claim="gamma < 1 => r > 1")["pairs"]
    (u, v), (p, q) = pair["x"]["numbers"], pair["x_hat"]["numbers"]
    values = {row["key"]: row.get("value") for row in pair["measures"]}
    assert values["relative_reconstruction_bias"] == pytest.approx((p * p + q * q) / (u * p + v * q), rel=1e-12)
    assert values["relative_reconstruction_bias"] < 1 >= values["norm_ratio"]


def test_a_claim_about_two_saes_has_two_pairs():
    assert [pair["name"] for pair in told(ask="check", claim="gamma1 < gamma2 => c1/a < c2/a")["pairs"]] == ["x̂₁", "x̂₂"]


@pytest.mark.parametrize(
    "question",
    [
        {"ask": "check", "claim": "import os"},
        {"ask": "check", "claim": ""},
        {"ask": "prove", "claim": "C999"},
        {"ask": "exercise", "claim": "C3", "at": 0, "answer": "__import__('os')"},
    ],
)
def test_bad_input_is_an_answer_of_one_line(question):
    refused = told(**question)["refused"]
    assert refused
    assert "\n" not in refused


def test_an_exercise_goes_on_after_a_right_answer_only():
    first = told(ask="exercise", claim="C1", at=0)
    assert first["right"] is None
    assert first["question"]["names"]
    wrong = told(ask="exercise", claim="C1", at=0, answer="a")
    assert (wrong["right"], wrong["at"]) == (False, 0)
    assert wrong["question"] == first["question"]
    shown = told(ask="exercise", claim="C1", at=0, show=True)
    assert shown["solution"]["terms"][: first["question"]["blank"]] == first["question"]["terms"]
    assert told(ask="exercise", claim="C1", at=first["of"])["question"] is None
