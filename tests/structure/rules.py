"""The rules of CONTRIBUTING.md that can be read from the text of the sources. Each yields offences."""

from typing import NamedTuple

import graph
import names

MAX_COLUMNS = 100
MAX_FILE_LINES = 500
LONG_FUNCTION_LINES = 50
TAB = 8


class Offence(NamedTuple):
    path: str
    line: int
    advice: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.advice}"


def shared_statics(tree):
    for name, found in names.shared_statics(tree).items():
        for source, function in found:
            others = sorted({s.path for s, _ in found} - {source.path})
            if function.static:
                yield Offence(source.path, function.first,
                    f"static {name}() stands in {', '.join(others)} too; give it a name of its own (noun_verb)")


def exports_off_file(tree):
    for source, function in names.exports_off_header(tree):
        yield Offence(source.path, function.first,
            f"exported {function.name}() must begin with {source.stem}_, or with the name of the header "
            "that declares it; rename it, or make it static")


def duplicate_includes(tree):
    """Two branches of an #if may each include a header."""
    for source in tree:
        seen = {}
        for include in source.includes:
            if include.spelt in seen:
                yield Offence(source.path, include.line,
                    f"{include.spelt} is included at line {seen[include.spelt]} already; delete this line")
            elif not include.conditional:
                seen[include.spelt] = include.line


def long_lines(tree):
    for source in tree:
        for number, line in enumerate(source.lines, 1):
            columns = len(line.expandtabs(TAB))
            if columns > MAX_COLUMNS:
                yield Offence(source.path, number,
                    f"the line has {columns} columns; break it before column {MAX_COLUMNS}")


def long_files(tree):
    for source in tree:
        if len(source.lines) > MAX_FILE_LINES:
            yield Offence(source.path, len(source.lines),
                f"the file has {len(source.lines)} lines; split it, {MAX_FILE_LINES} are the most")


def silent_files(tree):
    for source in tree:
        if tree.lacks_header(source) and not source.text.lstrip().startswith(("/*", "//")):
            yield Offence(source.path, 1,
                "the file has no header of its own; open it with a comment that says what it does")


def long_functions(tree):
    """No rule, a figure: rarely means now and then."""
    for source in tree:
        for function in source.functions:
            if function.lines > LONG_FUNCTION_LINES:
                yield Offence(source.path, function.first, f"{function.name}() has {function.lines} lines")


def floors_broken(tree, floors):
    for line, mistake in floors.mistakes:
        yield Offence(floors.path, line, mistake)
    folders = {source.folder for source in tree}
    for folder in sorted(floors.below.keys() - folders):
        yield Offence(floors.path, floors.line[folder], f"there are no sources in {folder}; drop the line")
    for folder in sorted(folders - floors.below.keys()):
        first = next(source for source in tree if source.folder == folder)
        yield Offence(first.path, 1, f"{folder} is not in {floors.path}; say there what it may include from")


def includes_upwards(tree, floors):
    for source in tree:
        if source.folder not in floors.below:
            continue
        allowed = floors.allowed(source.folder)
        for line, used in tree.included(source):
            if used.folder in floors.below and used.folder not in allowed:
                yield Offence(source.path, line,
                    f"{source.folder} may not include from {used.folder}; move the code, "
                    "or hand over what is needed")


def circles(tree):
    for circle in graph.circles(tree):
        first = circle.round[0]
        way = " > ".join(edge.user.rpartition("/")[2] for edge in (*circle.round, first))
        where = ", ".join(f"{edge.path}:{edge.line}" for edge in circle.round[1:])
        rest = sorted(set(circle.members) - {edge.user for edge in circle.round})
        more = f"; also in it: {', '.join(rest)}" if rest else ""
        yield Offence(first.path, first.line,
            f"circle of includes {way} (the way back: {where}); cut it{more}")


def all_offences(tree, floors):
    yield from shared_statics(tree)
    yield from exports_off_file(tree)
    yield from duplicate_includes(tree)
    yield from long_lines(tree)
    yield from long_files(tree)
    yield from silent_files(tree)
    yield from floors_broken(tree, floors)
    yield from includes_upwards(tree, floors)
    yield from circles(tree)
