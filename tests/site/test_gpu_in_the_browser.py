"""The page's products on a GPU: WebGPU in a real Chromium, on the software adapter that it brings along."""

import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from sandbox.data import FILES
from tests.helpers.by_saelens import written
from tests.site.same import by_python

SOFTWARE = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]

INPUTS = """() => {
  for (const [id, attribute] of [["sae", "webkitdirectory"], ["x", "multiple"]]) {
    const input = document.body.appendChild(document.createElement("input"));
    input.setAttribute(attribute, "");
    Object.assign(input, { type: "file", id });
  }
}"""

MEASURE = """async (options) => {
  const { measure } = await import("./js/data/measure.js");
  const [sae, x] = ["sae", "x"].map((id) => [...document.getElementById(id).files]);
  const ids = x.find(({ name }) => name.startsWith("documents")) ?? null;
  const { entry } = await measure({ sae, x: x.find((file) => file !== ids), documents: ids, ...options });
  return entry;
}"""

ENCODE = """async ([d, latents, n, bytes]) => {
  const { gpuAdapter, gpuEncoder } = await import("./js/data/gpu.js");
  const numbers = (count) => Float32Array.from({ length: count }, (_, i) => Math.sin(i * i + count));
  const [encoder, z] = [numbers(d * latents), numbers(d * n)];
  const gpu = await gpuEncoder({ d_in: d, d_sae: latents, encoder }, await gpuAdapter(true), bytes);
  const batch = Math.min(n, gpu.tokens);
  const acts = await gpu.encode(z, batch);
  let [worst, count] = [0, 0];
  for (let t = 0; t < batch; t++) for (let j = 0; j < latents; j++, count++) {
    let sum = 0;
    for (let i = 0; i < d; i++) sum += z[t * d + i] * encoder[j * d + i];
    worst = Math.max(worst, Math.abs(acts[t * latents + j] - sum));
  }
  gpu.end();
  return { worst, whole: acts.length === count && batch > 0 };
}"""


@pytest.fixture(scope="module")
def tab(playwright, site):
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SOFTWARE)
    page = browser.new_context(service_workers="block").new_page()
    page.goto(f"{site}data.html")
    page.evaluate(INPUTS)
    if not page.evaluate("navigator.gpu?.requestAdapter().then(Boolean) ?? false"):
        pytest.skip("this Chromium has no WebGPU adapter, not even in software")
    yield page
    browser.close()


@pytest.mark.parametrize(
    "sizes", [(384, 1536, 100, 2**30), (24, 96, 400, 2**30), (5, 7, 3, 2**30), (37, 1000, 65, 2**15)]
)
def test_products_are_those_in_float64_but_for_rounding(tab, sizes):
    """Sums of d products of numbers below 1, in float32: each step rounds by at most 2⁻²⁴ of the sum so far."""
    found = tab.evaluate(ENCODE, list(sizes))
    assert found["whole"]
    assert found["worst"] <= sizes[0] ** 1.5 * 2**-24


def test_an_embedded_sae_on_a_gpu_agrees_with_python_in_float32(tab, tmp_path):
    """As closely as float32 on both sides can (`test_an_embedded_sae_in_float32_as_by_default`)."""
    save_file({"x": load_file(FILES["activations"])["activations"][:1000]}, tmp_path / "x.safetensors")
    np.save(tmp_path / "documents.npy", np.load(FILES["documents"])[:1000])
    tab.set_input_files("#sae", FILES["minilm-gated"])
    tab.set_input_files("#x", [tmp_path / "x.safetensors", tmp_path / "documents.npy"])
    entry = tab.evaluate(MEASURE, {"gpu": "any"})
    assert entry["dtype"] == "float32"
    assert "WebGPU" in entry["device"]
    case = {"x": tmp_path / "x.safetensors", "documents": tmp_path / "documents.npy", "sae": FILES["minilm-gated"]}
    report = by_python(**case, dtype="float32")
    for origin, estimates in report.origins.items():
        for key in ("relative_reconstruction_bias", "norm_ratio", "cosine", "relative_loss"):
            found, value = entry[origin][key], estimates[key]
            assert [found["value"], found["low"], found["high"]] == pytest.approx(
                [value.value, value.low, value.high], rel=1e-6
            )


@pytest.mark.parametrize("architecture", ["topk", "jumprelu"])
def test_another_architecture_on_a_gpu(tab, architecture, tmp_path):
    written(tmp_path / "sae", architecture)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((1100, 24)).astype(np.float32))
    tab.set_input_files("#sae", tmp_path / "sae")
    tab.set_input_files("#x", tmp_path / "x.npy")
    entries = [tab.evaluate(MEASURE, {"gpu": gpu}) for gpu in ("any", "none")]
    assert [entry["dtype"] for entry in entries] == ["float32", "float64"]
    ratios = [entry["raw"]["norm_ratio"]["value"] for entry in entries]
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-6)
    assert ratios[0] != ratios[1]


def test_little_work_and_a_software_gpu_are_left_to_plain_code(tab):
    entry = tab.evaluate(MEASURE, {})
    assert entry["dtype"] == "float64"
    assert tab.evaluate("import('./js/data/gpu.js').then(({ gpuAdapter }) => gpuAdapter())") is None


def test_a_gpu_that_fails_is_left_to_plain_code(tab):
    """Here its memory is too small, then its answers are wrong: the report is the same as without one."""
    wrong = """async (options) => {
      const kept = GPUQueue.prototype.writeBuffer;
      GPUQueue.prototype.writeBuffer = function (buffer, at, data, ...rest) {
        const changed = data instanceof Float32Array ? data.map((one) => 1.01 * one) : data;
        return kept.call(this, buffer, at, changed, ...rest);
      };
      try { return await (%s)(options); } finally { GPUQueue.prototype.writeBuffer = kept; }
    }"""
    small = """async (options) => {
      const kept = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = () => Promise.reject(new Error("no memory"));
      try { return await (%s)(options); } finally { GPUAdapter.prototype.requestDevice = kept; }
    }"""
    expected = tab.evaluate(MEASURE, {"gpu": "none"})
    for broken in (wrong, small):
        assert tab.evaluate(broken % MEASURE, {"gpu": "any"}) == expected
