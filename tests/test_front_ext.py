"""The front page: cards that fail the build when their finding is gone, and the bar of the ledger."""

import io
import json
from base64 import b64encode
from types import SimpleNamespace

import front
import pandas as pd
import pytest
from PIL import Image

from advnb.book.ledger import bar_html, totals

CLAIM = {
    "chapter": "toy", "id": "theorem-1", "page": "toy/walks", "statement": "Theorem 1", "says": "a < b",
    "measured": "2 of 3", "verdict": "reproduced",
}  # fmt: skip
CLAIMS = pd.DataFrame([CLAIM, {**CLAIM, "id": "lemma-2", "verdict": "not run"}])


def test_a_card_tells_what_the_ledger_says():
    claim = front.claim_named(CLAIMS, "toy/theorem-1", "reproduced")
    text = front.told(claim)
    assert "a &lt; b" in text and "2 of 3" in text and '<p class="verdict reproduced"><strong>Reproduced' in text
    assert 'href="toy/walks.ipynb#claim-theorem-1"' in text and 'href="claims.ipynb#toy-theorem-1"' in text


def test_a_claim_that_is_gone_stops_the_build():
    with pytest.raises(ValueError, match="no claim of the ledger is called 'toy/theorem-2'"):
        front.claim_named(CLAIMS, "toy/theorem-2", "reproduced")


def test_a_verdict_that_has_changed_stops_the_build():
    with pytest.raises(ValueError, match=r"toy/lemma-2 is 'not run' in the ledger, while the card says 'reproduced'"):
        front.claim_named(CLAIMS, "toy/lemma-2", "reproduced")


def test_a_figure_is_found_by_its_name(tmp_path):
    about = {"mystnb": {"figure": {"name": "toy-walk"}, "image": {"alt": "A walk."}}}
    cell = {"metadata": about, "outputs": [{"data": {"image/png": b64encode(b"picture").decode()}}]}
    notebook = tmp_path / "walks.ipynb"
    notebook.write_text(json.dumps({"cells": [{"metadata": {}}, cell]}))
    assert front.figure_named(notebook, "toy-walk") == (b"picture", "A walk.")
    with pytest.raises(ValueError, match=r"walks.ipynb has no figure called 'toy-run'"):
        front.figure_named(notebook, "toy-run")


def test_a_figure_of_another_page_leads_there(tmp_path):
    drawn = io.BytesIO()
    Image.new("RGB", (600, 10)).save(drawn, "png")
    about = {"mystnb": {"figure": {"name": "toy-walk"}, "image": {"alt": "A < B."}}}
    cell = {"metadata": about, "outputs": [{"data": {"image/png": b64encode(drawn.getvalue()).decode()}}]}
    (tmp_path / "book" / "toy").mkdir(parents=True)
    (tmp_path / "book" / "toy" / "walks.ipynb").write_text(json.dumps({"cells": [cell]}))
    metadata = {"book/toy/index": {}}
    env = SimpleNamespace(srcdir=tmp_path, docname="book/toy/index", metadata=metadata, note_dependency=str)
    image = front.thumbnail(SimpleNamespace(env=env), "toy/walks", "toy-walk")
    assert 'href="walks.ipynb#toy-walk"' in image and 'src="../../_static/front/toy-walk.png"' in image
    assert 'alt="A &lt; B."' in image and "--drawn: 300px" in image
    assert list(metadata["book/toy/index"]["front"]) == ["toy-walk"]


def test_the_parts_of_the_bar_lead_to_the_ledger_filtered():
    bar = bar_html(totals(CLAIMS), "claims.ipynb")
    assert 'aria-label="The 2 claims by verdict"' in bar
    assert 'href="claims.ipynb#verdict=reproduced"><strong>1</strong> reproduced' in bar
    assert 'href="claims.ipynb#verdict=not+run"' in bar and "vacuous" not in bar
