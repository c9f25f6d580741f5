"""What every picture to move owes its readers: both themes, both widths, and a sentence where there are no scripts."""

from __future__ import annotations

import axe
import pictures
import probes
import pytest

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=["landscape", "step", "transition"])
def folder(request, tmp_path_factory):
    return pictures.write(tmp_path_factory.mktemp(request.param), request.param).parent


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [probes.DESKTOP, probes.PHONE])
def test_everyone_can_use_it(picture, theme, width):
    if why := axe.missing():
        pytest.skip(why)
    with probes.width_of(picture, width):
        assert probes.overflow(picture) == []
        assert axe.violations(picture, theme) == []
        assert probes.low_contrast(picture, theme) == []


def test_without_scripts_the_frame_and_the_sentence_stay(browser, folder):
    page = probes.visit(browser, folder / "plain.html", folder)
    assert probes.images(page) == [] and pictures.SENTENCE in page("return document.body.innerText")
