// node compile.mjs PYODIDE IN.zip OUT.zip: the same archive with bytecode in place of Python sources.
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, source, target] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(resolve(folder, "pyodide.mjs")));
const python = await loadPyodide({ indexURL: resolve(folder) });
python.unpackArchive(new Uint8Array(readFileSync(source)), "zip", { extractDir: "/sources" });
python.runPython(`
import py_compile, warnings, zipfile
from pathlib import Path

warnings.simplefilter("ignore")  # about code that is not ours
root, unchecked = Path("/sources"), py_compile.PycInvalidationMode.UNCHECKED_HASH
with zipfile.ZipFile("/target.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = str(path.relative_to(root))
        if path.suffix == ".py":  # optimize=2 leaves the docstrings out
            compiled = py_compile.compile(str(path), "/module.pyc", name, True, 2, invalidation_mode=unchecked)
            path, name = Path(compiled), f"{name}c"
        target.writestr(zipfile.ZipInfo(name), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
`);
writeFileSync(target, python.FS.readFile("/target.zip"));
process.exit(0);
