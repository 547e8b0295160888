"""The page "Your data" in a real Chromium: files in, a report out, and nothing that leaves the machine."""

import json

import numpy as np
import pytest
from playwright.sync_api import expect

from sandbox.data import FILES
from sandbox.measuring.preflight.check import folding
from tests.site.same import by_python, same
from tests.site.test_data_in_the_browser import pairs

FITS = "(tables) => tables.every((table) => table.scrollWidth <= table.parentElement.clientWidth)"


def report_of(tab):
    """The report's sentence, and its file."""
    tab.locator("#report h2").first.wait_for()
    with tab.expect_download() as download:
        tab.get_by_text("Download the report").click()
    (entry,) = json.loads(download.value.path().read_text(encoding="utf-8"))["saes"]
    return tab.locator(".verdict").inner_text(), entry


@pytest.fixture
def files(tmp_path):
    """A pair, and document ids, as .npy files."""
    x, x_hat = pairs(n=2000, d=24)
    arrays = {"x": x.astype(np.float32), "recon": x_hat.astype(np.float16), "ids": np.arange(2000) // 50}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    return {name: tmp_path / f"{name}.npy" for name in arrays}


def test_a_pair_is_measured_without_a_network_as_python_measures_it(open_site, files):
    tab = open_site("data.html")
    tab.wait_for_load_state("networkidle")
    tab.context.set_offline(True)
    tab.set_input_files("#files", list(files.values()))
    roles = tab.locator("table.given select")
    roles.nth(2).wait_for()
    assert [roles.nth(at).input_value() for at in range(3)] == ["x", "x_hat", "documents"]
    assert "float16, shape (2000, 24)" in tab.locator("table.given").inner_text()
    tab.click("#measure")
    words, entry = report_of(tab)
    report = by_python(files["x"], files["recon"], documents=files["ids"])
    same(report, {"entry": entry, "words": words, "law": None})


def test_what_stands_in_for_documents_is_said_in_pythons_words(open_site, files):
    """How many blocks, and how long: what an interval rests on."""
    tab = open_site("data.html")
    tab.set_input_files("#files", [files["x"], files["recon"]])
    tab.locator("#status", has_text="Ready:").wait_for()
    tab.click("#measure")
    tab.locator("#report h2").first.wait_for()
    report = by_python(files["x"], files["recon"])
    assert report.stand_in.number < 20
    assert tab.locator("#report .warning").all_inner_texts() == [report.stand_in.meaning()]
    assert str(report.stand_in) in tab.locator("#report .facts").first.inner_text()


def test_an_sae_is_measured_as_python_measures_it_and_the_law_explains_it(open_site):
    tab = open_site("data.html", viewport={"width": 390, "height": 800}, color_scheme="dark", has_touch=True)
    tab.set_input_files("#folder", FILES["minilm-relu"])
    tab.get_by_text("SAELens standard, d_in 384, d_sae 1536").wait_for()
    assert "Still needed: x." in tab.locator("#status").inner_text()
    tab.set_input_files("#files", [FILES["activations"], FILES["documents"]])
    tab.locator("#status", has_text="Ready:").wait_for()
    tab.tap("#measure")
    words, entry = report_of(tab)
    report = by_python(FILES["activations"], sae=FILES["minilm-relu"], documents=FILES["documents"])
    law = tab.get_by_text("The law predicts").inner_text()
    same(report, {"entry": entry, "words": words, "law": law})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert tab.locator("#report table").evaluate_all(FITS)


def test_the_example_by_keyboard_alone(open_site):
    """Its documents make intervals; its L1 penalty makes it shrink; the focus goes to the report."""
    tab = open_site("data.html")
    tab.focus("#example")
    tab.keyboard.press("Enter")
    words, entry = report_of(tab)
    assert "x_hat shrinks by" in words
    assert entry["documents"] > 20
    gamma = entry["raw"]["relative_reconstruction_bias"]
    assert gamma["low"] < gamma["value"] < gamma["high"] < 1
    assert (
        tab.locator('tr[data-measure="relative_reconstruction_bias"] b').nth(1).inner_text() == f"{gamma['value']:.4f}"
    )
    assert tab.locator("#report .saes circle.yours").count() == 1


def test_what_is_wrong_with_a_file_is_said_beside_it(open_site, files, tmp_path):
    (tmp_path / "x.pt").write_bytes(b"...")
    (tmp_path / "cut.npy").write_bytes(files["x"].read_bytes()[:-1])
    tab = open_site("data.html")
    tab.set_input_files("#files", [tmp_path / "x.pt", tmp_path / "cut.npy", files["recon"]])
    table = tab.locator("table.given")
    table.get_by_text("x.pt: activations are read from .npy, .safetensors files here, not .pt").wait_for()
    size = files["x"].stat().st_size
    assert f"cut.npy is cut short: {size - 1} bytes of {size}; copy it again" in table.inner_text()
    assert tab.locator("#measure").is_disabled()
    tab.set_input_files("#files", files["x"])
    tab.locator("#status", has_text="Ready:").wait_for()
    tab.locator("table.given select").last.select_option("none")
    tab.locator("#status", has_text="Still needed: x.").wait_for()


ROLES = {
    ("x_hat", "mystery_x_hat"): {},
    ("x", "x_hat", "mystery_x_hat"): {"x": "x"},
    ("first", "second"): {},
    ("chat_acts", "reconstructions"): {"chat_acts": "x", "reconstructions": "x_hat"},
    ("x", "second"): {"x": "x", "second": "x_hat"},
    ("first", "x_hat"): {"first": "x", "x_hat": "x_hat"},
    ("x", "recon", "ids", "more_ids"): {"x": "x", "recon": "x_hat"},
}


@pytest.mark.parametrize("names", ROLES, ids=" ".join)
def test_no_role_is_guessed_and_what_was_understood_is_said(open_site, tmp_path, names):
    x, x_hat = pairs(n=40, d=4)
    for name in names:
        np.save(tmp_path / f"{name}.npy", np.arange(40) if "ids" in name else x_hat if "hat" in name else x)
    tab = open_site("data.html")
    tab.set_input_files("#files", [tmp_path / f"{name}.npy" for name in names])
    roles = tab.locator("table.given select")
    roles.nth(len(names) - 1).wait_for()
    known = ROLES[names]
    found = {name: roles.nth(at).input_value() for at, name in enumerate(names)}
    assert found == dict.fromkeys(names, "none") | known
    status = tab.locator("#status")
    if {"x", "x_hat"} <= set(known.values()):
        by_role = {role: name for name, role in known.items()}
        assert f"Ready: x is {by_role['x']}.npy, x̂ is {by_role['x_hat']}.npy." == status.inner_text()
    else:
        assert status.inner_text().startswith("Still needed: ")
        assert status.inner_text().endswith("No name tells which file it is: choose under “use as”.")
        assert tab.locator("#measure").is_disabled()


def test_a_gamma_that_no_sae_in_use_has_is_warned_of_in_the_commands_words(open_site, tmp_path):
    x, x_hat = pairs(n=400, d=4)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "x_hat.npy", x_hat / 4)
    tab = open_site("data.html")
    tab.set_input_files("#files", [tmp_path / "x.npy", tmp_path / "x_hat.npy"])
    tab.locator("#status", has_text="Ready:").wait_for()
    tab.click("#measure")
    tab.locator("#report h2").first.wait_for()
    gamma = by_python(tmp_path / "x.npy", tmp_path / "x_hat.npy").raw["relative_reconstruction_bias"].value
    [finding] = folding(gamma, "of all tokens")
    assert finding.message in tab.locator("#report .warning").all_inner_texts()
    assert tab.locator('#report a[href="read-your-report.html"]').count() == 1


