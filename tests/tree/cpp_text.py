"""C++ source as the tree test sees it: comments and literals blanked out, blocks found by their braces.

This is no parser. It relies on the house style (clang-format, no macros that open blocks), which is what it guards.
"""

import re
from dataclasses import dataclass

_LITERAL = re.compile(
    r"""//(?:[^\n\\]|\\.|\\\n)*            # a comment to the end of the line
      | /\*.*?\*/                          # a block comment
      | R"(?P<tag>[^\s()\\]{0,16})\(.*?\)(?P=tag)"   # a raw string
      | "(?:[^"\\\n]|\\.)*"
      | (?<![0-9A-Fa-f])'(?:[^'\\\n]|\\.)+'  # a character, not a digit separator
    """,
    re.VERBOSE | re.DOTALL,
)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.MULTILINE)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]')
_NOISE = re.compile(r"alignas\s*\([^()]*\)|\[\[[^\]]*\]\]|__attribute__\s*\(\([^()]*\)\)")
_TYPE = re.compile(r"\b(?:class|struct|union|enum)\b")


def _blank(match):
    """The same text with everything but line ends turned into spaces; a string keeps its quotes."""
    text = match.group(0)
    blank = re.sub(r"[^\n]", " ", text)
    return blank if text.startswith("/") else '"' + blank[1:-1] + '"'


def code_of(text):
    """The code with comments and the insides of literals blanked out; lines and columns stay where they were."""
    return _LITERAL.sub(_blank, text)


def includes_of(text):
    """(line, name, angled) of every #include."""
    for number, line in enumerate(text.split("\n"), 1):
        match = _INCLUDE.match(line)
        if match:
            yield number, match.group(2), match.group(1) == "<"


@dataclass
class Block:
    """A braced block: `kind` is namespace, type, function or other (an initializer); lines count from 1."""

    kind: str
    head: str
    first_line: int
    last_line: int = 0
    body_start: int = 0
    body_end: int = 0


def _strip_template(head):
    """Drops leading `template <...>` lists, whose `class` names no class."""
    head = head.strip()
    while head.startswith("template"):
        depth, end = 0, 0
        for end, char in enumerate(head):
            depth += (char == "<") - (char == ">")
            if char == ">" and depth == 0:
                break
        else:
            return ""
        head = head[end + 1 :].strip()
    return head


def _kind(head):
    head = _strip_template(_NOISE.sub(" ", head))
    if re.match(r"(inline\s+)?namespace\b|extern\s*\"[^\"]*\"$", head):
        return "namespace"
    if _TYPE.search(head) and "(" not in head and "=" not in head:
        return "type"
    tail = re.search(r"(?:\)|\])\s*(?:const|noexcept|override|final|mutable|try|&|\s|->[^;{}]*)*$", head)
    if head.endswith("=") or head.count("(") != head.count(")") or not (tail or "(" in head.rsplit("=", 1)[-1]):
        return "other"
    # `: member_{...}` in a constructor's list is an initializer; what follows the last member is the body.
    if re.search(r"\)\s*(?:noexcept\s*)?:\s*[^)]*\w$|,\s*\w+$", head):
        return "other"
    return "function"


def blocks_of(text):
    """Namespaces, types, and the functions directly inside them; lambdas and statements belong to their function."""
    code = _DIRECTIVE.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), code_of(text))
    found, open_blocks = [], []
    head_start, line, inner = 0, 1, 0
    for position, char in enumerate(code):
        if char == "\n":
            line += 1
        elif inner:
            inner += (char == "{") - (char == "}")
            if inner == 0:
                block = open_blocks.pop()
                block.last_line, block.body_end = line, position
                if block.kind == "function":
                    head_start = position + 1
        elif char == "{":
            head = code[head_start:position]
            first = line - head.lstrip().count("\n")
            block = Block(_kind(head), " ".join(head.split()), first, body_start=position + 1)
            found.append(block)
            open_blocks.append(block)
            if block.kind in ("function", "other"):
                inner = 1  # skip to its end; an initializer's end leaves the head as it is
            else:
                head_start = position + 1
        elif char == "}":
            if open_blocks:
                block = open_blocks.pop()
                block.last_line, block.body_end = line, position
            head_start = position + 1
        elif char == ";":
            head_start = position + 1
        elif char == ":" and re.search(r"\b(?:public|private|protected)\s*$", code[head_start:position]):
            head_start = position + 1
    return found
