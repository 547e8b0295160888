"""The site as a folder of static files, for any web server, also below a path.

Nothing in it is written twice: the explorer's modules are copied unchanged, the formulas come from the registry, the
proofs from the derivations, and the figures' numbers from the committed sweeps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sandbox.explorer import module as explorer
from sandbox.explorer.of_claims import STATES_OF_CLAIMS
from sandbox.explorer.saes import measured_saes
from sandbox.site import reading, results
from sandbox.site.proofs import proofs
from sandbox.site.python import SUMS
from sandbox.system.files import folder_written_whole

FOLDER = Path(__file__).parent


class Page(NamedTuple):
    """A page of the site.

    Attributes:
        name:    of its file in pages/, and of the file in the site
        title:   in the navigation and in the browser's tab
        scripts: modules of js/ that it loads
        styles:  style sheets that it has of its own
    """

    name: str
    title: str
    scripts: tuple[str, ...] = ()
    styles: tuple[str, ...] = ()


PAGES = (
    Page("index", "The argument", ("article/article.js",), ("js/results/results.css", "js/article/article.css")),
    Page("proofs", "Proofs", ("proofs/page.js",), ("js/proofs/proofs.css",)),
    Page("explorer", "Explorer", ("explorer-page.js",)),
    Page("data", "Your data", ("data/page.js",), ("js/data/page.css",)),
    Page("results", "Results", ("results/page.js",), ("js/results/results.css",)),
    Page("read-your-report", "Read your report", ("results/reading.js",), ("js/results/reading.css",)),
)
"""In the order of the navigation."""

OWN = (
    "__init__.py",
    "errors.py",
    "system/*.py",
    "maths/**/*.py",
    "maths/derived.json",
    "claims/*.py",
    "site/__init__.py",
    "site/cells.py",
)
"""What proof cells need of the sandbox, in its folder."""

PYTHON_AT_ONCE = ("python/there.js", "python/sandbox.zip")
"""What the service worker keeps of Python before anybody wants it: what must be of the pages' version."""

HASH = 16
"""Hexadecimal digits of a hash that tell one version of a file from another."""


def write_site(out: str | Path, saes: Sequence[dict[str, Any]] | None = None, python: Path | None = None) -> Path:
    """Write the site into a new folder, completely or not at all.

    Args:   out:    the folder, which must not exist or be empty
            saes:   points of the explorer's map; the embedded pair by default
            python: the folder of `python.runtime()`; without it, the pages cannot decide a claim of the reader's own
    Raises: InputError if the folder cannot be written
    """
    with folder_written_whole(out) as folder:
        for name, content in files(saes, python):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    return Path(out)


def files(saes: Sequence[dict[str, Any]] | None = None, python: Path | None = None) -> Iterator[tuple[str, bytes]]:
    """Every file of the site: its path and its content; the service worker comes last, because it names their version.

    Args: see `write_site`
    """
    content = dict(_files(measured_saes() if saes is None else saes, python))
    hashes = {name: sha256(file).hexdigest()[:HASH] for name, file in content.items()}
    version = sha256(json.dumps(hashes).encode()).hexdigest()[:HASH]
    for name, file in content.items():
        yield name, file.replace(b"VERSION", version.encode(), 1) if name.endswith(".html") else file
    later = [name for name in hashes if name.startswith("python/") and name not in PYTHON_AT_ONCE]
    about = json.dumps({"version": version, "files": hashes, "later": later}, indent=1)
    worker = (FOLDER / "js" / "service-worker.js").read_text(encoding="utf-8")
    yield "service-worker.js", f"const SITE = {about};\n{worker}".encode()


