"""C names and comments from names of a model, which may hold any character."""

from __future__ import annotations

import re

_KEYWORD_TEXT = """
    alignas alignof auto bool break case char const constexpr continue default do double else enum extern
    false float for goto if inline int long main nullptr register restrict return short signed sizeof static
    static_assert struct switch thread_local true typedef typeof typeof_unqual union unsigned void volatile
    while
"""
_KEYWORDS = frozenset(_KEYWORD_TEXT.split())


def c_identifier(name: str) -> str:
    """Turns any text into an ASCII C identifier that is no keyword and reserved for no implementation.

    Args:
        name: Any text, the empty one too.

    Returns:
        Letters, digits and single underscores, starting with a letter.
    """
    text = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9]", "_", name)).strip("_")
    if not text or text[0].isdigit() or text.lower() in _KEYWORDS:
        text = f"n_{text}".rstrip("_")
    return text


def c_identifiers(names: list[str], reserved: tuple[str, ...] = ()) -> list[str]:
    """C identifiers for ``names``, in order, all different even on file systems that ignore case.

    Args:
        names: Any texts; equal ones get different identifiers.
        reserved: Identifiers that must not be returned.
    """
    taken = {name.lower() for name in reserved}
    result = []
    for name in names:
        base = c_identifier(name)
        candidate, number = base, 1
        while candidate.lower() in taken:
            number += 1
            candidate = f"{base}_{number}"
        taken.add(candidate.lower())
        result.append(candidate)
    return result


def c_comment(text: str) -> str:
    """Text that may stand in a block comment or string literal: ASCII that ends neither."""
    return re.sub(r"[^ !#-)+-.0-9:->@-\[\]-~]", "_", text)
