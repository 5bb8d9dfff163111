"""`enrich init`: the files a wiki starts with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from enrich.config import FILE_NAME, load_config
from enrich.errors import UserError
from enrich.files import write_text_atomically
from enrich.stages.catalogue import shipped_prompts
from enrich.wiki.pages import find_pages

_IGNORED = ("/cache/", "/proposals/", ".enrich-*")
_MERGED = ("enrich.lock merge=union",)
# Where pages usually are, most telling first.
_CONTENT_FOLDERS = ("content/docs", "src/content/docs", "docs", "content", "wiki", "pages")

_TOML = """\
# Settings of `enrich`. Every value can also be set by environment (ENRICH_LLM__MODEL=...) or by a flag; flag beats environment beats file.

[wiki]
content = "{content}"          # folder of pages (.md, .mdx)
data = "{data}"                # entities/*.yaml, resources.json, insights/*.yaml, rankings: each optional
# roots = ["knowledge-base"]   # top folders that hold pages, in this order (default: every page below content)
skip = []                      # pages that are recorded but never asked about, such as "internal/**"
min_words = 50                 # shorter pages are not asked about
escape_dollar = true           # .mdx files hold `\\$` for `$`

[llm]
backend = "offline"            # "offline": built in, no network, no key; "openai": any server that speaks OpenAI's chat completions
model = "gpt-5-mini"           # any name the server knows
# base_url = "http://127.0.0.1:8080/v1"   # default: OPENAI_BASE_URL, else OpenAI
concurrency = 64               # ceiling of requests at once; starts at 8 and adapts below it
# requests_per_minute = 500
# tokens_per_minute = 200000

[stages.ratings]
dimensions = ["novelty", "rigor", "actionability", "completeness"]
quality = "four"               # "four", "seven" or "off": how `quality` is computed from the ratings
# noise = 0.3                  # a rating that moved by less is not proposed: 0.3 on one of four is less than a point of `quality`
# samples = 3                  # ask so often and take the median; needs a temperature above 0
# temperature = 0.7

[run]
# budget_usd = 5.00            # no run spends more

# [prices."my-model"]          # USD per million tokens, for models the price library does not know
# input = 0.25
# output = 2.00
"""


@dataclass(slots=True)
class Started:
    """What `init` did: files written, files that were there and stayed, the content folder and how many pages it has."""

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    content: str = ""
    pages: int = 0


def start_wiki(root: Path) -> Started:
    """Write what a wiki needs into `root`. Existing files are never replaced; git's files get the lines they lack."""
    if not root.is_dir():
        raise UserError("no such folder", where=str(root), do="make it, or name another")
    done = Started()
    content = next((name for name in _CONTENT_FOLDERS if (root / name).is_dir()), "content/docs")
    data = f"{content.rpartition('/')[0] or 'content'}/data" if content.endswith("docs") else "data"
    _write_new(root / FILE_NAME, _TOML.format(content=content, data=data), root, done)
    for prompt in sorted(shipped_prompts().glob("*.md")):
        _write_new(root / "prompts" / prompt.name, prompt.read_text(encoding="utf-8"), root, done)
    _add_lines(root / ".gitignore", _IGNORED, root, done)
    _add_lines(root / ".gitattributes", _MERGED, root, done)
    config = load_config(root)
    done.content = config.wiki.content
    done.pages = len(find_pages(config.content, config.wiki.roots)[0]) if config.content.is_dir() else 0
    return done


def _write_new(file: Path, text: str, root: Path, done: Started) -> None:
    name = file.relative_to(root).as_posix()
    if file.exists():
        done.kept.append(name)
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be made ({error.strerror})", where=str(file.parent), do="make the folder writable") from None
    write_text_atomically(file, text)
    done.written.append(name)


def _add_lines(file: Path, lines: tuple[str, ...], root: Path, done: Started) -> None:
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    there = {line.strip() for line in before.splitlines()}
    # A folder that is ignored in another spelling is ignored.
    missing = [line for line in lines if line not in there and line.strip("/") not in {known.strip("/") for known in there}]
    name = file.relative_to(root).as_posix()
    if not missing:
        done.kept.append(name)
        return
    glue = "" if not before or before.endswith("\n") else "\n"
    write_text_atomically(file, before + glue + "\n".join(missing) + "\n")
    done.written.append(name)
