"""What a sample missed is found in the whole pass: padding, few long tokens, a mean error; γ stands with and without.

Streams show their first tokens alone beforehand, so that what comes later is what no sample saw.
"""

import pytest
import torch

from sandbox import InputError, measure_pairs
from sandbox.measuring.norms import Norms

D, N, CONTEXT = 16, 40_960, 512


def pairs():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, D, generator=generator)
    return x, 0.85 * x + 0.2 * torch.randn(N, D, generator=generator)


def late(x, x_hat, **options):
    """The report of streams: the tokens at the beginning are all that was looked at before the run."""
    return measure_pairs(list(x.split(1024)), list(x_hat.split(1024)), **options)


def keys(report) -> list[str]:
    return [one["key"] for one in report.findings]


def gamma(x, x_hat) -> float:
    return float((x_hat * x_hat).sum() / (x * x_hat).sum())


def test_honest_pairs_give_no_finding():
    x, x_hat = pairs()
    assert keys(late(x, x_hat)) == keys(measure_pairs(x, x_hat)) == []
    heavy = torch.exp(0.5 * torch.randn(N, 1, generator=torch.Generator().manual_seed(1)))
    assert keys(late(heavy * x, heavy * x_hat)) == []


def test_padding_after_the_sample_is_counted():
    x, x_hat = pairs()
    x[-700:] = x_hat[-700:] = 0
    said = []
    report = late(x, x_hat, warn=said.append)
    assert keys(report) == ["zero_tokens"]
    assert f"700 of {N} tokens" in report.findings[0]["message"]
    assert said == [f"x_hat: {report.findings[0]['message']}"]
    with pytest.raises(InputError, match="the whole pass found what the sample had not shown: 700 of"):
        late(x, x_hat, strict=True)
    assert keys(late(x, x_hat, look=False)) == []


def test_what_both_show_is_said_once_with_the_numbers_of_all_tokens():
    x, x_hat = pairs()
    x[::4] = x_hat[::4] = 0
    (found,) = measure_pairs(x, x_hat).findings
    assert f"{N // 4} of {N} tokens" in found["message"]


@pytest.mark.parametrize("every", [CONTEXT, 100, 64])
def test_few_long_tokens_that_hide_shrinkage_are_shown_with_and_without(every):
    """Attention sinks, reconstructed well, with less than half of the energy: γ is theirs, and no sample says so."""
    x, x_hat = pairs()
    rest = torch.ones(N, dtype=torch.bool)
    rest[::every] = False
    x[~rest] = x_hat[~rest] = 0.8 * every**0.5 * torch.ones(D)
    report = measure_pairs(x, x_hat)
    assert keys(report) == ["heavy_tokens"]
    said = report.findings[0]["message"]
    with_them, without = (float(said.split(word)[0].split()[-1]) for word in (" with them", " without;"))
    assert with_them == pytest.approx(gamma(x, x_hat), abs=1e-4)
    assert without == pytest.approx(gamma(x[rest], x_hat[rest]), abs=1e-3)  # some of the longest may be ordinary
    few = int(said.split("the longest ")[1].split()[0])
    assert int((~rest).sum()) <= few <= N // 50


def test_outliers_after_the_sample_are_counted():
    x, x_hat = pairs()
    x[-3:] *= 1000
    x_hat[-3:] *= 1000
    report = late(x, x_hat)
    assert "outliers" in keys(report)
    assert f"3 of {N} tokens have a norm above" in report.findings[keys(report).index("outliers")]["message"]
    assert "outliers" not in keys(late(x, x_hat, exclude_outliers=True))


def test_a_mean_error_after_the_sample_is_found():
    x, x_hat = pairs()
    x_hat[N // 2 :] += 0.3
    assert "mean_error" in keys(late(x, x_hat))


def test_norms_merge_and_hold_every_token_once():
    x, x_hat = pairs()
    dots = torch.stack(((x * x).sum(1), (x_hat * x_hat).sum(1), (x * x_hat).sum(1)), 1).double()
    dots[5] = torch.nan
    dots[6] = 0
    whole = Norms.from_dots(dots)
    merged = Norms.from_dots(dots[:999]) + Norms.from_dots(dots[999:])
    torch.testing.assert_close(merged.totals, whole.totals, rtol=1e-12, atol=0)
    assert (whole.tokens, whole.zero) == (N - 1, 1)
    torch.testing.assert_close(whole.totals.sum(0)[1:], dots.nansum(0))
    median = dots[:, 0][dots[:, 0] > 0].median().sqrt().item()
    assert whole.median == pytest.approx(median, rel=0.045)  # a step
    few = whole.longest()
    assert 0.005 * N < few.tokens <= 0.02 * N
    assert few.tokens == (dots[:, 0] >= few.limit**2).sum()
    extremes = torch.tensor([[1e300, 1, 1], [1e-300, 1, 1]], dtype=torch.float64)
    assert Norms.from_dots(extremes).tokens == 2
    assert Norms.from_dots(extremes[:1]).longest() is None
