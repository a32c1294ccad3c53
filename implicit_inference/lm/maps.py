"""Maps of text: each is local, to letters or to words, so that a map of a whole is the maps of its parts."""

import codecs
import re
from collections.abc import Callable, Mapping

Map = Callable[[str], str]
WORD = re.compile(r"[^\W\d_]+")
LEET = str.maketrans("aeiostAEIOST", "431057431057")


def identity(text: str) -> str:
    """Changes nothing."""
    return text


def upper(text: str) -> str:
    """Writes everything in capitals."""
    return text.upper()


def leet(text: str) -> str:
    """Writes a e i o s t as the digits that look like them."""
    return text.translate(LEET)


def rot13(text: str) -> str:
    """Moves each of the 26 letters by 13 places; twice is nothing."""
    return codecs.encode(text, "rot13")


def pig_latin(text: str) -> str:
    """Moves the consonants that a word begins with to its end and adds `ay`; one that begins with a vowel gets `way`.

    Capitals stay where they were: What -> Atwhay, WHAT -> ATWHAY.
    """

    def word(match: re.Match[str]) -> str:
        own = match.group()
        start = next((i for i, c in enumerate(own.lower()) if c in "aeiou" or (c == "y" and i)), 0)
        moved = (own[start:] + own[:start] + ("ay" if start else "way")).lower()
        if len(own) > 1 and own.isupper():
            return moved.upper()
        return moved.capitalize() if own[0].isupper() else moved

    return WORD.sub(word, text)


def caesar(shift: int) -> Map:
    """Gives the map that moves each of the 26 letters by `shift` places; a shift of 0 modulo 26 changes nothing."""
    small, large = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    k = shift % 26
    table = str.maketrans(small + large, small[k:] + small[:k] + large[k:] + large[:k])
    return lambda text: text.translate(table)


def words(other: Mapping[str, str]) -> Map:
    """Gives the map that writes another word for each word of a list, all at once; a capital at its start stays."""

    def word(match: re.Match[str]) -> str:
        own = match.group()
        if own in other:
            return other[own]
        found = other.get(own.lower(), own)
        return found[:1].upper() + found[1:] if own[0].isupper() else found

    return lambda text: WORD.sub(word, text)


MAPS: dict[str, Map] = {each.__name__: each for each in (identity, upper, leet, pig_latin, rot13)}
"""The maps that need nothing but their name; caesar needs a shift."""
