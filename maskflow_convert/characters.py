"""Text from a stranger's file, such that a person sees every character of it."""

from __future__ import annotations

import unicodedata

_UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


def visible(text: str) -> str:
    r"""The text with what cannot be seen spelt out: `\n`, `\u202e` (text runs backwards), `\u200b`, lone surrogates.

    What comes out has no line breaks, turns no other text around and can be encoded as UTF-8.
    """
    return "".join(_spelt(character) if unicodedata.category(character) in _UNSEEN else character for character in text)


def _spelt(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
