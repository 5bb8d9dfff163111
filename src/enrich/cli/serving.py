"""`enrich review --serve`: the review page on this machine, with decisions stored as they are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from enrich.cli.session import Session

if TYPE_CHECKING:
    from enrich.wiki.wiki import Wiki


def serve(session: Session, workspace: Wiki, pages: Sequence[str], *, by: str, port: int = 0) -> None:
    """Serve the proposals of these pages (all for none) until Ctrl-C. `by` is who decides. Raises `UserError` where the port is taken."""
    from enrich.cli.tables import pending
    from enrich.errors import UserError
    from enrich.review.server import HOST, ReviewServer, ReviewSite
    from enrich.wiki.wiki import now_iso

    pending(workspace, pages)  # a name that fits no page is told at once
    site = ReviewSite(workspace, lambda: pending(workspace, pages), workspace.config.root.name, by, now_iso)
    try:
        server = ReviewServer(site, port)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen on {HOST}:{port} ({error})", do="name another port, or none") from None
    with server:
        # Not through --quiet: without the address there is no use in it.
        print(server.address, flush=True)
        session.note("open it once in a browser on this machine; Ctrl-C ends")
        try:
            server.wait()
        except KeyboardInterrupt:
            session.note("")
    session.say(f"{site.stored} decisions stored; `enrich apply` writes what was accepted")
