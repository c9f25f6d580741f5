"""A package of experiments for the tests, shaped like advnb.papers."""
