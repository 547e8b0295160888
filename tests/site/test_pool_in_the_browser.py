"""Without a GPU, several workers share an SAE's work: the report is the same, and one that fails is done without."""

from sandbox.data import FILES
from tests.site.same import by_python, same
from tests.site.test_gpu_in_the_browser import INPUTS

MEASURE = """async (failing) => {
  const { measure } = await import("./js/data/measure.js");
  const { pooled } = await import("./js/data/pool.js");
  const { inWords } = await import("./js/data/verdict.js");
  const { lawInWords } = await import("./js/data/law.js");
  const sae = [...document.getElementById("sae").files];
  const given = sae.map((file) => ({ file, path: file.webkitRelativePath }));
  const told = { workers: [], progress: [], runs: 0 };
  const pool = async (read, scale) => {
    const shared = await pooled(given, read, scale);
    const run = async (x, n) => {
      if (failing && ++told.runs === 9) return shared.run({ slice: () => null }, n); // which it cannot compute
      return shared.run(x, n);
    };
    return { ...shared, run };
  };
  const slowly = (workers) => told.workers.push(workers);
  const telling = { pool, slowly, progress: (done) => told.progress.push(done) };
  const { entry, law } = await measure({ sae, x: document.getElementById("x").files[0], gpu: "any" }, telling);
  const { raw, centred, decoder_bias } = entry;
  const origins = Object.entries({ raw, centred, decoder_bias });
  const gammas = Object.fromEntries(origins.map(([key, section]) => [key, section.relative_reconstruction_bias]));
  return { entry, told, words: inWords(entry.name, gammas, raw.norm_ratio), law: law && lawInWords(law) };
}"""


THREE_CORES = """for (const [name, value] of [["hardwareConcurrency", 3], ["gpu", undefined]]) {
  Object.defineProperty(navigator, name, { value });
}"""


NONE_STARTS = """{
  globalThis.Worker = class extends EventTarget { postMessage() {} terminate() {} };
  const later = setTimeout;
  globalThis.setTimeout = (call, time, ...more) => later(call, time === 30_000 ? 0 : time, ...more);
}"""


def opened(open_site, more=""):
    tab = open_site("data.html", before=THREE_CORES + more)
    tab.evaluate(INPUTS)
    tab.set_input_files("#sae", FILES["minilm-relu"])
    tab.set_input_files("#x", FILES["activations"])
    return tab


def test_three_workers_report_what_python_does(open_site):
    answer = opened(open_site).evaluate(MEASURE, False)
    assert answer["told"]["workers"] == [3]
    assert answer["told"]["progress"] == sorted(set(answer["told"]["progress"]))
    same(by_python(FILES["activations"], sae=FILES["minilm-relu"]), answer)


def test_a_worker_that_fails_is_done_without(open_site):
    answer = opened(open_site).evaluate(MEASURE, True)
    assert answer["told"]["workers"] == [3]
    assert answer["told"]["runs"] >= 9
    same(by_python(FILES["activations"], sae=FILES["minilm-relu"]), answer)


def test_workers_that_never_start_are_done_without(open_site):
    answer = opened(open_site, NONE_STARTS).evaluate(MEASURE, False)
    assert answer["told"]["workers"] == [1]
    assert answer["told"]["runs"] == 0
    same(by_python(FILES["activations"], sae=FILES["minilm-relu"]), answer)
