from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fbcompile.lowering.names import c_comment, c_identifier, c_identifiers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("conv1", "conv1"),
        ("a/b:0", "a_b_0"),
        ("1x1", "n_1x1"),
        ("", "n"),
        ("while", "n_while"),
        ("__x", "x"),
        ("é", "n"),
    ],
)
def test_examples(name, expected):
    assert c_identifier(name) == expected


@given(st.lists(st.text(max_size=6), max_size=8))
def test_identifiers_are_valid_and_differ(names):
    result = c_identifiers(names, ("network",))
    assert len({name.lower() for name in [*result, "network"]}) == len(names) + 1
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in result)


@given(st.text())
def test_comments_cannot_be_left(text):
    comment = c_comment(text)
    assert not set('*"\\/\n\r?') & set(comment)
    assert comment.isascii()
