"""Finding people by what staff remember of them: beginnings of words in any order, with or without accents, and phones
and postcodes in any way of writing them.

An index over an expression, so that no column repeats personal data and nobody has to keep one up to date. It is a
text search vector made word by word, not by PostgreSQL's parser, which takes some of our words for file names.
"""

import re
import unicodedata

from django.db.models import BooleanField, F, Func, TextField, Value

from bookings import phone

# Letters that do not decompose into another one and an accent.
_PLAIN = ("łøđıßæœ", "lodisao")
_LONGEST = 50  # letters of a word; PostgreSQL refuses a vector with words of more than 2 kB
_MARKS = re.compile("[\u0300-\u036f]")
_BETWEEN = re.compile(r"[\x00-/:-@\[-`{-\x7f]+")  # all of ASCII but letters and digits
_PHONE = re.compile(r"[+(]?\d(?:[\s().\-/]*\d){6,}(?:\s*(?:ext\.?|x|#)\s*\d+)?", re.IGNORECASE)


def vector(*texts: str, phone: str = "", postcode: str = "") -> Func:
    """The words of these columns, for an index and for `matches`; paths over relations will do for the latter."""
    parts: list[F | Func] = [F(name) for name in (*texts, phone, postcode) if name]
    if phone:
        digits = _sql(F(phone), r"regexp_replace(%(expressions)s, '\D', '', 'g')")
        from_abroad = _sql(F(phone), r"coalesce(substring(%(expressions)s from '^\+\d+\D(.*)$'), '')")
        parts += [digits, _sql(digits, "ltrim(%(expressions)s, '0')")]
        parts += [_sql(from_abroad, r"regexp_replace(%(expressions)s, '\D', '', 'g')")]
    if postcode:
        parts += [_sql(F(postcode), r"regexp_replace(%(expressions)s, '\W', '', 'g')")]
    # Options by the alphabet, as a migration writes them: Django compares them in their order.
    together: Func = Func(*parts, arg_joiner=" || ' ' || ", output_field=TextField(), template="(%(expressions)s)")
    bare = _sql(together, r"regexp_replace(normalize(%(expressions)s, NFKD), '[\u0300-\u036f]', '', 'g')")
    folded = _sql(bare, f"translate(lower(%(expressions)s), '{_PLAIN[0]}', '{_PLAIN[1]}')")
    words = _sql(folded, r"trim(regexp_replace(%(expressions)s, '[\x01-/:-@\[-`{-\x7f]+', ' ', 'g'))")
    cut = _sql(words, rf"regexp_replace(%(expressions)s, '([^ ]{{{_LONGEST}}})[^ ]+', '\1', 'g')")
    return _sql(cut, "array_to_tsvector(string_to_array(%(expressions)s, ' '))")


def matches(words: Func, query: str) -> Func:
    """A condition: the vector holds what `asked` has made of a search."""
    wanted = Func(Value(query), template="%(expressions)s::tsquery", output_field=TextField())
    return Func(words, wanted, template="%(expressions)s", arg_joiner=" @@ ", output_field=BooleanField())


def asked(typed: str) -> str:
    """What PostgreSQL is to look for (a tsquery); empty when nothing was typed that could be found."""
    wanted, at = list[str](), 0
    for number in _PHONE.finditer(typed):
        wanted += _begin(typed[at : number.start()])
        wanted.append(_either(_begin(number[0]), _begin(phone.searched(number[0]))))
        at = number.end()
    return " & ".join([*wanted, *_begin(typed[at:])])


def whole(text: str) -> str:
    """What PostgreSQL is to look for to find all words of a text as they are, none of them a beginning only."""
    return " & ".join(f"'{word}'" for word in folded(text))


def folded(typed: str) -> list[str]:
    """The words of a text, as the vector has them."""
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", typed)).lower().translate(str.maketrans(*_PLAIN))
    return [word[:_LONGEST] for word in _BETWEEN.sub(" ", bare).split(" ") if word]


def _begin(typed: str) -> list[str]:
    return [f"'{word}':*" for word in folded(typed)]


def _either(words: list[str], number: list[str]) -> str:
    return f"(({' & '.join(words)}) | ({' & '.join(number)}))" if number else f"({' & '.join(words)})"


def _sql(inner: F | Func, template: str) -> Func:
    return Func(inner, template=template, output_field=TextField())
