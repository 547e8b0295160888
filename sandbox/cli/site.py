"""The command of the site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli.explorer import Reports, points_of
from sandbox.cli.program import app, say
from sandbox.system.text import visible


@app.command(epilog="Example: [bold]sandbox site public[/]")
def site(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    report: Reports = None,
    python: Annotated[
        bool, typer.Option(help="Include SymPy and Z3 for the browser; once, this downloads 20 MB and needs Node.js.")
    ] = True,
) -> None:
    """Write the site: the argument, the proofs, the explorer and a measuring page, for any web server.

    Its pages are static files and request nothing from elsewhere, so it also works below a path, as on GitHub Pages.
    Nothing that a reader measures leaves the reader's machine.
    """
    from sandbox.site.build import write_site
    from sandbox.site.python import runtime, stored
    from sandbox.system.files import check_new_folder

    check_new_folder(out)
    if python and stored() is None:
        say("fetching and compiling Python for the browser, once: about a minute")
    written = write_site(out, points_of(report), runtime() if python else None)
    size = sum(file.stat().st_size for file in written.rglob("*") if file.is_file())
    print(visible(f"Written: {out}, {size / 1e6:.1f} MB; look at it with `python -m http.server --directory {out}`"))
