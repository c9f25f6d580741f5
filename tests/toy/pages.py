"""A page of claims on the toy experiments."""

from advnb.book.claims import Page

PAGE = Page("toy/walks", title="Walks")


@PAGE.claim(
    "theorem-3.1.rate",
    says="a walk of ten steps goes further than one of five",
    evidence="toy.walk",
    holds=lambda five, ten: (
        ten  # the condition spans lines
        > five
    ),
    verdict="reproduced in part",
    why="on average over seeds & scales",
)
def rate(walks):
    far = walks.groupby("steps")["far"].mean()
    return f"{far[10]:.2f} against {far[5]:.2f}", {"five": far[5], "ten": far[10]}


@PAGE.claim(
    "figure-2",
    says="every walk ends somewhere",
    evidence=["toy.walk", "toy.drifting"],
    holds=lambda ends, drifts: ends == 20 and drifts == [1.0, 2.0],
    verdict="reproduced",
)
def ends(walks, drifts):
    return f"{walks['end'].notna().sum()} ends", {
        "ends": int(walks["end"].notna().sum()),
        "drifts": sorted(drifts["value"].unique()),
    }


@PAGE.claim("lemma-4", says="two < three", holds=lambda difference: difference > 0, verdict="not reproduced")
def exact():
    return "by 1", {"difference": 3 - 2}


@PAGE.claim("table-2", says="white-box accuracy!", verdict="not run")
def table():
    raise AssertionError("what is not run is not measured")
