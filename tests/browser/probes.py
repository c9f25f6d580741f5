"""Questions to ask an open page; each answers with a list of faults, empty if there are none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urldefrag, urlparse

from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

T = TypeVar("T")
CDN = "https://cdn.jsdelivr.net/npm/"
HARMLESS = re.compile(r"THEBE_JS_URL")
PATIENCE = 30  # seconds for a page to finish
DESKTOP, PHONE = 1280, 390  # pixels

FINISHED = """
const views = document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]').length;
const drawn = [...document.querySelectorAll(".widget-subarea")].filter((area) => area.childElementCount).length;
const images = [...document.images].every((image) => image.complete);
const raw = document.querySelector(".math:not(:has(mjx-container))");
const typeset = !raw || !document.querySelector("script[src*=mathjax]");
return document.readyState === "complete" && drawn >= views && images && typeset;
"""

TEXT_NODES = """
const skip = "script, style, pre, code, noscript, mjx-container, .math:has(mjx-container), .cell_input";
const walker = document.createTreeWalker(document.querySelector("article, body"), NodeFilter.SHOW_TEXT);
const texts = [];
while (walker.nextNode())
  if (walker.currentNode.data.trim() && !walker.currentNode.parentElement.closest(skip))
    texts.push(walker.currentNode.data);
return texts;
"""

OVERFLOW = """
const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth <= width && document.body.scrollWidth <= width) return [];
const scrolls = (element) => {
  for (let e = element; e && e !== document.body; e = e.parentElement)
    if (getComputedStyle(e).overflowX !== "visible") return true;
  return false;
};
return [`the page is ${document.documentElement.scrollWidth} px wide in ${width} px`].concat(
  [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement))
    .slice(0, 5).map((e) => e.outerHTML.slice(0, 120)));
"""

CONTRAST = """
const channels = (colour) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data];
};
const cache = new Map();
const rgba = (colour) => cache.get(colour) ?? cache.set(colour, channels(colour)).get(colour);
const over = (top, under) => [0, 1, 2].map((i) => (top[i] * top[3] + under[i] * (255 - top[3])) / 255);
const behind = (element) => {
  const layers = [];
  for (let e = element; e; e = e.parentElement) {
    const layer = rgba(getComputedStyle(e).backgroundColor);
    if (layer[3]) layers.push(layer);
    if (layer[3] === 255) break;
  }
  return layers.reduceRight((under, layer) => over(layer, under), [255, 255, 255]);
};
const luminance = (colour) => {
  const [r, g, b] = colour.slice(0, 3).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const wanted = "p, li, td, th, dt, dd, h1, h2, h3, h4, a, caption, .caption-text, .caption-number, " +
               ".widget-label, .widget-readout, .widget-toggle-button, .jupyter-widgets select";
const faults = [];
for (const element of document.querySelectorAll(wanted)) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const style = getComputedStyle(element);
  const apart = element.closest("[inert], header, nav, footer, .bd-sidebar, .headerlink");
  if (!own || apart || !element.checkVisibility()) continue;
  const under = behind(element);
  const [a, b] = [luminance(over(rgba(style.color), under)), luminance(under)].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700);
  if (ratio < (large ? 3 : 4.5))
    faults.push(`${ratio.toFixed(2)}: ${style.color} on ${under.map(Math.round)}: ` +
                element.textContent.trim().slice(0, 60));
}
return faults;
"""

PICTURE_CORNERS = """
return [...document.querySelectorAll(".cell_output img")].flatMap((image) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 3;
  const context = canvas.getContext("2d");
  try {
    context.drawImage(image, 0, 0, 3, 3, 0, 0, 3, 3);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    const light = a === 255 && Math.min(r, g, b) > 220;
    return light ? [] : [`corner rgba(${[r, g, b, a]}): ${image.alt.slice(0, 60)}`];
  } catch { return []; }  /* one file may not read the pixels of another */
});
"""


@dataclass
class Visit:
    """A page that is open in the browser, and what happened while it loaded."""

    browser: Chrome
    path: Path
    book: Path
    requests: list[str] = field(repr=False)
    failures: list[str] = field(repr=False)
    console: list[str] = field(repr=False)

    def __call__(self, script: str, *arguments: object) -> list[str]:
        return self.browser.execute_script(script, *arguments)


def resize(browser: Chrome, width: int) -> None:
    """Give the page a window of this width, as a phone where it is narrow."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@contextmanager
def width_of(page: Visit, width: int) -> Iterator[None]:
    """Show the page at this width for a while."""
    resize(page.browser, width)
    try:
        yield
    finally:
        resize(page.browser, DESKTOP)


