#!/usr/bin/env python3
"""Line coverage of a build with --coverage: coverage.py BUILD-DIR [FILES]

Runs gcov over the build's object files and prints lines and covered lines per folder, then the FILES (default 20)
source files with the most lines that were never run, then the total. A line counts once, whichever objects it is in,
and is covered when any of them ran it. Tests do not count.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile

NOT_OURS = ("tests/", "build")


def object_notes(build):
    """The .gcno file of every object that is not a test's."""
    for folder, folders, files in os.walk(build):
        folders[:] = sorted(f for f in folders if f != "tests" and not f.startswith("recseal-"))
        for name in sorted(files):
            if name.endswith(".gcno"):
                yield os.path.abspath(os.path.join(folder, name))


def reports(build, notes):
    """What gcov says of each object, as JSON. gcov writes its files into the working directory."""
    with tempfile.TemporaryDirectory() as folder:
        for note in notes:
            run = subprocess.run(["gcov", "--json-format", "--stdout", note], cwd=folder, capture_output=True)
            if run.returncode != 0:
                sys.exit(f"coverage: gcov {note}: {run.stderr.decode(errors='replace').strip()}")
            out = run.stdout
            if out[:2] == b"\x1f\x8b":
                out = gzip.decompress(out)
            for line in out.splitlines():
                if line.strip():
                    yield json.loads(line)


def gather(top, build):
    """{source file: {line: times run}}"""
    sources = {}
    for report in reports(build, object_notes(build)):
        base = report["current_working_directory"]
        for entry in report["files"]:
            path = os.path.relpath(os.path.realpath(os.path.join(base, entry["file"])), top)
            if path.startswith("..") or path.startswith(NOT_OURS):
                continue
            lines = sources.setdefault(path, {})
            for line in entry["lines"]:
                number = line["line_number"]
                lines[number] = max(lines.get(number, 0), line["count"])
    return sources


def counts(lines):
    return len(lines), sum(1 for times in lines.values() if times > 0)


def percent(all_lines, covered):
    return 100.0 * covered / all_lines if all_lines else 100.0


def print_folders(sources):
    folders = {}
    for path, lines in sources.items():
        n, covered = counts(lines)
        row = folders.setdefault(os.path.dirname(path), [0, 0, 0])
        row[0] += 1
        row[1] += n
        row[2] += covered
    print(f"{'folder':<26} {'files':>5} {'lines':>6} {'covered':>7} {'%':>6}")
    for folder, (files, n, covered) in sorted(folders.items()):
        print(f"{folder:<26} {files:>5} {n:>6} {covered:>7} {percent(n, covered):>6.1f}")


def print_least_covered(sources, limit):
    rows = [(n - covered, n, covered, path) for path, (n, covered) in ((p, counts(l)) for p, l in sources.items())]
    rows = sorted((row for row in rows if row[0] > 0), key=lambda row: (-row[0], row[3]))[:limit]
    print(f"\n{'the most lines never run':<46} {'never':>5} {'lines':>6} {'%':>6}")
    for never, n, covered, path in rows:
        print(f"{path:<46} {never:>5} {n:>6} {percent(n, covered):>6.1f}")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.strip())
    build = sys.argv[1]
    top = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
    sources = gather(top, build)
    if not sources:
        sys.exit(f"coverage: no object in {build} was compiled with --coverage")
    print_folders(sources)
    print_least_covered(sources, int(sys.argv[2]) if len(sys.argv) == 3 else 20)
    n = sum(counts(lines)[0] for lines in sources.values())
    covered = sum(counts(lines)[1] for lines in sources.values())
    print(f"\ntotal: {covered} of {n} lines, {percent(n, covered):.1f} %")


if __name__ == "__main__":
    main()
