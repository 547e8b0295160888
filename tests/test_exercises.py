"""An exercise shows no answer unasked, refutes a wrong step with numbers, and goes on after a right one."""

import pytest
from sympy import sstr

from sandbox import exercise
from sandbox.derivations import claims, prove
from sandbox.derivations.typeset import asked

WITH = [one.number for one in claims() if any(step.hint for step in prove(one.number).steps)]


@pytest.mark.parametrize("number", WITH)
def test_the_derivations_own_steps_are_right_answers(number):
    task = exercise(number)
    for step in task.questions:
        assert step.reason in str(task)
        right = sstr(step.terms[asked(step)]).replace("lambda", "lam")
        assert task.answer(right).right, right
    assert "is done" in str(task)
    assert task.hint() == "There is no question left."


@pytest.mark.parametrize("number", WITH)
def test_a_wrong_answer_gets_a_counterexample_and_the_hint_and_the_question_stays(number):
    task = exercise(number)
    question = task.questions[0]
    wrong = task.answer(f"2*({sstr(question.terms[asked(question)]).replace('lambda', 'lam')}) + 1")
    assert not wrong.right
    assert "and should be" in wrong.text or "It fails at a = 4" in wrong.text
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
    assert "At x = (1, 0), x̂ = (1, 1), s = 2 it is 10, and should be 2." in text


def test_the_left_side_itself_is_no_answer():
    task = exercise("C3")
    assert task.answer("c/a * c/b").right is False
    assert task.answer("rho**2").right


def test_bad_input_gets_one_line():
    with pytest.raises(ValueError, match="there is no 'q'"):
        exercise("C1").answer("q + 1")
    with pytest.raises(ValueError, match="there is one for C1, C2"):
        exercise("C16")
    with pytest.raises(ValueError, match="there is no claim"):
        exercise("C99")


def test_an_answer_that_is_right_but_cannot_be_shown_to_be_is_not_called_wrong():
    task = exercise("C7")
    unsure = task.answer("a*abs(1 - rho**2)")  # the same for all vectors, as Cauchy and Schwarz know
    assert not unsure.right
    assert unsure.text.startswith("That could not be shown to be the same. Hint:")
