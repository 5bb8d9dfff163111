"""Decisions from a pull request: what a nightly run held back travels on the branch, and checked boxes and comments decide about it.

The fields are those of `enrich.held.jsonl`; a pull request that is closed unmerged rejects all of them. The text of a pull request is untrusted: it is
only searched for lines that this module would write for a field of that file, and a comment counts only if its author may write to the repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from enrich.errors import UserError
from enrich.files import Folders
from enrich.review.decisions import Decision, decide, json_of
from enrich.review.lines import code, inline, move_spans
from enrich.review.lock import LockFile
from enrich.review.proposals import NEEDS_LOOK, FieldChange, Proposal
from enrich.review.propose import propose_again, read_held, restore_held, write_held
from enrich.review.views import FieldView, PageView, finding_name, lines_text, value_text
from enrich.stages.fields import current_value, same, value_hash
from enrich.wiki.git import NoHistory, history
from enrich.wiki.pages import parse_page, read_page
from enrich.wiki.wiki import Wiki

_MAY_DECIDE = {"OWNER", "MEMBER", "COLLABORATOR"}
_COMMAND = re.compile(r"^[ \t]*/enrich[ \t]+(accept|reject)[ \t]+`?([^`\r\n]{1,500}?)`?[ \t]*$", re.MULTILINE)
_CHECKED = re.compile(r"^[ \t]*[-*] \[[xX]\] (.*)$", re.MULTILINE)
_VALUE = 240


def applied_since(wiki: Wiki, revision: str) -> list[Proposal]:
    """What `enrich` wrote on pages since a revision of git, as accepted changes; with the evidence that `enrich.held.jsonl` has for it.

    Raises `UserError` if git cannot give the revision.
    """
    if revision.startswith("-") or not re.fullmatch(r"[\w./~^@{}-]{1,200}", revision):
        raise UserError(f"not a revision: {revision!r}", do="name a commit, a branch or a tag")
    kept = {(one.page, change.field): change for one in read_held(wiki) for change in one.changes}
    lock, found = wiki.shared(LockFile).read(), []
    files = [file for name, file in sorted(wiki.by_id.items()) if lock.of(name) and "\n" not in file.path]
    try:
        with history(wiki.config.root) as past:
            past.git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
            contents = past.contents(f"{revision}:{past.prefix}{os.path.relpath(file.store, wiki.config.root)}" for file in files)
    except NoHistory as error:
        raise UserError(f"{revision}: {error}", do="name a commit that is in this checkout (`git fetch` gets others)") from None
    for file, content in zip(files, contents, strict=True):
        page, before = read_page(file), None
        if content is not None:
            before = parse_page(file, content) if file.fields.sidecars is None else parse_page(file, b"", content)
        changes = []
        for entry in lock.of(page.id):
            for name, digest in entry.written.items():
                old, new = current_value(before.data if before else {}, name), current_value(page.data, name)
                if value_hash(new) == digest and not same(old, new):
                    known = kept.get((page.id, name))
                    plain = FieldChange(field=name, stage=entry.stage, old=old, new=new, question=entry.question_of(name))
                    changes.append(replace(known if known and same(known.result, new) else plain, old=old, state="accepted"))
        if changes:
            found.append(Proposal(page.id, page.file.path, tuple(changes)))
    return found


# The lines of a pull request


def held_lines(wiki: Wiki, views: Sequence[PageView], body_lines: Mapping[str, int]) -> Iterator[str]:
    """A checkbox line for each held field: page and field, the value's hash, the flag, what changes, and a link to its evidence.

    The link names the commit that was checked out: `body_lines` are the lines on which bodies began there.
    """
    for view in views:
        for one in view.fields:
            if one.change.state == "pending":
                yield f"- [ ] {_name(view.id, one.name, one.change.new_hash)}: {_about(one)}{_link(wiki, view, one, body_lines)}\n"


def _name(page: str, name: str, digest: str) -> str:
    return f"accept {code(f'{page}:{name}')} `{digest}`"


def _about(one: FieldView) -> str:
    flags = ", ".join(f"**{flag}**" for flag in one.flags)
    what = inline(move_spans(one)) if one.kind == "rating" else code(value_text(one.change.new)[:_VALUE])
    findings = ", ".join(code(finding_name(finding)) for finding in one.change.findings if finding.severity == "hard")
    return " · ".join(filter(None, (flags, what, findings)))


def _link(wiki: Wiki, view: PageView, one: FieldView, body_lines: Mapping[str, int]) -> str:
    """` · [lines 4-6](…)`: the evidence in the repository that GitHub's environment names; without that, the lines alone."""
    first, last = next((item.lines for item in one.all_quotes if item.found and item.lines[0]), (0, 0))
    if not first or view.page is None:
        return ""
    shift = body_lines.get(view.id, view.page.body_line) - view.page.body_line
    first, last = first + shift, last + shift
    words = lines_text(first, last)
    given = "/".join(os.environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "SHA"))
    named = re.fullmatch(r"(https://[\w.:-]+/[\w.-]+/[\w.-]+)/([0-9a-f]{40,64})", given)
    if named is None:
        return f" · {words}"
    path = quote(f"{wiki.config.wiki.content}/{view.path}", errors="surrogatepass")
    return f" · [{words}]({named[1]}/blob/{named[2]}/{path}#L{first}-L{last})"


