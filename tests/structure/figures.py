"""The figures that are compared from one state of the tree to the next."""

from collections import Counter, defaultdict

import graph
import names
import rules


def heading(text):
    print(f"\n{text}")


def top_folder(source):
    parts = source.folder.split("/")
    return "/".join(parts[:2] if parts[0] == "daemon" else parts[:1])


def percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


def print_folders(tree):
    heading("Files per folder (.c, .h)")
    counts = Counter((s.folder, s.kind) for s in tree)
    for folder in sorted({s.folder for s in tree}):
        print(f"  {folder:28} {counts[folder, '.c']:4} {counts[folder, '.h']:4}")
    print(f"  {'all':28} {sum(s.is_code for s in tree):4} {sum(not s.is_code for s in tree):4}")


def print_knowledge(tree):
    heading("Files that know a record")
    for record, folder in (("struct vault", "daemon/keeper/"), ("struct config", "")):
        files = [s for s in tree if s.path.startswith(folder)]
        code = [s for s in files if s.is_code]
        homes = {s.path for s in tree if s.defines(record)}
        reach = sum(any(used.path in homes for used in (s, *tree.reached(s))) for s in code)
        where = folder or "all code"
        print(f"  {record}: {reach} of {len(code)} .c files of {where} include its definition, directly or not")
        for kind, group in ((".c", code), (".c and .h", files)):
            print(f"  {record}: {sum(s.mentions(record) for s in group)} of {len(group)} {kind} files of "
                f"{where} mention it")


def print_statics(tree):
    shared = names.shared_statics(tree)
    code = {name: [(s, f) for s, f in found if f.static and s.is_code] for name, found in shared.items()}
    heading(f"Static names in two .c files or more: {sum(map(names.in_two_files, code.values()))}; "
        f"with inline functions of headers and with exported names: {len(shared)}")
    for name, found in sorted(shared.items(), key=lambda item: (-len(item[1]), item[0])):
        print(f"  {name} {len(found)}: {' '.join(s.path for s, _ in found)}")


def print_exports(tree):
    strict, lenient = names.exports_off_file(tree), names.exports_off_header(tree)
    heading(f"Exported functions: {len(names.exports(tree))}; not named for their file: {len(strict)}, "
        f"nor for their header: {len(lenient)} (marked *)")
    by_file = defaultdict(list)
    for source, function in strict:
        mark = "*" if (source, function) in lenient else ""
        by_file[source.path].append(function.name + mark)
    for path, found in by_file.items():
        print(f"  {path}: {' '.join(found)}")


def print_comments(tree):
    heading("Lines with comments in bodies of functions, of those that are not blank")
    comments, filled = Counter(), Counter()
    for source in tree:
        for number in (n for f in source.functions for n in f.body):
            if source.lines[number - 1].strip():
                for group in (top_folder(source), "all"):
                    filled[group] += 1
                    comments[group] += number in source.commented
    for group in sorted(filled, key=lambda name: (name == "all", name)):
        share = percent(comments[group], filled[group])
        print(f"  {group:28} {comments[group]:5} of {filled[group]:5}  {share}")


def print_offences(title, offences):
    offences = list(offences)
    heading(f"{title}: {len(offences)}")
    for offence in offences:
        print(f"  {offence.path}:{offence.line}")


def print_silent(tree):
    alone = sum(tree.lacks_header(source) for source in tree)
    silent = list(rules.silent_files(tree))
    heading(f".c files without a header of their own: {alone}; of them without an opening comment: {len(silent)}")
    for offence in silent:
        print(f"  {offence.path}")


def print_functions(tree):
    sizes = sorted(f.lines for s in tree for f in s.functions)
    long = list(rules.long_functions(tree))
    heading(f"Functions: {len(sizes)}, median {sizes[len(sizes) // 2] if sizes else 0} lines; "
        f"over {rules.LONG_FUNCTION_LINES} lines: {len(long)}")
    for offence in long:
        print(f"  {offence}")


def print_circles(tree):
    circles = graph.circles(tree)
    heading(f"Circles of includes among the modules of a program: {len(circles)}")
    for circle in circles:
        print(f"  {circle.tree}, {len(circle.members)}: "
            + " ".join(m.removeprefix(circle.tree + "/") for m in circle.members))
        for edge in circle.edges:
            print(f"    {edge.path}:{edge.line} uses {edge.used.removeprefix(circle.tree + '/')}")


def print_all(tree):
    print_folders(tree)
    print_knowledge(tree)
    print_statics(tree)
    print_exports(tree)
    print_comments(tree)
    print_silent(tree)
    print_offences(f"Lines over {rules.MAX_COLUMNS} columns", rules.long_lines(tree))
    print_offences("Headers included twice by a file", rules.duplicate_includes(tree))
    print_functions(tree)
    print_offences(f"Files over {rules.MAX_FILE_LINES} lines", rules.long_files(tree))
    print_circles(tree)
