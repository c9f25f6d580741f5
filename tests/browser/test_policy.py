"""The policy in the pages: a browser refuses code from elsewhere, while all that the book needs still works.

That no page breaks under it is tested where each page is opened: a refusal is an error in the console.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import policy
import probes
import pytest
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser

LOADS = re.compile(
    r"""<(?:script|img|iframe|embed|source|video|audio|object)\b[^>]*?\b(?:src|data)\s*=\s*["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|prefetch|modulepreload|icon))[^>]*?\bhref=["']?((?:https?:)?//[^"'\s>]+)""",
    re.IGNORECASE,
)
STYLE_LOADS = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)

INJECTED = """
const [address, done] = arguments;
document.addEventListener("securitypolicyviolation",
  (event) => done(`${event.effectiveDirective} refuses ${event.blockedURI}`), { once: true });
const script = document.createElement("script");
script.onload = () => done("loaded");
script.onerror = () => setTimeout(() => done("failed, though not refused"), 2000);
script.src = address;
document.head.append(script);
"""
INLINE = """
const done = arguments[0];
document.addEventListener("securitypolicyviolation",
  (event) => done(`${event.effectiveDirective} refuses ${event.blockedURI}`), { once: true });
const element = document.createElement("div");
element.innerHTML = '<button onclick="window.injected = 1"></button>';
document.body.append(element);
element.firstChild.click();
setTimeout(() => done(window.injected ? "ran" : "did not run"), 2000);
"""
PRINTED = """
window.print = () => { window.printed = true };
document.querySelector('button[onclick="window.print()"]').click();
return window.printed === true;
"""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """The address of a script on another server, which can be reached."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.end_headers()
            self.wfile.write(b"window.fromElsewhere = true;")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/evil.js"
    server.shutdown()


def pages(book: Path) -> list[Path]:
    """Every file of the book that a browser shows as a page, written by whomever."""
    found = sorted(book.rglob("*.html"))
    assert len(found) > 40
    return found


def test_every_page_has_one_policy_that_stands_before_what_it_rules(book):
    wrong = []
    for path in pages(book):
        text = path.read_text(encoding="utf-8")
        rules = policy.META.findall(text)
        first = min((text.find(mark) for mark in ("<script", "<link", "<style", "<img") if mark in text), default=1e9)
        if len(rules) != 1 or text.index(rules[0]) > first or policy.guarded(text, used(text)) != text:
            wrong.append(path.relative_to(book).as_posix())
    assert wrong == []


def used(text: str) -> list[str]:
    """The packages on the CDN that a policy names."""
    rules = policy.META.search(text)
    return list(dict.fromkeys(re.findall(r"https://[^\s;]+", rules[0]))) if rules else []


def test_no_page_and_no_style_names_code_or_a_picture_from_elsewhere(book):
    allowed = () if probes.vendored(book) else (probes.CDN,)
    found = {}
    for pattern, files in ((LOADS, pages(book)), (STYLE_LOADS, sorted(book.rglob("*.css")))):
        for path in files:
            hits = [next(filter(None, groups)) for groups in map(as_tuple, pattern.findall(path.read_text("utf-8")))]
            if hits := [hit for hit in hits if not hit.startswith((*allowed, "http://www.w3.org/"))]:
                found[path.relative_to(book).as_posix()] = hits[:3]
    assert found == {}


def as_tuple(groups: str | tuple[str, ...]) -> tuple[str, ...]:
    return (groups,) if isinstance(groups, str) else groups


def test_the_policy_of_a_book_built_with_npm_names_no_host(book):
    names = [path for path in pages(book) if used(path.read_text(encoding="utf-8"))]
    assert bool(names) is not probes.vendored(book)


def test_a_script_from_elsewhere_is_refused(page, elsewhere):
    assert page.browser.execute_async_script(INJECTED, elsewhere) == f"script-src-elem refuses {elsewhere}"
    assert page("return window.fromElsewhere ?? null") is None


def test_a_handler_that_the_build_did_not_write_is_refused_and_those_of_the_theme_run(page):
    assert page.browser.execute_async_script(INLINE) == "script-src-attr refuses inline"
    if page("return !!document.querySelector('button[onclick=\"window.print()\"]')"):
        assert page(PRINTED) is True


def test_the_refusal_is_the_work_of_the_policy_and_shows_in_the_console(browser, tmp_path, elsewhere):
    """The same page without one runs the script; and what the tests of all pages look at would show a refusal."""
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>T</title><script src="{elsewhere}"></script><p>T'
    )
    for name, content in {"open": text, "guarded": policy.guarded(text)}.items():
        (tmp_path / f"{name}.html").write_text(content, encoding="utf-8")
    runs = "return window.fromElsewhere ?? null"
    visit = probes.visit(browser, tmp_path / "open.html", tmp_path)
    assert visit(runs) is True and probes.console_errors(visit) == []
    visit = probes.visit(browser, tmp_path / "guarded.html", tmp_path)
    assert visit(runs) is None and "Content Security Policy" in " ".join(probes.console_errors(visit))


@pytest.mark.parametrize("name", ["search.html?q=Lemma", "genindex.html", "prf-prf.html", "index.html"])
def test_pages_beside_the_text_work_under_the_policy(browser, book, name):
    browser.get_log("browser")
    browser.get(f"{(book / 'search.html').parent.as_uri()}/{name}")
    WebDriverWait(browser, 10, 0.05).until(lambda b: b.execute_script("return document.readyState") == "complete")
    if name.startswith("search"):
        WebDriverWait(browser, 10, 0.05).until(
            lambda b: b.execute_script("return document.querySelectorAll('#search-results li a').length")
        )
    said = [entry["message"] for entry in browser.get_log("browser")]  # of other things too: fetch from disk fails
    assert [message for message in said if "Content Security Policy" in message] == []


def test_pages_of_stored_trials_work_under_the_policy(browser, book):
    paths = sorted((book / "_static" / "movable").glob("*.html"))
    assert paths
    for path in paths:
        assert probes.console_errors(probes.visit(browser, path, book)) == []