def test_a_point_beyond_the_explorers_reach_has_no_link_to_another_one(open_site, tmp_path):
    x, x_hat = pairs(n=400, d=4)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "x_hat.npy", 10 * x_hat)
    tab = open_site("data.html")
    tab.set_input_files("#files", [tmp_path / "x.npy", tmp_path / "x_hat.npy"])
    tab.locator("#status", has_text="Ready:").wait_for()
    tab.click("#measure")
    entry = report_of(tab)[1]
    words = tab.locator("#report figcaption").inner_text()
    assert f"its norm ratio ends at 2, and yours is {entry['raw']['norm_ratio']['value']:.3f}" in words
    assert tab.locator("#report figcaption a").count() == 0


def test_tokens_that_are_not_finite_are_left_out_on_request(open_site, files):
    x = np.load(files["x"])
    x[3, 3] = np.nan
    np.save(files["x"], x)
    tab = open_site("data.html")
    tab.set_input_files("#files", [files["x"], files["recon"]])
    tab.locator("#status", has_text="Ready:").wait_for()
    tab.click("#measure")
    tab.locator("#status.wrong", has_text="1 of 2,000 tokens have a NaN or an infinity").wait_for()
    tab.check("#drop-nonfinite")
    tab.click("#measure")
    assert report_of(tab)[1]["dropped"] == 1
    assert "1 not finite, left out" in tab.locator("#report .facts").first.inner_text()


def test_a_long_measurement_can_be_stopped_and_reports_what_it_has_read(open_site, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((60_000, 384)).astype(np.float32))
    tab = open_site("data.html")
    tab.set_input_files("#folder", FILES["minilm-gated"])
    tab.get_by_text("SAELens gated").wait_for()
    tab.set_input_files("#files", tmp_path / "x.npy")
    tab.locator("#status", has_text="Ready:").wait_for()
    tab.click("#measure")
    expect(tab.locator("#progress")).not_to_have_js_property("value", 0, timeout=60_000)
    tab.click("#stop")
    _, entry = report_of(tab)
    assert not entry["complete"]
    assert 0 < entry["tokens"] < 60_000
    assert "stopped early" in tab.locator("#report .facts").first.inner_text()


def test_files_and_folders_can_be_dropped_anywhere(open_site, files):
    """A script can make no folder to drop, but files; an SAE's two files beside x are one SAE."""
    tab = open_site("data.html")
    names = {path.name: list(path.read_bytes()) for path in (files["x"], files["recon"])}
    names |= {path.name: list(path.read_bytes()) for path in FILES["minilm-gated"].iterdir() if path.suffix == ".json"}
    tab.evaluate(
        """(names) => {
          const dataTransfer = new DataTransfer();
          for (const [name, bytes] of Object.entries(names)) {
            dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
          }
          for (const type of ["dragenter", "dragover", "drop"]) {
            const event = new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true });
            document.querySelector("h1").dispatchEvent(event);
          }
        }""",
        names,
    )
    table = tab.locator("table.given")
    table.get_by_text("an SAE needs cfg.json beside sae_weights.safetensors").wait_for()
    assert "float32, shape (2000, 24)" in table.inner_text()
    assert tab.locator(".drop.over").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1600])
def test_the_report_fits_and_is_painted_in_the_colours_of_the_page(open_site, width, scheme):
    tab = open_site("data.html", viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab.click("#example")
    tab.locator("#report .saes circle").first.wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator("#report .shrinkage-explorer").get_attribute("data-theme") == scheme
    assert tab.locator("#report table").evaluate_all(FITS)
