"""Names a query by what it does to which table: `SELECT shop_order`. Pure; never a value in the name."""

import re
from functools import lru_cache
from typing import Any

MAX_LENGTH = 80
"""Characters of a summary; an identifier of PostgreSQL has at most 63."""

_TOKEN = re.compile(
    r"""
    (?P<skip>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<text>[eE]?'(?:[^'\\]|''|\\.)*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<word>[^\W\d]\w*)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_VERBS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"})
_NOT_A_TABLE = frozenset({"ONLY", "LATERAL", "TABLE", "IF", "EXISTS", "NOT", "ROWS"})
_NO_FUNCTION = _VERBS | {"UNNEST"}  # which only takes apart what the function in it returns
_FROM_IS_AN_ARGUMENT = frozenset({"EXTRACT", "SUBSTRING", "TRIM", "OVERLAY", "POSITION"})
# SAVEPOINT names and SET values differ each time: keep them out of the parse and its cache.
_BARE = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT", "SET ", "SHOW ", "FETCH ", "CLOSE ")
_TABLE_FOLLOWS = {"INSERT": "INTO", "MERGE": "INTO", "DELETE": "FROM"}
_NAMED_AT_ONCE = frozenset({"UPDATE", "TRUNCATE", "LOCK", "CALL", "EXECUTE", "REFRESH"})


def summarise(sql: Any) -> str:
    """The summary of a statement given as text, bytes or a psycopg `Composable`; "OTHER" when it cannot be read."""
    text: str = sql if isinstance(sql, str) else _composed(sql)
    if text.startswith(_BARE):
        return text.split(None, 1)[0].rstrip(";")
    return _parsed(text)


def _composed(sql: Any) -> str:
    try:
        return sql.decode(errors="replace") if isinstance(sql, bytes) else str(sql.as_string(None))
    except Exception:  # whatever the caller passed: naming a query must never fail it
        return ""


@lru_cache(maxsize=1024)
def _parsed(sql: str) -> str:
    # The head is enough to name a statement; a page-long IN list is not worth reading.
    tokens = _tokens(sql[:8000])
    words = [token.upper() for token, _ in tokens]
    start, ctes = _main_verb(tokens, words)
    if start >= len(words) or not words[start].isidentifier():
        return "OTHER"
    verb, depth = words[start], tokens[start][1]
    if verb in ("CREATE", "ALTER", "DROP", "COMMENT"):
        return " ".join([verb, *_object_type(words[start + 1 : start + 5])])
    name = _target(verb, depth, tokens, words, start)
    if name in ctes:  # reading a CTE: its body holds the table
        name = next((table for table in _tables_read(tokens, words, 0) if table not in ctes), name)
    return f"{verb} {name}"[:MAX_LENGTH] if name else verb


def _tokens(sql: str) -> list[tuple[str, int]]:
    """Words, quoted identifiers and punctuation with the depth of parentheses each stands at."""
    tokens, depth = [], 0
    for match in _TOKEN.finditer(sql):
        if match.lastgroup in ("skip", "text", "tag"):
            continue
        piece = match.group()
        if piece == "(":
            tokens.append((piece, depth))
            depth += 1
        elif piece == ")":
            depth = max(depth - 1, 0)  # more closed than opened: a faulty statement is the database's to refuse
        else:
            tokens.append((piece, depth))
    return tokens


def _main_verb(tokens: list[tuple[str, int]], words: list[str]) -> tuple[int, frozenset[str]]:
    """Where the statement itself begins, past parentheses and CTEs, and the names of those CTEs."""
    start = next((at for at, word in enumerate(words) if word != "("), len(words))
    if start == len(words) or words[start] != "WITH":
        return start, frozenset()
    depth, ctes = tokens[start][1], set[str]()
    for at in range(start + 1, len(words)):
        if tokens[at][1] != depth:
            continue
        if words[at] in _VERBS:
            return at, frozenset(ctes)
        if words[at] not in ("RECURSIVE", "AS", "NOT", "MATERIALIZED", "(", ","):
            ctes.add(_identifier(tokens[at][0]))
    return start, frozenset()


def _target(verb: str, depth: int, tokens: list[tuple[str, int]], words: list[str], start: int) -> str:
    if verb in _NAMED_AT_ONCE:
        return _name_after(tokens, words, start)
    if verb in _TABLE_FOLLOWS:
        at = _index(words, _TABLE_FOLLOWS[verb], start)
        return _name_after(tokens, words, at) if at else ""
    if verb == "COPY" and start + 1 < len(words) and words[start + 1] != "(":
        return _name_after(tokens, words, start)
    if verb not in ("SELECT", "COPY"):
        return ""
    reads = _tables_read(tokens, words, start, depth) or _tables_read(tokens, words, start)
    return reads[0] if reads else _function(tokens, words, start)


def _tables_read(tokens: list[tuple[str, int]], words: list[str], start: int, depth: int | None = None) -> list[str]:
    """The names after each FROM at a depth (any when None), in order."""
    names, callers = [], [""]
    for at in range(start, len(words)):
        del callers[tokens[at][1] + 1 :]
        if words[at] == "(":
            callers.append(words[at - 1] if at else "")
        if words[at] != "FROM" or (depth is not None and tokens[at][1] != depth):
            continue
        if words[at - 1] == "DISTINCT" or callers[-1] in _FROM_IS_AN_ARGUMENT:
            continue  # IS DISTINCT FROM, EXTRACT(year FROM x)
        if name := _name_after(tokens, words, at):
            names.append(name)
    return names


def _function(tokens: list[tuple[str, int]], words: list[str], start: int) -> str:
    """`SELECT pg_sleep(1)` reads no table: the function is its name."""
    for at in range(start + 2, len(words)):
        if words[at] == "(" and words[at - 1].isidentifier() and words[at - 1] not in _NO_FUNCTION:
            return _identifier(tokens[at - 1][0])
    return ""


def _name_after(tokens: list[tuple[str, int]], words: list[str], at: int) -> str:
    at += 1
    while at < len(words) and words[at] in _NOT_A_TABLE:
        at += 1
    if at >= len(words) or not _is_name(tokens[at][0]):
        return ""
    while at + 2 < len(words) and words[at + 1] == "." and _is_name(tokens[at + 2][0]):
        at += 2  # "public"."shop_order"
    return _identifier(tokens[at][0])


def _object_type(words: list[str]) -> list[str]:
    kinds = ("TABLE", "INDEX", "VIEW", "FUNCTION", "TRIGGER", "TYPE", "SEQUENCE", "EXTENSION", "DATABASE", "SCHEMA")
    return [word for word in words if word in kinds][:1]


def _index(words: list[str], word: str, start: int) -> int:
    return next((at for at in range(start, len(words)) if words[at] == word), 0)


def _is_name(token: str) -> bool:
    return token.startswith('"') or token.isidentifier()


def _identifier(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else token.lower()
