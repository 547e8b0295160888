"""The commands of the explorer: explore, page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli.program import app, say
from sandbox.system.text import visible

Reports = Annotated[
    list[Path] | None,
    typer.Option(
        "--report", metavar="FILE", help="Output of 'measure --json': its SAEs become points on the map; repeatable."
    ),
]


@app.command(epilog="Example: [bold]sandbox explore --report gated.json[/]")
def explore(
    report: Reports = None,
    port: Annotated[int, typer.Option(help="0 picks a free port.", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option(help="Open it in a browser.")] = True,
) -> None:
    """Drag the vectors: serve the explorer, and the site around it, to this machine until Ctrl-C."""
    from threading import Thread

    from sandbox.site.build import files
    from sandbox.site.python import stored
    from sandbox.site.server import HOST, server

    with server(dict(files(points_of(report), stored())), port) as serving:
        address = f"http://{HOST}:{serving.server_address[1]}/explorer.html"
        print(f"The explorer is at {address} (Ctrl-C ends it)", flush=True)
        if browser:  # beside the server: some browsers return only when they are closed
            Thread(target=_open, args=(address,), daemon=True).start()
        serving.serve_forever()


def _open(address: str) -> None:
    import webbrowser

    if not webbrowser.open(address):
        say("cannot open a browser: open the address above yourself")


@app.command(epilog="Example: [bold]sandbox page explorer.html[/]")
def page(
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The file to write.")],
    report: Reports = None,
) -> None:
    """Write the explorer as one HTML file that needs neither Python nor a network."""
    from sandbox.explorer import page
    from sandbox.system.files import write_text
    from sandbox.system.outputs import check_outputs

    check_outputs([out], report or [])
    write_text(out, page.html(points_of(report)))
    print(visible(f"Written: {out}, a self-contained page; its address holds its state, so you can share a link to it"))


def points_of(reports: list[Path] | None) -> list[dict] | None:
    """The SAEs in report files as points of the map; None without files, for the embedded pair."""
    from sandbox.explorer.saes import saes_of

    return [point for path in reports for point in saes_of(path)] if reports else None
