"""The content security policy of a page names the page's own scripts, one by one, and nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from types import SimpleNamespace

import offline
import policy
import pytest

PAGE = """<!DOCTYPE html>
<html lang="en"><head>
    <meta charset="utf-8" /><meta name="viewport" content="width=device-width">
    <script>start("a & b < c");</script><script src="own.js"></script>
    <script type="application/json">{"no": "script"}</script>
</head><body><button onclick="print(&quot;it&quot;)">Print</button></body></html>
"""


def sha256(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def directives(page):
    """The policy in a page, as its sources by directive."""
    (content,) = re.findall('<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    return {name: sources for name, *sources in map(str.split, content.split("; "))}


def test_the_policy_lists_the_scripts_of_the_page_and_no_others():
    scripts = directives(policy.guarded(PAGE))["script-src"]
    ours = [sha256('start("a & b < c");'), sha256('print("it")')]
    assert sorted(scripts) == sorted(["'self'", "file:", "'unsafe-hashes'", *ours])


def test_a_page_without_scripts_allows_none_within_it():
    assert directives(policy.guarded("<p>Text</p>"))["script-src"] == ["'self'", "file:"]


def test_nothing_is_allowed_that_is_not_named_and_no_host():
    found = directives(policy.guarded(PAGE))
    assert found["default-src"] == ["'none'"] and found["base-uri"] == ["'none'"]
    sources = {source for name in found for source in found[name]}
    assert not any(source.startswith(("http", "*", "'unsafe-eval'")) for source in sources)
    assert [name for name in found if "'unsafe-inline'" in found[name]] == ["style-src"]


def test_text_may_become_code_where_widgets_need_it_alone():
    state = '<script type="application/vnd.jupyter.widget-state+json">{}</script>'
    assert directives(policy.guarded(state))["script-src"] == ["'self'", "file:", "'unsafe-eval'"]


def test_the_policy_stands_before_all_that_loads_and_right_after_the_charset():
    page = policy.guarded(PAGE)
    assert page.index("<meta charset") < page.index("Content-Security-Policy") < page.index("<script")
    assert policy.guarded("<p>Text</p>").startswith("<meta http-equiv")


def test_a_second_build_changes_nothing_and_takes_in_what_is_new():
    page = policy.guarded(PAGE)
    assert policy.guarded(page) == page
    changed = policy.guarded(page.replace("</body>", "<script>more()</script></body>"))
    assert sha256("more()") in directives(changed)["script-src"]


CDN = "https://cdn.jsdelivr.net/npm"
MATHS, WIDGETS = f"{CDN}/mathjax@3.2.2/", f"{CDN}/@jupyter-widgets/html-manager@1.0.15/"


@pytest.mark.parametrize("elsewhere", [[], [MATHS], [WIDGETS], [MATHS, WIDGETS]])
def test_without_npm_exactly_the_packages_that_are_missing_may_be_loaded(monkeypatch, elsewhere):
    def fetch(package):
        if any(f"/{package.name}@" in folder for folder in elsewhere):
            raise FileNotFoundError("npm is not installed")

    monkeypatch.setattr(offline, "fetch", fetch)
    config = SimpleNamespace()
    offline.use_own_scripts(None, config)
    assert policy.packages_elsewhere(config) == elsewhere
    found = directives(policy.guarded("<p>Text</p>", elsewhere))
    assert found["script-src"] == ["'self'", "file:", *elsewhere]
    assert {name for name in found if set(elsewhere) & set(found[name])} == (
        {"script-src", "font-src"} if elsewhere else set()
    )


def test_every_page_gets_one_whoever_wrote_it_and_templates_of_the_theme_go(tmp_path):
    names = ["index.html", "book/page.html", "_static/movable/trials.html", "_static/webpack-macros.html"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(PAGE, encoding="utf-8")
    config = SimpleNamespace(mathjax_path="vendor/mathjax.js", nb_ipywidgets_js={})
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path, config=config)
    policy.guard_pages(app, None)
    assert all(directives((tmp_path / name).read_text()) for name in names[:3])
    assert not (tmp_path / names[3]).exists()


def test_a_build_that_failed_is_left_alone(tmp_path):
    (tmp_path / "page.html").write_text(PAGE)
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path)
    policy.guard_pages(app, RuntimeError("the build failed"))
    assert (tmp_path / "page.html").read_text() == PAGE
