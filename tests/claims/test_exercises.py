"""An exercise shows no answer unasked, refutes a wrong step with numbers, and goes on after a right one."""

import pytest
from sympy import sstr

from sandbox import exercise
from sandbox.maths.derivations import claims, prove
from sandbox.maths.proof.typeset import blank

WITH = [one.number for one in claims() if any(step.hint for step in prove(one.number).steps)]


@pytest.mark.parametrize("number", WITH)
def test_the_derivations_own_steps_are_right_answers(number):
    task = exercise(number)
    for step in task.questions:
        assert step.reason in str(task)
        right = sstr(step.terms[blank(step)]).replace("lambda", "lam")
        assert task.answer(right).right, right
    assert "is done" in str(task)
    assert task.hint() == "There is no question left."


@pytest.mark.parametrize("number", WITH)
def test_a_wrong_answer_gets_a_counterexample_and_the_hint_and_the_question_stays(number):
    task = exercise(number)
    question = task.questions[0]
    wrong = task.answer(f"2*({sstr(question.terms[blank(question)]).replace('lambda', 'lam')}) + 1")
    assert not wrong.right
    assert "but should be" in wrong.text or "It fails at " in wrong.text
    assert str(question.hint) in wrong.text
    assert task.at == 0


def test_no_answer_is_shown_before_it_is_asked_for():
    task = exercise("C1")
    assert task.answer("a*s**2 + 2*c*s + b").right is False
    shown = str(task) + task._repr_markdown_() + task.hint() + task.answer("a*s**2 + b").text
    assert "- 2⋅c⋅s" not in shown
    assert "2 c s" not in shown
    assert "2⋅c⋅s" in task.solution().text
    assert "2 c s" in task.solution().markdown


def test_the_counterexample_is_made_of_exact_small_numbers():
    text = exercise("C1").answer("a*s**2 + 2*c*s + b").text
    assert "At x = (1, 0), x̂ = (1, 1), s = 2 it is 10, but should be 2." in text


def test_the_left_side_itself_is_no_answer():
    task = exercise("C3")
    assert task.answer("c/a * c/b").right is False
    assert task.answer("rho**2").right


def answered(number: str, question: int):
    """An exercise at one of its questions, counted from 0; those before it answered."""
    task = exercise(number)
    for step in task.questions[:question]:
        assert task.answer(sstr(step.terms[blank(step)]).replace("lambda", "lam")).right
    return task


IN_ANOTHER_FORM = [
    ("C1", 2, "a*s² - 2cs + c²/a", "write it with a square"),
    ("C3", 0, "c*rho/sqrt(a*b)", "write it in rho"),
    ("C6", 2, "b/s² - 2c/s + c²/b", "write it with a square"),
    ("C7", 2, "b - 2c + c²/b", "write it with a square"),
    ("C9", 0, "(γ - 2γ² + γ³)/(2 - γ)", "write it with a square"),
    ("C12", 0, "1 + r² - 2c/a", "write it in r, rho"),
    ("C12", 1, "1 + r² − 2rρ", "write it with a square"),
    ("C13", 0, "u² - l*u + v²", "write it with a square"),
    ("C15", 0, "(c2 gamma1 - c2 gamma2 - c1 gamma1 + c1 gamma2)/(2(c1 + c2))", "as a product"),
    ("C17", 0, "a*exp(-lam)", "write it in lam"),
]


@pytest.mark.parametrize(("number", "question", "text", "lacking"), IN_ANOTHER_FORM)
def test_the_same_in_another_form_is_not_yet_right(number, question, text, lacking):
    task = answered(number, question)
    said = task.answer(text)
    assert not said.right
    assert "That is equal, but not yet in the form" in said.text
    assert lacking in said.text
    assert task.at == question


AS_A_STUDENT_WRITES = [
    ("C1", 0, "a s² - 2s E[x·x̂] + b"),
    ("C1", 0, "as^2 - 2sc + E‖x̂‖²"),
    ("C1", 1, "2as - 2c"),
    ("C1", 2, "(a*s - c)²/a"),
    ("C1", 3, "ρ·r"),
    ("C2", 2, "b(s - c/b)²"),
    ("C6", 2, "b*(1/s - c/b)**2"),
    ("C9", 0, "γ(γ-1)²/(2-γ)"),
    ("C10", 0, "E[x·x̂] - E‖x̂‖²"),
    ("C12", 1, "(1-ρ)(1+ρ) + (ρ - r)²"),
    ("C13", 0, "v² + (u - l/2)² - (l/2)²"),
    ("C15", 0, "(c2 - c1)(gamma1 - gamma2)/(2(c1 + c2))"),
    ("C17", 0, "2exp(-λ)"),
]


@pytest.mark.parametrize(("number", "question", "text"), AS_A_STUDENT_WRITES)
def test_an_answer_may_be_written_as_students_write(number, question, text):
    assert answered(number, question).answer(text).right


def test_after_the_last_question_no_answer_is_right():
    task = answered("C3", 1)
    for text in ("rho**2", "7", ""):
        said = task.answer(text)
        assert not said.right
        assert "no question left" in said.text


def test_a_question_says_in_which_names_it_is_to_be_answered():
    assert "Answer in r, rho." in str(answered("C1", 3))
    assert "Answer in `rho`." in exercise("C3")._repr_markdown_()


def test_an_average_is_written_as_one():
    with pytest.raises(ValueError, match=r"its average is E\[x·x̂\]"):
        exercise("C1").answer("a*s**2 - 2*s*x·x̂ + b")


def test_bad_input_gets_one_line():
    with pytest.raises(ValueError, match="there is no 'q'"):
        exercise("C1").answer("q + 1")
    with pytest.raises(ValueError, match="the claims with one are C1, C2"):
        exercise("C16")
    with pytest.raises(ValueError, match="there is no claim"):
        exercise("C99")


def test_an_answer_that_is_right_but_cannot_be_shown_to_be_is_not_called_wrong():
    task = exercise("C7")
    unsure = task.answer("a*abs(1 - rho**2)")  # the same for all vectors, as Cauchy and Schwarz know
    assert not unsure.right
    assert unsure.text.startswith("SymPy could not show that this is equal. Hint:")
