"""The whole wiki as one folder of static HTML: all pages in a table, what needs attention, how reviewers decided, and each page's card.

The pages need no server and no network. Text of pages and models is untrusted: the templates escape it, and the script sorts rows that are there.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from enrich import html
from enrich.errors import UserError, os_errors
from enrich.files import make_folder, write_text_atomically
from enrich.records.card import Card, page_cards
from enrich.records.card_rendering import card_html
from enrich.records.database import Database
from enrich.review.browser import review_html, wiki_id
from enrich.review.proposals import FieldChange, ProposalStore, decided_rows, file_names
from enrich.review.views import page_views
from enrich.text import printable
from enrich.wiki.git import NoHistory, history
from enrich.wiki.wiki import Wiki

_MOST_HISTORY = 6
_COMMIT = "commit-time:"


def write_site(wiki: Wiki, database: Database, states: Mapping[str, Any], folder: Path, *, now: datetime) -> list[Path]:
    """Write the site into `folder` and return its files: `index.html`, `review.html` where something is proposed, and `pages/`.

    Raises `UserError` if the folder is inside the content folder, where its files would be taken for the wiki's, or the wiki's own, where they
    could replace the wiki's.
    """
    if folder.resolve().is_relative_to(wiki.content.resolve()):
        raise UserError("the site cannot be inside the content folder", where=str(folder), do="name another folder with -o")
    if folder.resolve() == wiki.config.root.resolve():
        raise UserError("the site cannot be in the wiki's own folder", where=str(folder), do="name another folder with -o")
    within = wiki.config.folders_of(folder)
    proposals = {one.page: one for one in wiki.shared(ProposalStore).all() if one.changes}
    ratings = rating_history(wiki)
    with os_errors("cannot be written", folder, "name another folder with -o"):
        make_folder(folder / "pages", within)
    name, generated = printable(wiki.config.root.name), now.astimezone(UTC).isoformat(timespec="minutes")
    rows, files = [], [folder / "index.html"]
    for card in page_cards(wiki, database, now, states):
        file = folder / "pages" / f"{file_names(card['id'])[1].removesuffix('.json')}.html"
        changes = proposals[card["id"]].changes if card["id"] in proposals else ()
        rows.append(_row(card, changes, f"pages/{quote(file.name)}", ratings.get(card["file_path"], [])))
        source = os.path.relpath(wiki.content / card["file_path"], file.parent)
        links = [("All pages", "../index.html"), ("Source", quote(source, errors="surrogatepass"))]
        links += [("Review", f"../review.html#page={quote(card['id'], safe='', errors='surrogatepass')}")] if changes else []
        waiting = [(change.field, change.status, ", ".join(change.flags)) for change in changes]
        write_text_atomically(file, card_html(card, links=links, proposals=waiting), within=within)
        files.append(file)
    views = page_views(wiki, proposals.values())
    if views:
        review = review_html(views, wiki=wiki.config.root.name, key=wiki_id(wiki), generated=generated)
        write_text_atomically(folder / "review.html", review, within=within)
        files.append(folder / "review.html")
    index = html.render(
        "site.html.j2",
        styles=("site.css",),
        scripts=("site.js",),
        island={},
        wiki=name,
        generated=generated[:16].replace("T", " ") + " UTC",
        rows=rows,
        dots=[row for row in rows if row["importance"] is not None and row["overdue"] is not None],
        reach=max([30, *(abs(row["overdue"]) for row in rows if row["overdue"] is not None)]),
        decided=decided_rows(wiki, proposals.values()),
        review=bool(views),
        sections=sorted({row["section"] for row in rows}),
    )
    write_text_atomically(folder / "index.html", index, within=within)
    return files


def _row(card: Card, changes: Sequence[FieldChange], link: str, ratings: Sequence[tuple[str, float]]) -> Card:
    """One page in the table. `overdue` are days past the update that was due (negative: days left), None without a schedule."""
    record, edited = card["record"], card["edited"]
    frequency = record["updateFrequency"]
    scheduled = frequency and frequency > 0 and edited and record["evergreen"]
    decided = max((change.decided.get("when", "") for change in changes), default="")
    return {
        "title": card["title"],
        "section": card["file_path"].rpartition("/")[0],
        "link": link,
        "quality": record["quality"],
        "importance": record["readerImportance"],
        "overdue": int(edited["days"] - frequency) if scheduled else None,
        "words": card["words"],
        "findings": sum(len(change.findings) for change in changes),
        "waiting": sum(change.state == "pending" for change in changes),
        "decided": decided[:10],
        "history": [(when, f"{value:g}") for when, value in ratings[-_MOST_HISTORY:]],
    }


def rating_history(wiki: Wiki) -> dict[str, list[tuple[str, float]]]:
    """The values that `quality` had by page path, from git: (date, value), oldest first; {} without a history."""
    key = "quality"
    try:
        with history(wiki.config.root) as past:
            place = f"{past.prefix}{wiki.config.wiki.content}"
            options = f"--reverse --format={_COMMIT}%ct -p -U0 --no-color --no-ext-diff --no-renames -G^{key}:".split()
            text = past.git("log", *options, "--", place).decode("utf-8", "replace")
    except NoHistory:
        return {}
    return {path: values for path, values in _changes_of(key, text, f"+++ b/{place}/").items() if values}


def _changes_of(key: str, log: str, head: str) -> dict[str, list[tuple[str, float]]]:
    found: dict[str, list[tuple[str, float]]] = {}
    when, path = "", ""
    for line in log.split("\n"):
        if line.startswith(_COMMIT):
            try:
                when = datetime.fromtimestamp(int(line.removeprefix(_COMMIT)), UTC).date().isoformat()
            except (ValueError, OverflowError, OSError):  # after the year 9999
                when = ""
        elif line.startswith("+++ "):
            path = line.removeprefix(head).rstrip("\t") if line.startswith(head) else ""
        elif path and line.startswith(f"+{key}:"):
            try:
                value = float(line.partition(":")[2])
            except ValueError:
                continue
            if math.isfinite(value):
                found.setdefault(path, []).append((when, value))
    return found
