"""Names of functions: whose they are, and which stand in more than one file."""

from collections import defaultdict


def begins_with(name, prefixes):
    return any(name == prefix or name.startswith(prefix + "_") for prefix in prefixes)


def header_prefixes(stem):
    """Of a header: its name, in singular and plural, and what it is the inside of."""
    stem = stem.removesuffix("_internal")
    forms = {stem, stem + "s"}
    if stem.endswith("ies"):
        forms.add(stem[:-3] + "y")
    elif stem.endswith("s"):
        forms.add(stem[:-1])
    elif stem.endswith("y"):
        forms.add(stem[:-1] + "ies")
    return forms


def named_for_file(source, name):
    return begins_with(name, {source.stem})


def named_for_header(tree, source, name):
    headers = tree.headers_of(source, name)
    return any(begins_with(name, header_prefixes(header.stem)) for header in headers)


def exports(tree):
    return [(source, function) for source in tree for function in source.exports]


def exports_off_file(tree):
    return [(s, f) for s, f in exports(tree) if not named_for_file(s, f.name)]


def exports_off_header(tree):
    return [(s, f) for s, f in exports_off_file(tree) if not named_for_header(tree, s, f.name)]


def in_two_files(found):
    return len({source.path for source, _ in found}) > 1


def shared_statics(tree):
    """Name to [(source, function)], for every static name that stands in several files, be it as a static
    function there too, as an inline one of a header, or as an exported one."""
    places = defaultdict(list)
    for source in tree:
        for function in source.functions:
            if function.name != "main":
                places[function.name].append((source, function))
    return {
        name: found
        for name, found in sorted(places.items())
        if in_two_files(found) and any(f.static for _, f in found)
    }
