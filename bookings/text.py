"""Text as people type it, made fit to be kept: what cannot be seen goes, two ways of writing become one."""

import re
import unicodedata

_KEPT = frozenset("\t\n\r\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
# Letters by their category, and blank on every screen.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def visible(text: str) -> str:
    """The text composed (NFC), without control and format characters; empty when nothing of it can be seen.

    Format characters hide text or turn its direction, so that a name or an address reads as another one. Telephones
    put them around numbers that are copied. Only the joiners of Indic, Persian and emoji are part of how one writes.
    """
    kept = "".join(each for each in unicodedata.normalize("NFC", text) if each in _KEPT or not _unseen(each))
    return kept if any(unicodedata.category(each)[0] in "LNPS" and each not in _BLANK for each in kept) else ""


def line(text: str) -> str:
    """The same on one line, words a single space apart: e-mail headers refuse line breaks."""
    return " ".join(visible(re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text)).split())


def _unseen(each: str) -> bool:
    return unicodedata.category(each) in ("Cc", "Cf", "Cs")
