"""DM-script's syntax: parses a text into statements, nested tuples that `dmscript` runs."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Tuple

TYPES = {
    "number", "realnumber", "string", "image", "realimage", "rgbimage", "taggroup", "imagedisplay",
    "imagedocument", "documentwindow", "component", "roi", "void",
}  # fmt: skip
_TOKEN = re.compile(
    r'[ \t\r]*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?)|("(?:\\.|[^"\\])*")|([A-Za-z_]\w*)'
    r"|(:=|\+\+|--|[-+*/=!<>]=|&&|\|\||[=().,;{}<>!&+*/-])|(\n))"
)
_BINARY = ({"||"}, {"&&"}, {"==", "!="}, {"<", ">", "<=", ">="}, {"+", "-"}, {"*", "/"})
_COMMENT = re.compile(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)


class ScriptError(Exception):
    """What is wrong with a statement, and in which line, counted from 1."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.line = line


class Token(NamedTuple):
    """A word, a number, a quoted text, or a punctuation mark."""

    text: str
    line: int


Expression = Tuple[Any, ...]
"""("value", v), ("name", n), ("call", n, arguments), ("unary", mark, e), ("binary", mark, e, e), or
("assigned", e, e), which is an assignment as a condition."""

Statement = Tuple[Any, ...]
"""Its kind, its line, and what belongs to it; see `Parser`."""


