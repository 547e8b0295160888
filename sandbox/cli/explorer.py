"""The commands of the explorer: explore, page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli.program import app, say
from sandbox.system.text import visible

Reports = Annotated[
    list[Path] | None,
    typer.Option("--report", metavar="FILE", help="What 'measure --json' wrote: its SAEs become points of the map."),
]


@app.command(epilog="Example: [bold]sandbox explore --report gated.json[/]")
def explore(
    report: Reports = None,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
) -> None:
    """Drag the vectors: the explorer as a page, served to this machine alone, until Ctrl-C."""
    import webbrowser

    from sandbox.explorer import page

    with page.server(page.html(_points(report)), port) as server:
        address = f"http://{page.HOST}:{server.server_address[1]}/"
        print(f"The explorer is at {address} (Ctrl-C ends it)", flush=True)
        if browser and not webbrowser.open(address):
            say("no browser could be opened: open that address yourself")
        server.serve_forever()


@app.command(epilog="Example: [bold]sandbox page explorer.html[/]")
def page(
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The file to write.")],
    report: Reports = None,
) -> None:
    """Write the explorer as one HTML file that needs no Python and no network."""
    from sandbox.explorer import page
    from sandbox.system.files import write_text
    from sandbox.system.outputs import check_outputs

    check_outputs([out], report or [])
    write_text(out, page.html(_points(report)))
    print(visible(f"Written: {out}, a page by itself; its address holds its state, so a link to it can be shared"))


def _points(reports: list[Path] | None) -> list[dict] | None:
    """The SAEs of report files as points of the map; None without any, for the embedded pair."""
    from sandbox.explorer.presets import saes_of

    return [point for path in reports for point in saes_of(path)] if reports else None