def _files(saes: Sequence[dict[str, Any]], python: Path | None) -> Iterator[tuple[str, bytes]]:
    for page in PAGES:
        yield f"{page.name}.html", html(page).encode()
    yield "site.css", (FOLDER / "site.css").read_bytes()
    for path in sorted((FOLDER / "js").rglob("*.[jc]s*")):
        if path.name != "service-worker.js":
            yield f"js/{path.relative_to(FOLDER / 'js').as_posix()}", path.read_bytes()
    for path in sorted((explorer.FOLDER / "js").glob("*.js")):
        yield f"explorer/{path.name}", path.read_bytes()
    yield "explorer/generated.js", explorer.generated().encode()
    yield "explorer/explorer.css", explorer.style().encode()
    yield "explorer/saes.js", f"export const saes = {json.dumps(list(saes), ensure_ascii=False)};\n".encode()
    yield "data/proofs.json", json.dumps(_with_presets(proofs()), ensure_ascii=False).encode()
    yield from results.files()
    yield "results/reading.json", results.as_json(reading.reading())
    runtime = dict(_runtime(python)) if python is not None else {}
    loaded = sum(len(content) for name, content in runtime.items() if not name.endswith(".js"))
    there = {"there": bool(runtime), "bytes": loaded}
    yield (
        "python/there.js",
        "".join(f"export const {key} = {json.dumps(value)};\n" for key, value in there.items()).encode(),
    )
    yield from runtime.items()


def _runtime(python: Path) -> Iterator[tuple[str, bytes]]:
    """Python for the browser. What it fetches, all but its scripts, is what a reader waits for.

    Pyodide's modules become .js: many servers know no .mjs, and browsers run no module of an unknown type.
    """
    for path in sorted(python.iterdir()):
        if path.name != SUMS:
            content = path.read_bytes()
            if path.suffix == ".mjs":
                content = content.replace(b"pyodide.asm.mjs", b"pyodide.asm.js")
            yield f"python/{path.name.replace('.mjs', '.js')}", content
    yield "python/sandbox.zip", _own_modules()


def _with_presets(proven: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each proof with the key of the preset that shows its claim best."""
    return [proof | {"preset": STATES_OF_CLAIMS[proof["number"]]} for proof in proven]


def _own_modules() -> bytes:
    """The modules of the sandbox that the browser runs, as they are, in an archive that is the same each time."""
    archive = BytesIO()
    with ZipFile(archive, "w") as content:
        for path in sorted({path for pattern in OWN for path in FOLDER.parent.glob(pattern)}):
            name = f"sandbox/{path.relative_to(FOLDER.parent).as_posix()}"
            content.writestr(ZipInfo(name), path.read_bytes(), ZIP_DEFLATED, 9)
    return archive.getvalue()


def html(page: Page) -> str:
    """A page in the frame that all pages share."""
    parts = {
        "name": page.name,
        "title": escape(page.title),
        "nav": "".join(_link(other, page) for other in PAGES),
        "main": _quoted((FOLDER / "pages" / f"{page.name}.html").read_text(encoding="utf-8").strip()),
        "scripts": "\n".join(f'<script type="module" src="js/{name}"></script>' for name in page.scripts),
        "styles": "\n".join(f'<link rel="stylesheet" href="{name}">' for name in page.styles),
    }
    frame = (FOLDER / "pages" / "frame.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda mark: parts[mark[1]], frame)


def _quoted(text: str) -> str:
    """A page in which `<span data-step="C7.2"></span>` shows step 2 of C7, and "C7.2:2" its first two terms."""

    def step(mark: re.Match[str]) -> str:
        found = next(proof["steps"][int(mark[2]) - 1] for proof in proofs() if proof["number"] == mark[1])
        terms, signs = found["terms"][: int(mark[3] or 99)], found["signs"]
        chain = terms[0] + "".join(f"<mo>{sign}</mo>{term}" for sign, term in zip(signs, terms[1:], strict=False))
        return f'{mark[0][: -len("></span>")]} class="formula"><math>{chain}</math></span>'

    return re.sub(r'<span data-step="(C\d+)\.(\d+)(?::(\d+))?"></span>', step, text)


def _link(page: Page, current: Page) -> str:
    here = ' aria-current="page"' if page is current else ""
    return f'<a href="{page.name}.html"{here}>{escape(page.title)}</a>'
