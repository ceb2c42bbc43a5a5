#!/usr/bin/env python3
"""Holds the source tree against the rules of CONTRIBUTING.md, or measures it.

check    one line per offence, "file:line: what to do"; 1 when there are any
figures  what there is, for comparing two states of the tree
"""

import argparse
import os
import sys

sys.dont_write_bytecode = True  # the source directory may be read-only

import figures  # noqa: E402
import graph  # noqa: E402
import rules  # noqa: E402
import source  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("check", "figures"))
    parser.add_argument("--root", default=os.path.join(HERE, "..", ".."), help="of the source tree")
    parser.add_argument("--floors", default=os.path.join(HERE, "floors"), help="which folder stands on which")
    return parser.parse_args()


def check(tree, floors):
    offences = sorted(rules.all_offences(tree, floors))
    for offence in offences:
        print(offence)
    if not tree.sources:
        print(f"no sources below {tree.root}; give the root of the tree with --root")
    return 1 if offences or not tree.sources else 0


def main():
    args = parse()
    tree = source.Tree(args.root)
    if args.mode == "figures":
        figures.print_all(tree)
        return 0
    return check(tree, graph.Floors(args.floors))


if __name__ == "__main__":
    sys.exit(main())
