"""The rules: each takes the tree and yields Findings. The tables they read are in house_rules.py."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import house_rules as house
from cpp_text import blocks_of, code_of, includes_of

CODE_SUFFIXES = {".cpp", ".hpp", ".py", ".js", ".mjs", ".cmake", ".sh"}
TEXT_SUFFIXES = CODE_SUFFIXES | {".md", ".txt", ".yaml", ".yml", ".json", ".toml", ".proto", ""}


@dataclass(frozen=True, order=True)
class Finding:
    """One broken rule and what to do about it."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


class Tree:
    """The files of a checkout by relative path, read once, and the module table of its CMakeLists.txt."""

    def __init__(self, root, paths):
        self.root = Path(root)
        self.paths = sorted(paths)
        self._texts = {}
        self.layers, self.uses = {}, {}
        for call in re.finditer(r"^penstock_module\(([^)]*)\)", self.text("CMakeLists.txt"), re.MULTILINE):
            words = call.group(1).split()
            name, keyword = words[0], ""
            self.uses[name] = set()
            for word in words[1:]:
                if word in ("LAYER", "USES", "PRIVATE_LIBS"):
                    keyword = word
                elif keyword == "LAYER":
                    self.layers[name] = int(word)
                elif keyword == "USES":
                    self.uses[name].add(word)
        for name in self.uses:  # in dependency order, as CMake reads them
            for used in list(self.uses[name]):
                self.uses[name] |= self.uses.get(used, set())

    def text(self, path):
        if path not in self._texts:
            file = self.root / path
            self._texts[path] = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        return self._texts[path]

    def cpp(self, *prefixes):
        return [p for p in self.paths if p.endswith((".cpp", ".hpp")) and p.startswith(prefixes or ("",))]


def module_of(path):
    """include/penstock/http/head.hpp and src/http/head.cpp -> http; src/main.cpp -> main.cpp."""
    parts = path.split("/")
    if path.startswith("include/penstock/") and len(parts) > 3:
        return parts[2]
    return parts[1] if path.startswith("src/") else None


def layers(tree):
    """Includes go to lower layers, to modules that the CMake table names."""
    for path in tree.cpp("include/", "src/"):
        own = module_of(path)
        if own not in tree.layers and own not in house.PROGRAMS:
            yield Finding(path, 1, "layers", f"'{own}' is no module: add a penstock_module line to CMakeLists.txt")
            continue
        for line, name, angled in includes_of(tree.text(path)):
            if angled:
                continue
            other = name.split("/")[1] if name.startswith("penstock/") else name.split("/")[0]
            if other == own and (name.startswith("penstock/") or "/" in name):
                continue
            yield from _one_include(tree, path, line, own, other, name)


def _one_include(tree, path, line, own, other, name):
    if other not in tree.layers:
        fix = f'write "penstock/<module>/..." or "{own}/...", from the root of include/ or src/'
        yield Finding(path, line, "layers", f'"{name}" belongs to no module: {fix}')
    elif not name.startswith("penstock/") and (own, other) != ("main.cpp", "app"):
        fix = f"use its public face in include/penstock/{other}/"
        yield Finding(path, line, "layers", f'"{name}" is private to {other}: {fix}')
    elif own in tree.layers and tree.layers[other] >= tree.layers[own]:
        where = "the same" if tree.layers[other] == tree.layers[own] else "a higher"
        fix = "move the shared part down, or let the caller pass it in"
        yield Finding(path, line, "layers", f"{own} may not include {other}, which is of {where} layer: {fix}")
    elif own in tree.layers and other not in tree.uses[own]:
        yield Finding(path, line, "layers", f"{own} does not use {other}: add it to USES in CMakeLists.txt, if it should")