def visit(browser: Chrome, path: Path, book: Path) -> Visit:
    """Open a page from disk, wait until maths, pictures and widgets are there, and collect the logs."""
    browser.get("about:blank")
    for log in ("performance", "browser"):  # what an earlier page left
        browser.get_log(log)
    browser.get(path.resolve().as_uri())
    WebDriverWait(browser, PATIENCE, 0.1).until(
        lambda driver: driver.execute_script(FINISHED), f"{path.name} did not finish in {PATIENCE} s"
    )
    requests, failures = _network(browser)
    console = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    browser.execute_script("window.visited = true")
    return Visit(browser, path, book, requests, failures, console)


def is_open(page: Visit) -> bool:
    """Whether the browser is still where it was, and has not loaded the page again."""
    here = page.browser.current_url == page.path.resolve().as_uri()
    return here and page.browser.execute_script("return window.visited === true")


def wait(page: Visit, condition: Callable[[], T]) -> T:
    """What the condition returns once it is true, within seconds."""
    return WebDriverWait(page.browser, 5, 0.02).until(lambda _: condition())


def wait_for_none(page: Visit, script: str) -> list[str]:
    """What a script returns, which after some seconds must be nothing: scripts of the page may still be at work."""
    try:
        wait(page, lambda: not page(script))
    except TimeoutException:
        return page(script)
    return []


def _network(browser: Chrome) -> tuple[list[str], list[str]]:
    urls: dict[str, str] = {}
    failures = []
    for entry in browser.get_log("performance"):
        event = json.loads(entry["message"])["message"]
        params = event["params"]
        if event["method"] == "Network.requestWillBeSent":
            urls[params["requestId"]] = params["request"]["url"]
        elif event["method"] == "Network.loadingFailed":
            failures.append(f"{urls.get(params['requestId'], '?')}: {params['errorText']}")
    return list(urls.values()), failures


def vendored(book: Path) -> bool:
    """Whether the build found npm, so that maths and widgets are served by the book itself."""
    folders = [path.name for path in (book / "_static" / "vendor").glob("*") if path.is_dir()]
    return all(any(name.startswith(wanted) for name in folders) for wanted in ("mathjax-", "html-manager-"))


def external_requests(page: Visit) -> list[str]:
    """Requests that leave the book; those to the CDN count unless the build fell back to it."""
    allowed = ("file:", "data:", "blob:", "about:") + (() if vendored(page.book) else (CDN,))
    outside = [url for url in page.requests if not url.startswith(allowed)]
    root = page.book.as_uri()
    return outside + [url for url in page.requests if url.startswith("file:") and not url.startswith(root)]


def failed_requests(page: Visit) -> list[str]:
    return page.failures


def console_errors(page: Visit) -> list[str]:
    return [message for message in page.console if not HARMLESS.search(message)]


def visible_errors(page: Visit) -> list[str]:
    """Failed cells, what a cell wrote to stderr, and what Sphinx could not resolve."""
    marks = ".traceback, .stderr, .problematic, .system-message, .error-output, [role=alert]"
    shown = page(f"return [...document.querySelectorAll('{marks}')].map((e) => e.textContent.trim().slice(0, 120))")
    broken = re.compile(r"\[\?\]|\?\?|<unknown>|Traceback \(most recent|Loading widget|Error displaying widget")
    return shown + [text.strip()[:120] for text in page(TEXT_NODES) if broken.search(text)]


def raw_maths(page: Visit) -> list[str]:
    """Maths that MathJax left alone or could not read."""
    plain = page("return [...document.querySelectorAll('.math:not(:has(mjx-container))')].map((e) => e.textContent)")
    wrong = page(
        "return [...document.querySelectorAll('mjx-container [data-mml-node=merror], mjx-merror')]"
        ".map((e) => e.getAttribute('data-mjx-error') ?? e.outerHTML.slice(0, 120))"
    )
    raw = re.compile(r"\$\$|\\\(|\\\[|\\begin\{|(?<![\w$])\$[^\s$][^$\n]*\$(?![\w$])")
    return plain + wrong + [text.strip()[:120] for text in page(TEXT_NODES) if raw.search(text)]


def images(page: Visit) -> list[str]:
    """Pictures that did not load, and pictures in the text whose alt says nothing."""
    rows = page(
        "return [...document.images].map((i) => [i.getAttribute('alt'), i.naturalWidth, !!i.closest('article'), "
        "i.src.slice(0, 100), i.checkVisibility()])"
    )
    faults = []
    for alt, width, in_text, source, visible in rows:
        if visible and not width:
            faults.append(f"not loaded: {source}")
        if alt is None or (in_text and (not alt.strip() or re.search(r"\.(png|jpe?g|svg|gif)$", alt))):
            faults.append(f"alt {alt!r}: {source}")
    return faults


