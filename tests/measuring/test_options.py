"""Options that make no sense are refused before anything is read, in one line."""

import pytest

from sandbox.downstream.options import checked as checked_for_loss
from sandbox.errors import InputError
from sandbox.measuring.options import checked


@pytest.mark.parametrize(
    ("check", "given", "message"),
    [
        (checked, {"batch_size": 0}, "batch_size is 0: a whole number of tokens, 1 or more, is needed"),
        (checked, {"batch_size": None}, "batch_size is None: a whole number"),
        (checked, {"published": 2.5}, "published is 2.5: a whole number of tokens, 0 or more, is needed"),
        (checked, {"strict": True, "look": False}, "strict needs look=True"),
        (checked, {"outliers_above": 1}, "outliers_above is 1: a multiple of the median norm, above 1, is needed"),
        (checked, {"share": 0.5}, "unexpected keyword argument 'share'; there are name, .* progress$"),
        (checked_for_loss, {"fit_tokens": 0}, "fit_tokens is 0: a whole number of tokens, 1 or more, is needed"),
        (checked_for_loss, {"search_tokens": None}, "search_tokens is None: a whole number"),
        (checked_for_loss, {"strict": True, "look": False}, "strict needs look=True"),
        (checked_for_loss, {"outliers_above": float("nan")}, "outliers_above is nan: a multiple"),
        (checked_for_loss, {"batch_size": 8}, "unexpected keyword argument 'batch_size'; there are name, .* bars$"),
    ],
)
def test_options_that_make_no_sense_are_refused(check, given, message):
    with pytest.raises(InputError, match=message):
        check(given)


def test_all_tokens_is_the_default_of_loss():
    assert checked_for_loss({"tokens": None, "search_tokens": 0}).tokens is None