def walls(tree):
    """A third-party library is included by its one home, and never by a public header."""
    for path in tree.cpp("include/", "src/"):
        own = module_of(path)
        for line, name, angled in includes_of(tree.text(path)):
            wall = next((wall for wall in house.WALLS if name.startswith(wall[0])), None)
            if wall is None:
                if angled and not house.SYSTEM_INCLUDE.match(name):
                    fix = "add it to WALLS in tests/tree/house_rules.py, with the one module that may meet it"
                    yield Finding(path, line, "walls", f"<{name}> is an unknown library: {fix}")
                continue
            _, homes, fix = wall
            if "*" in homes:
                continue
            if not any(own == home or path.startswith(home) for home in homes):
                yield Finding(path, line, "walls", f"{name} is not for {own}: {fix}")
            elif path.startswith("include/"):
                yield Finding(path, line, "walls", f"{name} in a public header: include it in a .cpp or a header in src/{own}/")


def purity(tree):
    """Pure modules know no sockets, threads, files or clocks."""
    for path in tree.cpp("include/", "src/"):
        if module_of(path) in house.PURE:
            for line, name, angled in includes_of(tree.text(path)):
                if angled and house.IMPURE_INCLUDE.match(name):
                    fix = "let the caller do the I/O and pass bytes, `now` and Prng&"
                    yield Finding(path, line, "purity", f"<{name}> in pure module {module_of(path)}: {fix}")


def banned(tree):
    """Calls and types that have one home."""
    for path in tree.cpp():
        rules = [b for b in house.BANNED if path.startswith(tuple(b.where)) and not path.startswith(tuple(b.home) or ("\n",))]
        if "snapshot" in path:
            rules = [b for b in rules if b.rule != "shared_ptr"]
        for number, line in enumerate(code_of(tree.text(path)).split("\n"), 1):
            if line.lstrip().startswith("#"):
                continue
            for rule in rules:
                match = rule.pattern.search(line)
                if match:
                    yield Finding(path, number, rule.rule, f"`{match.group(0).strip()}`: {rule.fix}")


def sizes(tree):
    """Files and functions that a reader can hold in mind."""
    for path in tree.paths:
        if Path(path).suffix not in CODE_SUFFIXES and Path(path).name not in ("CMakeLists.txt", "dev"):
            continue
        lines = tree.text(path).count("\n")
        if lines > house.FILE_LINES:
            yield Finding(path, 1, "size", f"{lines} lines, at most {house.FILE_LINES}: split it, one idea per file")
        for name, first, last in _functions(path, tree.text(path)):
            length = last - first + 1
            if length > house.FUNCTION_LINES:
                fix = "give its steps names; a table belongs to namespace scope"
                yield Finding(path, first, "size", f"{name} has {length} lines, at most {house.FUNCTION_LINES}: {fix}")


def _functions(path, text):
    if path.endswith((".cpp", ".hpp")):
        for block in blocks_of(text):
            if block.kind == "function":
                yield f"`{block.head[:60]}`", block.first_line, block.last_line
    elif path.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"`{node.name}`", node.lineno, node.end_lineno


_TYPE_NAME = re.compile(r"\b(?:class|struct|union|enum(?:\s+(?:class|struct))?|using|concept)\s+(?:alignas\([^)]*\)\s*)?"
                        r"([A-Z]\w*)\s*(?=[{:=]|final\b|$)")


def names(tree):
    """Names that say something."""
    for path in tree.cpp():
        stem_words = {word.capitalize() for word in re.split(r"[_.]", Path(path).stem)}
        for word in sorted(stem_words & house.NAME_WORDS):
            yield Finding(path, 1, "names", f"a file named '{word.lower()}': {house.NAME_FIX}")
        for number, line in enumerate(code_of(tree.text(path)).split("\n"), 1):
            for match in _TYPE_NAME.finditer(re.sub(r"template\s*<[^>]*>", "", line)):
                words = set(re.findall(r"[A-Z][a-z0-9]*", match.group(1)))
                for word in sorted(words & house.NAME_WORDS):
                    yield Finding(path, number, "names", f"'{match.group(1)}' says '{word}': {house.NAME_FIX}")