def outline(page: Visit) -> list[str]:
    """A page has one h1 and no gap in its levels, a title and a language."""
    levels = page(
        "return [...document.querySelectorAll('article :is(h1, h2, h3, h4, h5, h6)')].map((h) => +h.tagName[1])"
    )
    faults = [] if levels.count(1) == 1 else [f"{levels.count(1)} headings of level 1"]
    faults += [f"h{b} follows h{a}" for a, b in pairwise(levels) if b > a + 1]
    title, language = page("return [document.title, document.documentElement.lang]")
    return faults + ([] if title.strip() else ["no title"]) + ([] if language else ["no language"])


def dead_links(page: Visit) -> list[str]:
    """Links within the book that lead to no file or to no place in it."""
    faults = []
    # The links of a drawing have no address that is a text.
    address = "(a) => new URL(a.getAttribute('href'), document.baseURI).href"
    for link in set(page(f"return [...document.querySelectorAll('a[href]')].map({address})")):
        address, fragment = urldefrag(link)
        if urlparse(address).scheme != "file":
            continue
        target = Path(unquote(urlparse(address).path))
        if not target.is_file():
            faults.append(f"no file: {link}")
        elif "=" in fragment:
            chosen = " .*".join(f'data-{key}="{re.escape(value)}"' for key, value in parse_qsl(fragment))
            if not re.search(f"<tr .*{chosen}", target.read_text()):
                faults.append(f"nothing to filter: {link}")
        elif fragment and target.suffix == ".html":
            name = re.escape(unquote(fragment))
            if not re.search(rf"""\b(id|name)=["']?{name}["'\s>]""", target.read_text()):
                faults.append(f"no anchor: {link}")
    return sorted(faults)


def overflow(page: Visit) -> list[str]:
    """What sticks out to the right of the window."""
    return page(OVERFLOW)


def height(page: Visit) -> int:
    """How many pixels the page is high."""
    return page.browser.execute_script("return document.documentElement.scrollHeight")


def show(page: Visit, theme: str) -> None:
    """Show the page in a theme, at once: a colour that is still changing has no contrast of its own."""
    page(
        "document.documentElement.dataset.theme = document.documentElement.dataset.mode = arguments[0];"
        "document.getAnimations().forEach((animation) => animation.finish())",
        theme,
    )


def low_contrast(page: Visit, theme: str) -> list[str]:
    """Text below WCAG's 4.5 (3 where large) in a theme, and widget pictures without a light background."""
    show(page, theme)
    return page(CONTRAST) + page(PICTURE_CORNERS)


def formula_stops(page: Visit) -> list[str]:
    """Formulas that the Tab key stops at though they do not scroll, and those without a text for a screen reader."""
    return page(
        "return [...document.querySelectorAll('mjx-container')]"
        ".filter((e) => e.tabIndex >= 0 && e.scrollWidth <= e.clientWidth + 1"
        " || !e.querySelector('mjx-assistive-mml math'))"
        ".map((e) => e.parentElement.textContent.slice(0, 80))"
    )


def out_of_reach(page: Visit) -> list[str]:
    """What scrolls sideways in the text though the Tab key stops neither at it nor in it."""
    return wait_for_none(
        page,
        "return [...document.querySelectorAll('.bd-article *')].filter((e) => e.scrollWidth > e.clientWidth + 1"
        " && /auto|scroll/.test(getComputedStyle(e).overflowX) && e.checkVisibility() && e.clientWidth"
        " && e.tabIndex < 0"
        " && !e.querySelector('a[href], button, [tabindex=\"0\"]')).map((e) => e.outerHTML.slice(0, 120))",
    )


def illegible(page: Visit, points: float, pixels: float) -> list[str]:
    """Pictures whose text of so many points is smaller than so many pixels, and those that scroll without saying so."""
    return wait_for_none(
        page,
        "return [...document.querySelectorAll('.cell_output img, .advnb-finding img')]"
        ".filter((e) => e.checkVisibility()).flatMap((e) => {"
        " const drawn = parseFloat(e.style.getPropertyValue('--drawn')), place = e.closest('.advnb-pictures, a');"
        f" const size = (e.clientWidth / drawn) * {points} * 96 / 72;"
        " const whole = place.scrollWidth <= place.clientWidth + 1;"
        " const hint = getComputedStyle(e.closest('.advnb-explore') ?? place, '::after').content.includes('scrolls');"
        f" return size >= {pixels} - 0.05 && (whole || (hint && place.tabIndex === 0)) ? []"
        "  : [`${size.toFixed(1)} px in ${place.clientWidth} px: ${e.alt.slice(0, 80)}`]; })",
    )


def hidden_scrolling(page: Visit) -> list[str]:
    """Tables that scroll sideways without saying so."""
    return wait_for_none(
        page,
        "return [...document.querySelectorAll('.advnb-scroll, .pst-scrollable-table-container')].filter((e) =>"
        " e.checkVisibility() && e.scrollWidth > e.clientWidth + 1"
        " && !getComputedStyle(e, '::after').content.includes('scrolls')).map((e) => e.outerHTML.slice(0, 120))",
    )