# Decisions


Place = tuple[str, str]
"""A page and a field of it."""


def read_event(file: Path, within: Folders | None = None) -> dict[str, Any]:
    """The event that GitHub wrote about a pull request or a comment. Raises `UserError` if it is not one."""
    what, do = "not an event of a pull request", "give the file that GITHUB_EVENT_PATH names"
    event = json_of(file, within, what, do)
    if not isinstance(event, dict) or not isinstance(event.get("pull_request") or event.get("issue"), dict):
        raise UserError(what, where=str(file), do=do)
    return event


def take_event(wiki: Wiki, event: Mapping[str, Any], *, when: str) -> tuple[list[tuple[str, str, Decision]], list[tuple[str, str]]]:
    """Record what an event decides about the fields of `enrich.held.jsonl`, and bring that file up to date.

    A closed, unmerged pull request rejects all of them, also those written on its branch. Otherwise checked boxes accept, and commands in a comment
    accept or reject. Returns the (page, field, decision) that were recorded, and the (what, why) that were not.
    """
    held = read_held(wiki)
    every = {(proposal.page, change.field): change for proposal in held for change in proposal.changes}
    closed = event.get("action") == "closed" and "pull_request" in event and not _at(event, "pull_request", "merged")
    chosen: dict[Place, Decision] = dict.fromkeys(every, "reject") if closed else {}
    refused: list[tuple[str, str]] = []
    if closed:
        undecided = [replace(one, changes=tuple(replace(change, state="pending", decided={}) for change in one.changes)) for one in held]
        propose_again(wiki, undecided, over=True)
    else:
        restore_held(wiki)
        waiting = {place: change for place, change in every.items() if change.state == "pending"}
        commanded, refused = _commanded(event, waiting)
        chosen = {**dict.fromkeys(_checked(event, waiting), "accept"), **commanded}
    by = str(_at(event, "sender", "login") or "pull request")[:80]
    done: dict[Place, Decision] = {}
    for decision in ("accept", "reject"):
        named = [(page, (name,)) for (page, name), given in chosen.items() if given == decision]
        result = decide(wiki, named, decision, by=by, when=when)
        done |= dict.fromkeys(result.fields, decision)
        refused += [(f"{page}:{name}", why) for page, name, why in result.left_out]
    if closed or done:
        write_held(wiki, () if closed else (_without_decided(one, done) for one in held))
    return [(*place, decision) for place, decision in done.items()], refused


def _without_decided(held: Proposal, done: Mapping[Place, Decision]) -> Proposal:
    """The held proposal without what was rejected, and with what was accepted marked as such."""
    changes = [
        replace(change, state="accepted") if done.get((held.page, change.field)) == "accept" else change
        for change in held.changes
        if done.get((held.page, change.field)) != "reject"
    ]
    return replace(held, changes=tuple(changes))


def _checked(event: Mapping[str, Any], waiting: Mapping[Place, FieldChange]) -> list[Place]:
    """The fields whose boxes are checked in the text of the pull request, if its branch is in the repository itself."""
    request = event.get("pull_request")
    if isinstance(request, dict) and _at(request, "head", "repo", "full_name") != _at(event, "repository", "full_name"):
        return []
    body = _at(request if isinstance(request, dict) else event.get("issue"), "body")
    lines = _CHECKED.findall(body) if isinstance(body, str) else []
    names = {place: _name(*place, change.new_hash) for place, change in waiting.items()}
    return [place for place, name in names.items() if any(line.startswith(f"{name}:") for line in lines)]


def _commanded(event: Mapping[str, Any], waiting: Mapping[Place, FieldChange]) -> tuple[dict[Place, Decision], list[tuple[str, str]]]:
    """What commands of a comment decide. A page without a field: all of its held fields; what needs a look is accepted by name only."""
    body = _at(event, "comment", "body")
    commands = _COMMAND.findall(body) if isinstance(body, str) else []
    if commands and _at(event, "comment", "author_association") not in _MAY_DECIDE:
        return {}, [(f"{decision} {name}", "the author of the comment may not decide") for decision, name in commands]
    chosen: dict[Place, Decision] = {}
    refused = []
    for decision, name in commands:
        places = [place for place in waiting if ":".join(place) == name]
        whole = [place for place in waiting if place[0] == name and (decision == "reject" or NEEDS_LOOK not in waiting[place].flags)]
        if not places and not whole:
            refused.append((f"{decision} {name}", "nothing is held back there that this can decide"))
        chosen.update(dict.fromkeys(places or whole, decision))
    return chosen, refused


def _at(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data