def ownership(tree):
    """The comment above a public class begins with who owns it. Interfaces without state are exempt."""
    for path in tree.cpp("include/"):
        text = tree.text(path)
        lines, code = text.split("\n"), code_of(text)
        for block in blocks_of(text):
            head = re.sub(r"^template\s*<.*>\s*(?=class\b)", "", block.head)
            if block.kind != "type" or not head.startswith("class "):
                continue
            body = code[block.body_start : block.body_end]
            if re.search(r"=\s*0\s*;", body) and not re.search(r"\w_(?:\[\w*\])?\s*(?:=[^;]*|\{[^;]*\})?;", body):
                continue
            comment, above = "", block.first_line - 2
            while above >= 0 and lines[above].lstrip().startswith("///"):
                comment = lines[above].strip()[3:].strip() + " " + comment
                above -= 1
            if not house.OWNERSHIP.match(comment):
                fix = "begin it with `Owned by one Worker.`, `Immutable.` or `Shared: <how>.`"
                yield Finding(path, block.first_line, "ownership", f"the comment above `{head[:40]}` names no owner: {fix}")


def machine_paths(tree):
    """Nothing of the machine it was written on."""
    for path in tree.paths:
        if Path(path).suffix in TEXT_SUFFIXES:
            for number, line in enumerate(tree.text(path).split("\n"), 1):
                match = house.MACHINE_PATH.search(line)
                if match:
                    yield Finding(path, number, "machine", f"`{match.group(0)}...` is a path of one machine: make it relative")


def root_files(tree):
    """The root holds what house_rules.py lists and folders."""
    for path in tree.paths:
        if "/" not in path and path not in house.ROOT_FILES:
            yield Finding(path, 1, "root", "no file of the root: remove it, or add it to ROOT_FILES in tests/tree/house_rules.py")


_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_PLACE = re.compile(r"`((?:src|include|tests|bench|cmake|config)/[\w./-]+\.\w+)(?::([A-Za-z_][\w:~]*))?(?:\(\))?`")


def links(tree):
    """Links and file:function references of the documents lead somewhere."""
    for path in tree.paths:
        if not path.endswith(".md") or not (path.startswith("docs/") or "/" not in path):
            continue
        text = _FENCE.sub(lambda m: "\n" * m.group(0).count("\n"), tree.text(path))
        for number, line in enumerate(text.split("\n"), 1):
            for target in _LINK.findall(re.sub(r"`[^`]*`", "`", line)):
                file = target.split("#")[0]
                if file and not re.match(r"[a-z]+:", file) and not (tree.root / path).parent.joinpath(file).exists():
                    yield Finding(path, number, "links", f"{target} leads nowhere: correct it, or add the file")
            for file, name in _PLACE.findall(line):
                if not (tree.root / file).exists():
                    yield Finding(path, number, "links", f"{file} does not exist: the text is behind the code")
                elif name and not re.search(rf"\b{re.escape(name.split('::')[-1])}\b", tree.text(file)):
                    yield Finding(path, number, "links", f"{file} has no {name}: the text is behind the code")


RULES = [layers, walls, purity, banned, sizes, names, ownership, machine_paths, root_files, links]


def exceptions(tree, findings, listing):
    """Takes out what tests/tree/allowed.txt allows; an exception that allows nothing is a finding."""
    allowed = {}
    for number, line in enumerate(tree.text(listing).split("\n"), 1):
        words = line.split(None, 2)
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 3:
            yield Finding(listing, number, "allowed", "an exception needs RULE PATH WHY: say why")
            continue
        allowed[(words[0], words[1])] = number
    used = set()
    for finding in findings:
        key = (finding.rule, finding.path)
        if key in allowed:
            used.add(key)
        else:
            yield finding
    for key in allowed.keys() - used:
        yield Finding(listing, allowed[key], "allowed", f"{key[0]} {key[1]} allows nothing any more: remove the line")


def check(tree, listing="tests/tree/allowed.txt"):
    findings = [finding for rule in RULES for finding in rule(tree)]
    return sorted(exceptions(tree, findings, listing))