class Parser:
    """Reads the statements of a text.

    Attributes
    ----------
    functions : dict
        Functions that the text defines, by name: their parameters (type, name, by reference) and statements.
    """

    def __init__(self, text: str) -> None:
        self.functions: dict[str, tuple[list[tuple[str, str, bool]], list[Statement]]] = {}
        self._tokens = _tokens(text)
        self._place = 0

    def statements(self, end: str = "") -> list[Statement]:
        """Return the statements up to the mark `end`, or to the end of the text."""
        found: list[Statement] = []
        while True:
            self._skip()
            if self._take(end):
                return found
            statement = self._statement()
            if statement:
                found.append(statement)

    def _statement(self) -> Statement | None:
        line, word = self._line, self._text.lower()
        if word == "{":
            self._next()
            return "block", line, self.statements("}")
        if word in {"if", "while"}:
            self._next()
            condition = self._in_parentheses()
            body = self._body()
            if word == "while":
                return "while", line, condition, body
            here = self._place
            self._skip()
            if self._text.lower() == "else":
                self._next()
                return "if", line, condition, body, self._body()
            self._place = here
            return "if", line, condition, body, []
        if word == "for":
            return self._for(line)
        if word in {"break", "return"}:
            self._next()
            value = ("value", 0.0) if self._text in {";", "\n", "}", ""} else self._expression()
            return word, line, value
        if word in TYPES and self._is_function():
            self._function()
            return None
        statement = self._declaration(line) if word in TYPES else self._simple(line)
        if self._text not in {";", "\n", "}", ""}:
            raise ScriptError(f"Unexpected {self._text!r}.", self._line)
        return statement

    def _body(self) -> list[Statement]:
        self._skip()
        statement = self._statement()
        return [statement] if statement else []

    def _for(self, line: int) -> Statement:
        self._next()
        self._need("(")
        start = self._declaration(line) if self._text.lower() in TYPES else self._simple(line)
        self._need(";")
        condition = self._expression()
        self._need(";")
        step = self._simple(line)
        self._need(")")
        return "for", line, start, condition, step, self._body()

    def _is_function(self) -> bool:
        following = [token.text for token in self._tokens[self._place + 1 : self._place + 3]]
        if following[-1:] != ["("] or not following[0].isidentifier():
            return False
        close = self._place + 2
        while close < len(self._tokens) and self._tokens[close].text != ")":
            close += 1
        return [t.text for t in self._tokens[close + 1 : close + 3] if t.text != "\n"][:1] == ["{"]

    def _function(self) -> None:
        self._next()
        name = self._next().lower()
        self._need("(")
        parameters = []
        while not self._take(")"):
            kind = self._next().lower()
            by_reference = self._take("&")
            parameters.append((kind, self._next().lower(), by_reference))
            self._take(",")
        self._skip()
        self._need("{")
        self.functions[name] = parameters, self.statements("}")

    def _declaration(self, line: int) -> Statement:
        kind = self._next().lower()
        parts = []
        while True:
            name = self._next().lower()
            if not name.isidentifier():
                raise ScriptError(f"A name should follow {kind!r}.", line)
            mark = self._next() if self._text in {"=", ":="} else ""
            parts.append((name, mark, self._expression() if mark else None))
            if not self._take(","):
                return "declare", line, kind, parts

    def _simple(self, line: int) -> Statement:
        target = self._expression()
        if self._text in {"=", ":=", "+=", "-=", "*=", "/="}:
            mark = self._next()
            return "assign", line, target, mark, self._expression()
        if self._text in {"++", "--"}:
            return "assign", line, target, self._next()[0] + "=", ("value", 1.0)
        return "expression", line, target

    def _expression(self, level: int = 0) -> Expression:
        if level == len(_BINARY):
            return self._unary()
        left = self._expression(level + 1)
        while self._text in _BINARY[level]:
            left = "binary", self._next(), left, self._expression(level + 1)
        return left

    def _unary(self) -> Expression:
        if self._text in {"-", "!"}:
            return "unary", self._next(), self._unary()
        parsed = self._primary()
        while self._take("."):
            method = self._next()
            if not method.isidentifier() or not self._take("("):
                raise ScriptError(f"{method!r} should be followed by its arguments.", self._line)
            parsed = "call", method, [parsed, *self._arguments()]
        return parsed

    def _primary(self) -> Expression:
        if self._text == "(":
            return self._in_parentheses()
        word = self._next()
        if word[0].isdigit():
            return "value", float(word)
        if word.startswith('"'):
            return "value", re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), word[1:-1])
        if word.isidentifier():
            return ("call", word, self._arguments()) if self._take("(") else ("name", word)
        raise ScriptError(f"Unexpected {word!r}.", self._line)

    def _in_parentheses(self) -> Expression:
        self._need("(")
        inner = self._expression()
        if self._take("="):
            inner = "assigned", inner, self._expression()
        self._need(")")
        return inner

    def _arguments(self) -> list[Expression]:
        arguments = []
        while not self._take(")"):
            arguments.append(self._expression())
            if not self._take(",") and self._text != ")":
                raise ScriptError("A ')' is missing.", self._line)
        return arguments

    # Tokens

    @property
    def _text(self) -> str:
        return self._tokens[self._place].text if self._place < len(self._tokens) else ""

    @property
    def _line(self) -> int:
        return self._tokens[min(self._place, len(self._tokens) - 1)].line if self._tokens else 1

    def _next(self) -> str:
        if self._text in {"", "\n"}:
            raise ScriptError("The line ends too early.", self._line)
        self._place += 1
        return self._tokens[self._place - 1].text

    def _take(self, mark: str) -> bool:
        if self._text != mark:
            return False
        self._place += 1
        return True

    def _need(self, mark: str) -> None:
        if not self._take(mark):
            raise ScriptError(f"{mark!r} is missing before {self._text.strip() or 'the end'!r}.", self._line)

    def _skip(self) -> None:
        while self._text in {"\n", ";"}:
            self._place += 1


def _tokens(text: str) -> list[Token]:
    text = _COMMENT.sub(lambda m: m[1] or "\n" * m[0].count("\n"), text)
    tokens: list[Token] = []
    position, line = 0, 1
    while text[position:].strip(" \t\r"):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ScriptError(f"Cannot read {text[position:].split(chr(10))[0].strip()!r}.", line)
        word = match[0].lstrip(" \t\r")
        tokens.append(Token(word, line))
        line += word == "\n"
        position = match.end()
    return tokens
