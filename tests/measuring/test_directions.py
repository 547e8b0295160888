"""Along the principal components of x: the numbers of plain numpy, and γ = Σ c_k γ_k / Σ c_k (C25)."""

import csv
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import sandbox
from sandbox.activations.split import Split
from sandbox.errors import InputError
from sandbox.measuring.directions import EDGES
from sandbox.measuring.measure import NoDirections
from sandbox.report import to_csv, to_json
from tests.helpers.runs import sandbox as command

D, N = 12, 4000
GAMMA = "relative_reconstruction_bias"
DOCUMENTS = np.arange(N) // 20


def data(seed=0, d=D, n=N):
    """Tokens with a mean, and a variance that falls with the component, in a rotated basis."""
    draw = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(d, d, generator=draw, dtype=torch.float64)).Q
    x = torch.randn(n, d, generator=draw, dtype=torch.float64) * torch.logspace(1, -1, d, dtype=torch.float64)
    return (x @ basis.T + 2).float(), basis


def by_direction(sae, x, bands=(2, 6), documents=DOCUMENTS, **options):
    return sandbox.measure(sae, x, documents=documents, look=False, directions=bands, **options).directions


def plain(x, x_hat, cuts, documents=DOCUMENTS):
    """γ, energy and loss of each band, with numpy."""
    fit = Split().chosen(documents)
    x, x_hat = x.double().numpy(), x_hat.double().numpy()
    _, vectors = np.linalg.eigh(np.cov(x[fit].T))
    u, v = ((rows[~fit] - rows[~fit].mean(0)) @ vectors[:, ::-1] for rows in (x, x_hat))
    bands = [slice(*ends) for ends in pairwise(cuts)]
    return [
        ((v[:, k] ** 2).sum() / (u[:, k] * v[:, k]).sum(), (u[:, k] ** 2).sum(), ((u - v)[:, k] ** 2).sum())
        for k in bands
    ]


def test_bands_are_those_of_plain_numpy():
    x, _ = data()
    weight = torch.linspace(0.5, 1.2, D)
    found = by_direction(lambda x: weight * x, x)
    assert [(band.first, band.last) for band in found.bands] == [(1, 2), (3, 6), (7, 12)]
    rows = plain(x, weight * x, (0, 2, 6, 12))
    energy, loss = (sum(row[i] for row in rows) for i in (1, 2))
    for band, (gamma, of_energy, of_loss) in zip(found.bands, rows, strict=True):
        assert band.estimates[GAMMA].value == pytest.approx(gamma, rel=1e-6)
        shares = found.shares(band)
        assert (shares["energy"], shares["loss"]) == pytest.approx((of_energy / energy, of_loss / loss), rel=1e-6)
    assert found.fitted + found.measured == len(np.unique(DOCUMENTS))


def test_gamma_over_all_is_the_mean_of_the_bands_weighted_by_c():
    x, _ = data()
    report = sandbox.measure(lambda x: torch.relu(x) * 0.9, x, documents=DOCUMENTS, look=False, directions=True)
    found = report.directions
    shares = [found.shares(band) for band in found.bands]
    mean = sum(s["c"] * band.estimates[GAMMA].value for s, band in zip(shares, found.bands, strict=True))
    held_out = ~Split().chosen(DOCUMENTS)
    alone = sandbox.measure(lambda x: torch.relu(x) * 0.9, x[held_out], documents=DOCUMENTS[held_out], look=False)
    whole = found.whole.estimates[GAMMA]
    assert mean == pytest.approx(whole.value, abs=1e-9)
    assert whole.value == pytest.approx(alone.centred[GAMMA].value, abs=1e-9)
    assert whole.low == pytest.approx(alone.centred[GAMMA].low, abs=1e-9)
    for key in ("energy", "c", "loss"):
        assert sum(share[key] for share in shares) == pytest.approx(1, abs=1e-9)


def test_what_shrinks_only_in_some_directions_is_found_there():
    x, basis = data()
    factors = torch.ones(D, dtype=torch.float64)
    factors[6:] = 0.7
    found = by_direction(lambda x: ((x.double() @ basis) * factors @ basis.T).float(), x)
    first, second, last = (band.estimates[GAMMA] for band in found.bands)
    assert (first.value, second.value) == pytest.approx((1, 1), abs=1e-4)
    assert last.value == pytest.approx(0.7, abs=1e-2)
    assert found.whole.estimates[GAMMA].value > 0.99, "which pooled γ hides"
    assert found.apart.lower is found.bands[2]
    assert "γ differs between directions" in found.in_words()
    assert "on components 7-12 (100.0 % of the loss)" in found.in_words()


