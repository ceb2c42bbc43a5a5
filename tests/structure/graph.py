"""Who includes whom: modules of files, circles among them, and the floors the folders are."""

import re
from collections import Counter, defaultdict
from typing import NamedTuple

PROGRAM_TREES = (
    "base", "crypto", "storage", "cli",
    "daemon/common", "daemon/intake", "daemon/keeper", "daemon/probe",
)


class Edge(NamedTuple):
    """One #include: where it stands, and the modules it joins."""

    path: str
    line: int
    user: str
    used: str


def program_tree(path):
    return next((t for t in PROGRAM_TREES if path.startswith(t + "/")), None)


def home_of_part(tree, source):
    """foo_part.c without a header of its own belongs to the header that declares most of what it exports."""
    votes = Counter(
        header.sibling("")
        for function in source.exports
        for header in tree.headers_of(source, function.name)
        if program_tree(header.path) == program_tree(source.path)
    )
    return votes.most_common(1)[0][0] if votes else source.sibling("")


def home_of_inside(tree, source):
    """foo_part.h without a .c of its own is the inside of foo.h beside it."""
    stem = source.stem
    while "_" in stem:
        stem = stem.rpartition("_")[0]
        outside = f"{source.folder}/{stem}"
        if tree.get(outside + ".h"):
            return outside
    return source.sibling("")


def modules(tree):
    """Path to module: foo.c and foo.h are one, daemon/.../foo; a part belongs to its header's."""
    homes = {}
    for source in tree:
        own = source.sibling("")
        alone = not source.is_code and source.sibling(".c") not in tree.sources
        homes[source.path] = home_of_inside(tree, source) if alone else own
    for source in tree:
        if tree.lacks_header(source):
            home = home_of_part(tree, source)
            homes[source.path] = homes.get(home + ".h", home)
    return homes


def edges_of(tree):
    """The includes that join two modules of one program."""
    homes = modules(tree)
    found = []
    for source in tree:
        for line, included in tree.included(source):
            user, used = homes[source.path], homes[included.path]
            if user != used and program_tree(included.path) == program_tree(source.path):
                found.append(Edge(source.path, line, user, used))
    return found


def components(arcs):
    """Tarjan's strongly connected components of more than one node; arcs: node to set of nodes."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(arcs.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(arcs):
        if node not in index:
            visit(node)
    return sorted((c for c in found if len(c) > 1), key=lambda c: (-len(c), c))


def shortest_round(arcs, members):
    """The shortest way from a node of a circle back to it, as a list of nodes."""
    best = None
    for start in members:
        ways, seen = [[start]], {start}
        while ways:
            way = ways.pop(0)
            if start in arcs[way[-1]]:
                if best is None or len(way) < len(best):
                    best = way
                break
            for node in sorted(arcs[way[-1]] & set(members) - seen):
                seen.add(node)
                ways.append(way + [node])
    return best


class Circle(NamedTuple):
    tree: str
    members: list  # modules
    round: list  # the shortest way round, of Edge
    edges: list  # all between members


def circles(tree):
    edges = edges_of(tree)
    arcs = defaultdict(set)
    for edge in edges:
        arcs[edge.user].add(edge.used)
    found = []
    for members in components(dict(arcs)):
        inside = [e for e in edges if e.user in members and e.used in members]
        way = shortest_round(arcs, members)
        steps = list(zip(way, way[1:] + way[:1]))
        way_edges = [next(e for e in inside if (e.user, e.used) == step) for step in steps]
        found.append(Circle(program_tree(members[0] + ".c"), members, way_edges, inside))
    return found


class Floors:
    """The file of that name: "folder: folders right below it". A folder may include from itself, from
    those, and from what those may include from."""

    def __init__(self, path):
        self.path = path
        self.below = {}
        self.line = {}
        self.mistakes = []  # (line, text)
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                self._read(number, line.partition("#")[0].strip())
        self._check()

    def _read(self, number, line):
        match = re.fullmatch(r"([\w/]+):((?:\s+[\w/]+)*)", line)
        if not line:
            return
        if not match:
            self.mistakes.append((number, 'write "folder: folders it may include from"'))
        elif match.group(1) in self.below:
            self.mistakes.append((number, f"{match.group(1)} has a line already; join the two"))
        else:
            self.below[match.group(1)] = set(match.group(2).split())
            self.line[match.group(1)] = number

    def _check(self):
        for folder, below in self.below.items():
            for other in sorted(below - self.below.keys()):
                self.mistakes.append((self.line[folder], f"{other} has no line of its own; add it"))
        for ring in components(self.below):
            self.mistakes.append((self.line[ring[0]], f"{', '.join(ring)} are above each other; order them"))

    def allowed(self, folder):
        reached, ahead = {folder}, [folder]
        while ahead:
            for other in self.below.get(ahead.pop(), ()):
                if other not in reached:
                    reached.add(other)
                    ahead.append(other)
        return reached
