"""Debian's Chromium for tests, and what every page of ours must hold in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 300_000  # milliseconds to wait for a tab: only a page that hangs takes so long
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

# WCAG 2.1, contrast of text (1.4.3): every text against the first opaque background behind it.
CONTRAST = """() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
                       return .2126 * r + .7152 * g + .0722 * b };
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c)) return c }
                        return 'rgb(255, 255, 255)' };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('[disabled], title') || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const style = getComputedStyle(e), ink = e instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) found.push(e.outerHTML.slice(0, 90) + ' ' + ((a + .05) / (b + .05)).toFixed(2));
  }
  return found }"""


_AXE = Path(__file__).parent / "node/node_modules/axe-core/axe.min.js"


def axe(page: Any) -> list[str]:
    """What axe-core finds that is moderate or worse; the test skips where the npm package is not installed (`tests/needs.sh`)."""
    if not _AXE.exists():
        pytest.skip("needs the npm package axe-core")
    page.evaluate(_AXE.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [
        f"{one['id']} ({one['impact']}): {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in found
        if one["impact"] in ("moderate", "serious", "critical")
    ]


@contextmanager
def launched() -> Iterator[Browser]:
    """A headless browser; the test skips where there is none (`tests/needs.sh` fetches it)."""
    if not _CHROMIUM.exists():
        pytest.skip("needs Debian's chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS, timeout=PATIENCE)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def browser_page(width: int, scheme: Any) -> Iterator[Any]:
    """An empty tab of a window `width` pixels wide, in the colour scheme `light` or `dark`."""
    with launched() as browser:
        page = browser.new_page(viewport={"width": width, "height": 740}, color_scheme=scheme)
        page.set_default_timeout(PATIENCE)
        yield page