def test_equal_shrinkage_everywhere_is_no_difference():
    x, _ = data()
    noise = torch.randn(N, D, generator=torch.Generator().manual_seed(1))
    pairs = sandbox.measure_pairs(x, 0.9 * x + 0.1 * noise, documents=DOCUMENTS, look=False, directions=(1, 2, 3))
    assert pairs.directions.apart.higher.last == D, "the noise is in x̂ and lengthens it most where x is short"
    same = sandbox.measure_pairs(x, 0.9 * x, documents=DOCUMENTS, look=False, directions=(1, 2, 3))
    assert same.directions.apart is None
    assert "Cannot tell whether γ differs between directions" in same.directions.in_words()


def test_bands_that_differ_only_by_chance_are_rarely_told_apart():
    """80 documents, ten bands of the same true γ: lowest against highest would differ in a tenth of the runs."""
    told = 0
    for seed in range(40):
        draw = torch.Generator().manual_seed(seed)
        x, noise = torch.randn(2, 1600, 20, generator=draw)
        x_hat = 0.5 * (x + noise)  # E x̂·x = E‖x̂‖² = 1/2: γ is 1 in every direction
        found = sandbox.measure_pairs(x, x_hat, documents=np.arange(1600) // 10, look=False, directions=range(2, 20, 2))
        told += found.directions.apart is not None
    assert told <= 5  # at most 5 % are expected: 2 of 40


def test_where_x_does_not_vary_nothing_is_measured_but_the_loss_there_counts():
    x, basis = data(d=8)
    flat = x.double() @ basis[:, :3] @ basis[:, :3].T + 5
    noise = torch.randn(N, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = sandbox.measure_pairs(flat, 0.9 * flat + noise, documents=DOCUMENTS, look=False, directions=(3,)).directions
    varying, still = found.bands
    assert varying.estimates[GAMMA].value is not None
    assert not still.varies
    assert still.estimates[GAMMA].reason == "x does not vary along these components"
    assert found.apart is None
    shares = found.shares(still)
    assert shares["energy"] == pytest.approx(0, abs=1e-12)
    assert shares["loss"] > 0.3


def test_a_run_whose_directions_fail_keeps_its_report(tmp_path):
    np.save(tmp_path / "x.npy", data()[0].numpy())
    np.save(tmp_path / "documents.npy", np.zeros(N, int))
    with pytest.raises(NoDirections, match="documents: found fewer than two") as failed:
        by_direction(torch.relu, data()[0], documents=np.zeros(N, int))
    assert failed.value.reports[0].raw[GAMMA].value is not None
    given = ["--x", tmp_path / "x.npy", "--x-hat", tmp_path / "x.npy", "--documents", tmp_path / "documents.npy"]
    done = command("measure", *given, "--directions", "--json", tmp_path / "report.json", "--no-preflight")
    assert done.returncode == 2
    assert "found fewer than two" in done.stderr
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["saes"][0]["tokens"] == N


def test_numbers_of_numpy_are_bands_and_none_is_none():
    assert [band.last for band in by_direction(torch.relu, data()[0], np.array([3, 5])).bands] == [3, 5, 12]
    assert by_direction(torch.relu, data()[0], None) is None


def test_neither_the_order_of_documents_nor_the_batches_matter():
    x, _ = data()
    order = np.random.default_rng(0).permutation(N // 20)
    rows = (order[:, None] * 20 + np.arange(20)).ravel()
    first = by_direction(torch.relu, x)
    second = by_direction(torch.relu, x[rows], documents=DOCUMENTS[rows], batch_size=333)
    assert (first.fitted, first.measured) == (second.fitted, second.measured)
    for one, other in zip(first.bands, second.bands, strict=True):
        assert one.estimates[GAMMA].value == pytest.approx(other.estimates[GAMMA].value, rel=1e-9)


def test_outliers_are_left_out_and_counted():
    x, _ = data()
    x[7] *= 1e4
    found = by_direction(torch.relu, x)
    assert found.left_out == 1, "whichever half it is in"
    assert found.bands[0].estimates[GAMMA].value == pytest.approx(
        by_direction(torch.relu, torch.cat((x[:7], x[8:])), documents=np.delete(DOCUMENTS, 7))
        .bands[0]
        .estimates[GAMMA]
        .value,
        rel=1e-9,
    )


def test_without_documents_blocks_are_split_and_it_says_so():
    found = by_direction(torch.relu, data()[0], documents=None)
    assert found.blocks
    assert "blocks of tokens" in found.origin_in_words()


@pytest.mark.parametrize("bands", [(), (0, 5), (5, 5), (5, 3), (1.5,), "5,20", 5, [2, "x"]])
def test_bands_that_are_none_are_refused(bands):
    with pytest.raises(InputError, match="give rising whole numbers from 1"):
        by_direction(torch.relu, data()[0], bands)


def test_a_single_document_cannot_be_split():
    with pytest.raises(InputError, match="documents: found fewer than two"):
        by_direction(torch.relu, data()[0], documents=np.zeros(N, int))


def test_a_generator_is_refused_before_it_is_read():
    read = []

    def pieces():
        for piece in data()[0].split(500):
            read.append(1)
            yield piece

    with pytest.raises(InputError, match="can be read only once, but directions need two more passes"):
        sandbox.measure(torch.relu, pieces(), look=False, directions=True)
    assert len(read) <= 1, "no pass was made"
    found = sandbox.measure(torch.relu, pieces, look=False, directions=True)
    assert found.directions is not None


def test_edges_beyond_d_are_ignored_and_default_edges_fit_any_d():
    found = by_direction(torch.relu, data()[0], True)
    assert [band.name for band in found.bands] == ["1-5", "6-12"]
    assert [band.name for band in by_direction(torch.relu, data(d=1)[0], (3,)).bands] == ["1"]
    assert list(EDGES) == sorted(EDGES)


def test_several_saes_share_the_components():
    x, _ = data()
    one, other = sandbox.measure([torch.relu, lambda x: 0.5 * x], x, documents=DOCUMENTS, look=False, directions=(2,))
    assert one.directions.bands[0].moments.a == other.directions.bands[0].moments.a
    assert other.directions.bands[1].estimates[GAMMA].value == pytest.approx(0.5, rel=1e-6)


def test_json_csv_and_the_table_have_every_band():
    x, _ = data()
    report = sandbox.measure(torch.relu, x, documents=DOCUMENTS, look=False, directions=(2, 6))
    (entry,) = json.loads(to_json([report]))["saes"]
    bands = entry["directions"]["bands"]
    assert [(band["first"], band["last"]) for band in bands] == [(1, 2), (3, 6), (7, 12)]
    assert bands[0][GAMMA]["value"] == report.directions.bands[0].estimates[GAMMA].value
    assert entry["directions"]["whole"][GAMMA] == report.directions.whole.estimates[GAMMA].to_dict()
    rows = [row for row in csv.DictReader(to_csv([report]).splitlines()) if row["origin"].startswith("components")]
    assert {row["origin"] for row in rows} == {f"components {band}" for band in ("1-2", "3-6", "7-12", "all")}
    assert {row["documents"] for row in rows} == {str(report.directions.measured)}
    assert {"share_of_energy", "share_of_c", "share_of_loss", GAMMA} <= {row["measure"] for row in rows}
    text = str(report)
    assert "By principal component of x (centred): components from" in text
    assert "3-6" in text
    assert "By principal component" in report._repr_html_()


def test_the_embedded_gated_sae_hides_what_its_directions_show():
    options = {"documents": "embedded:documents", "look": False}
    report = sandbox.measure(
        "embedded:minilm-gated", "embedded:activations", directions=(5, 20, 50, 100, 200, 300), **options
    )
    gammas = {band.name: band.estimates[GAMMA] for band in report.directions.bands}
    assert gammas["1-5"].low > 1.01
    assert gammas["201-300"].high < 0.95
    default = sandbox.measure("embedded:minilm-gated", "embedded:activations", directions=True, **options).directions
    whole, first, last = (band.estimates[GAMMA].value for band in (default.whole, default.bands[0], default.bands[-1]))
    words = f"γ is {whole:.3f} over all, {first:.2f} along the first and {last:.2f} along the last"
    assert words in " ".join((Path(__file__).parents[2] / "docs/measuring.md").read_text("utf-8").split())


def test_the_command(tmp_path):
    given = ["--sae", "embedded:minilm-gated", "--activations", "embedded:activations", "--device", "cpu"]
    done = command("measure", *given, "--documents", "embedded:documents", "--bands", "5,100", "--json", "-")
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads(done.stdout)["saes"]
    assert [band["last"] for band in entry["directions"]["bands"]] == [5, 100, 384]
    bad = command("measure", *given, "--bands", "5;100")
    assert bad.returncode == 2
    assert "--bands 5;100: give whole numbers separated by commas" in bad.stderr
