"""`enrich init`: the files that a wiki starts with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from enrich.config import FILE_NAME, load_config
from enrich.errors import UserError
from enrich.files import write_text_atomically
from enrich.stages.stage import shipped_prompts
from enrich.wiki.pages import find_pages

_IGNORED = ("/cache/", "/proposals/", ".enrich-*")
_MERGED = ("enrich.lock merge=union",)
# Where pages usually are, the surest sign first.
_CONTENT_FOLDERS = ("content/docs", "src/content/docs", "docs", "content", "wiki", "pages")
_SETTINGS = Path(__file__).resolve().parents[1] / "templates" / "enrich.toml.in"


@dataclass(slots=True)
class Started:
    """What `init` did: files written, files that existed and were kept, the content folder and its number of pages."""

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    content: str = ""
    pages: int = 0


def start_wiki(root: Path) -> Started:
    """Write what a wiki needs into `root`. Existing files are kept; git's files get the lines that they lack."""
    if not root.is_dir():
        raise UserError("no such folder", where=str(root), do="make it, or name another")
    done = Started()
    content = next((name for name in _CONTENT_FOLDERS if (root / name).is_dir()), "content/docs")
    data = f"{content.rpartition('/')[0] or 'content'}/data" if content.endswith("docs") else "data"
    settings = _SETTINGS.read_text(encoding="utf-8").replace("{content}", content).replace("{data}", data)
    _write_new(root, FILE_NAME, settings, done)
    for prompt in sorted(shipped_prompts().glob("*.md")):
        _write_new(root, f"prompts/{prompt.name}", prompt.read_text(encoding="utf-8"), done)
    _add_lines(root, ".gitignore", _IGNORED, done)
    _add_lines(root, ".gitattributes", _MERGED, done)
    config = load_config(root)
    done.content = config.wiki.content
    done.pages = len(find_pages(config.content, config.wiki.roots)[0]) if config.content.is_dir() else 0
    return done


def _write_new(root: Path, name: str, text: str, done: Started) -> None:
    if (root / name).exists():
        done.kept.append(name)
        return
    write_text_atomically(root / name, text)
    done.written.append(name)


def _add_lines(root: Path, name: str, lines: tuple[str, ...], done: Started) -> None:
    file = root / name
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    # A folder that is ignored in another spelling is ignored.
    known = {line.strip().strip("/") for line in before.splitlines()}
    missing = [line for line in lines if line.strip("/") not in known]
    if not missing:
        done.kept.append(name)
        return
    newline = "" if not before or before.endswith("\n") else "\n"
    write_text_atomically(file, before + newline + "\n".join(missing) + "\n")
    done.written.append(name)
