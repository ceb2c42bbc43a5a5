"""C source read as text. clang-format puts the braces of a function at column 0, so no parser is needed."""

import os
import re
from typing import NamedTuple

CODE = ("base", "crypto", "storage", "daemon", "cli")
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
STEP = re.compile(r'^[ \t]*#[ \t]*(?:(if|endif)|include[ \t]+(["<][^">\n]+[">]))', re.M)
ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")
NAME = re.compile(r"(\w+)\s*\(")
BRACES = re.compile(r"\{[^{}]*\}")


class Include(NamedTuple):
    line: int
    spelt: str  # with its quotes or angles
    conditional: bool  # inside an #if


class Function(NamedTuple):
    name: str
    static: bool
    first: int  # of its lines, the signature's
    brace: int
    last: int

    @property
    def lines(self):
        return self.last - self.first + 1

    @property
    def body(self):
        return range(self.brace + 1, self.last)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def split_comments(text):
    """The text without comments, the same without strings too, and the numbers of the lines with comments."""
    commented = set()

    def drop(keep_strings):
        def replace(match):
            token = match.group()
            if token[0] != "/":
                return token if keep_strings else token[0] + blank(token[1:-1]) + token[0]
            line = text.count("\n", 0, match.start()) + 1
            commented.update(range(line, line + token.count("\n") + 1))
            return blank(token)

        return TOKEN.sub(replace, text)

    return drop(True), drop(False), commented


def find_includes(code):
    depth, found = 0, []
    for step in STEP.finditer(code):
        word, spelt = step.groups()
        if spelt:
            found.append(Include(code.count("\n", 0, step.start(2)) + 1, spelt, depth > 0))
        else:
            depth += 1 if word == "if" else -1
    return found


def declared_name(signature):
    match = NAME.search(ATTRIBUTE.sub(" ", signature))
    return match.group(1) if match else None


def find_functions(bare):
    lines = bare.split("\n")
    found = []
    for at, line in enumerate(lines):
        if line.rstrip() != "{":
            continue
        first = at
        while first > 0 and lines[first - 1].strip() and lines[first - 1].rstrip()[-1] not in ";}":
            first -= 1
        signature = " ".join(lines[first:at])
        last = next((i for i in range(at, len(lines)) if lines[i].startswith("}")), len(lines) - 1)
        static = re.search(r"\bstatic\b", ATTRIBUTE.sub(" ", signature).split("(")[0]) is not None
        name = declared_name(signature)
        if name:
            found.append(Function(name, static, first + 1, at + 1, last + 1))
    return found


def find_declarations(bare):
    """Names of the functions that a header declares for others to define."""
    while BRACES.search(bare):
        bare = BRACES.sub(";", bare)
    statements = [s for s in bare.split(";") if not re.match(r"\s*(static|typedef)\b", s)]
    return {name for name in map(declared_name, statements) if name}


class Source:
    """One file. Its path is from the root of the tree, with slashes."""

    def __init__(self, root, path):
        self.path = path
        self.folder, self.file = os.path.split(path)
        self.stem, self.kind = os.path.splitext(self.file)
        with open(os.path.join(root, path), encoding="utf-8") as file:
            self.text = file.read()
        self.lines = self.text.splitlines()
        code, bare, self.commented = split_comments(self.text)
        bare = DIRECTIVE.sub(lambda match: blank(match.group()), bare)
        self.includes = find_includes(code)
        self.functions = find_functions(bare)
        self.declares = find_declarations(bare) if self.kind == ".h" else set()

    @property
    def is_code(self):
        return self.kind == ".c"

    @property
    def exports(self):
        if not self.is_code:
            return []
        return [f for f in self.functions if not f.static and f.name != "main"]

    def sibling(self, kind):
        return self.path[: -len(self.kind)] + kind

    def mentions(self, words):
        return re.search(rf"\b{words}\b", self.text) is not None

    def defines(self, record):
        return re.search(rf"^{record} {{$", self.text, re.M) is not None


class Tree:
    """All code below a root: tests are none, and what the build makes lies in the build directory."""

    def __init__(self, root):
        self.root = root
        self.sources = {}
        for top in CODE:
            for folder, folders, files in os.walk(os.path.join(root, top)):
                folders.sort()
                for name in sorted(files):
                    if name.endswith((".c", ".h")):
                        path = os.path.relpath(os.path.join(folder, name), root)
                        self.sources[path] = Source(root, path)

    def __iter__(self):
        return iter(self.sources.values())

    def get(self, path):
        return self.sources.get(path)

    def included(self, source):
        """(line, source) for every include of a file of the tree, however it is spelt."""
        found = []
        for include in source.includes:
            path = include.spelt[1:-1]
            beside = os.path.normpath(os.path.join(source.folder, path))
            used = self.sources.get(path) or self.sources.get(beside)
            if used:
                found.append((include.line, used))
        return found

    def headers_of(self, source, name):
        """The headers that declare a function for the file that defines it."""
        return [used for used in self.reached(source) if name in used.declares]

    def reached(self, source):
        """The files that a file includes, itself or through others."""
        found, ahead = {}, [source]
        while ahead:
            for _, used in self.included(ahead.pop()):
                if used.path not in found:
                    found[used.path] = used
                    ahead.append(used)
        return found.values()

    def lacks_header(self, source):
        return source.is_code and source.sibling(".h") not in self.sources