def raw_heads(page: Visit, fields: Iterable[str]) -> list[str]:
    """Heads of tables that are names of the code: those of columns among ``fields``, and all with an underscore."""
    found = page(
        "const heads = (where) => [...document.querySelectorAll(`table.dataframe ${where} th`)]"
        ".map((e) => e.textContent.trim()); return [heads('thead'), heads('tbody')]"
    )
    columns, rows = found
    return sorted({head for head in columns + rows if "_" in head} | set(columns) & set(fields))


def cut_off(page: Visit) -> list[str]:
    """Tables of which a part can be neither seen nor scrolled to."""
    return page(
        "return [...document.querySelectorAll('.bd-article table')].filter((table) => {"
        " for (let e = table.parentElement; e && !e.matches('.bd-article'); e = e.parentElement) {"
        "  const over = getComputedStyle(e).overflowX;"
        "  if (/auto|scroll/.test(over)) return false;"
        "  if (/hidden|clip/.test(over) && e.scrollWidth > e.clientWidth + 1) return true; }"
        " return table.checkVisibility() && table.scrollWidth > table.clientWidth + 1"
        "  && !/auto|scroll/.test(getComputedStyle(table).overflowX); }).map((e) => e.outerHTML.slice(0, 120))"
    )


def clipped_in_print(page: Visit) -> list[str]:
    """What is wider or higher than its box on paper, so that a part of it is not printed."""
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        return page(
            "return [...document.querySelectorAll('.bd-article :is(pre, table, .cell_output, .output, div.math,"
            " .advnb-scroll, .pst-scrollable-table-container)')].filter((e) => e.checkVisibility() && e.clientWidth"
            " && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1)"
            " && getComputedStyle(e).overflowX !== 'visible').map((e) => e.outerHTML.slice(0, 120))"
        )
    finally:
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def small_handles(page: Visit) -> list[str]:
    """Handles of sliders that a finger misses: below 24 pixels."""
    return page(
        "return [...document.querySelectorAll('.noUi-handle')].filter((e) => e.checkVisibility()"
        " && Math.min(e.offsetWidth, e.offsetHeight) < 24).map((e) => `${e.offsetWidth} x ${e.offsetHeight}`)"
    )


def bells(page: Visit) -> list[str]:
    """Boxes of the text with the theme's sign for anything: a bell."""
    return page(
        "return [...document.querySelectorAll('.bd-article .admonition > .admonition-title')].filter((e) =>"
        " ['::before', '::after'].some((part) => getComputedStyle(e, part).content.includes('\uf0f3')))"
        ".map((e) => e.textContent)"
    )


def second_numbers(page: Visit) -> list[str]:
    """Statements with a number of the book's own."""
    return page(
        "return [...document.querySelectorAll('div.proof .caption-number')].map((e) => e.parentElement.textContent)"
    )


def plain_verdicts(page: Visit) -> list[str]:
    """Frames and rows of claims whose edge and word share no colour of their own, or without a link to the ledger."""
    return page(
        "return [...document.querySelectorAll('.advnb-claim, .advnb-row')].filter((frame) => {"
        " const word = frame.querySelector('strong.verdict');"
        " const card = getComputedStyle(frame).borderLeftWidth === '4px' ? frame : frame.querySelector('.judged');"
        " const said = word.textContent.toLowerCase().replace(/[:.]/, '').replace(/ /g, '-');"
        " const named = frame.classList.contains(said);"
        " const same = getComputedStyle(word).color === getComputedStyle(card ?? frame).borderLeftColor;"
        " return !named || !frame.querySelector('a.to-ledger')"
        "  || (!same && !/vacuous|not-run/.test(frame.className)); }).map((frame) => frame.id)"
    )


def unnamed_controls(page: Visit) -> list[str]:
    """Controls without a name for a screen reader, or out of the keyboard's reach."""
    return page(
        "return [...document.querySelectorAll('.jupyter-widgets [role=slider], .jupyter-widgets select, "
        ".jupyter-widgets button')].filter((e) => !e.closest('[inert], .advnb-live-only')"
        " && (e.tabIndex < 0 || !(e.ariaLabel || e.labels?.[0]?.textContent || e.textContent).trim()))"
        ".map((e) => e.outerHTML.slice(0, 120))"
    )


def picture(explore: WebElement) -> str:
    """The address of the one picture that an explore() shows, once it is there."""
    driver = explore.parent
    script = (
        "const shown = [...arguments[0].querySelectorAll('.advnb-pictures img')].filter((i) => i.checkVisibility());"
        "return shown.length === 1 && shown[0].complete && shown[0].naturalWidth ? shown[0].src : null"
    )
    return WebDriverWait(driver, 5, 0.02).until(lambda d: d.execute_script(script, explore))
