#!/usr/bin/env python3
"""The container battery: recseal-probe on files of every kind that bridges and converters write.

  battery.py PROBE [--only WORD ...] [--control half] [--keep FOLDER]

Each kind (kinds.py) is made by a program of Debian, and judged in these forms:

  whole      as its program left it
  cut        its first 60 %
  zeros      the same, and zeros up to its old size: what a power loss leaves
  chained    another recording of the kind after it, whole
  reopened   another recording of the kind after it, without the head

A line is wrong when it says a length that is not that of the audio, to a frame of the codec; when it
says "ok" of what is not whole; and when it says nothing of what it should know. How much audio is in
a cut file is what ffmpeg decodes of it. Exits 1 when a line is wrong that is not a known fault.

--control half reports half of every length, as a probe would that believes the first half of a file:
the battery must then fail.
"""

import argparse
import math
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the source directory may be read-only

import payload  # noqa: E402
from kinds import KINDS, KNOWN_FAULTS  # noqa: E402
from probe_client import Probe  # noqa: E402

FIRST_S, SECOND_S = 3.217, 2.503  # no round numbers: what is rounded shows
CUT = 0.6
HEAD_S = 0.06  # of a head of 4 KiB, at 16 bits and 48 kHz
FORMS = ("whole", "cut", "zeros", "chained", "reopened")
WRITE_TIMEOUT_S = 60


def write_wav(path, rate, seconds, seed):
    """A tone with noise, so that no codec makes all frames equal."""
    frames = round(rate * seconds)
    noise, samples = seed, []
    for i in range(frames):
        noise = (noise * 1103515245 + 12345) & 0x7fffffff
        samples.append(int(9000 * math.sin(i * 2765 / rate)) + noise % 2001 - 1000)
    data = struct.pack(f"<{frames}h", *samples)
    with open(path, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt ")
        f.write(struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16))
        f.write(b"data" + struct.pack("<I", len(data)) + data)


class Workshop:
    """Makes the files, each once, in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.made = {}
        for take, seconds in ((1, FIRST_S), (2, SECOND_S)):
            write_wav(self.path(f"wav{take}.wav"), 48000, seconds, take)
            write_wav(self.path(f"phone{take}.wav"), 8000, seconds, take)

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self, kind, take):
        """The file of a kind, or None when its program is not there or does not write it."""
        if (kind.name, take) not in self.made:
            self.made[kind.name, take] = self.run(kind, take)
        return self.made[kind.name, take]

    def run(self, kind, take):
        out = self.path(f"{kind.name.replace('/', '-')}{take}.{kind.ext}")
        fields = {"wav": self.path(f"wav{take}.wav"), "phone": self.path(f"phone{take}.wav"), "out": out,
                  "seconds": FIRST_S if take == 1 else SECOND_S}
        if not shutil.which(kind.command.split()[0]):
            return None
        command = kind.command
        for needed in re.findall(r"\{made:([^}]+)\}", command):
            made = self.make(next(k for k in KINDS if k.name == needed), take)
            if made is None:
                return None
            command = command.replace("{made:%s}" % needed, made)
        done = subprocess.run(command.format(**fields), shell=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              timeout=WRITE_TIMEOUT_S, check=False)
        if done.returncode != 0 or not os.path.exists(out) or os.path.getsize(out) == 0:
            print(f"# {kind.name}: not written here: {done.stderr.decode(errors='replace').strip()[:200]}")
            return None
        return out

    def shape(self, kind, form):
        """The kind's file in a form, or None when it has none in that."""
        first, second = self.make(kind, 1), self.make(kind, 2)
        with open(first, "rb") as f:
            whole = f.read()
        with open(second, "rb") as f:
            other = f.read()
        kept = whole[:int(len(whole) * CUT)]
        if form == "reopened" and payload.start(other) is None:
            return None
        content = {"whole": whole, "cut": kept, "zeros": kept + bytes(len(whole) - len(kept)),
                   "chained": whole + other,
                   "reopened": whole + other[payload.start(other) or 0:]}[form]
        path = self.path(f"{form}-{os.path.basename(first)}")
        with open(path, "wb") as f:
            f.write(content)
        return path


def decoded_s(path):
    """The seconds that ffmpeg decodes of the file's first stream; None for what it does not open."""
    rate = 48000
    out = subprocess.run(["ffmpeg", "-nostdin", "-v", "quiet", "-i", path, "-map", "0:a:0", "-ac", "1",
                          "-ar", str(rate), "-f", "s16le", "-"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, timeout=WRITE_TIMEOUT_S, check=False).stdout
    return len(out) / 2 / rate if out else None


class Expectation:
    """What is right of one file: the conditions, the seconds, and whether they may be unknown."""

    def __init__(self, conditions, seconds, tolerance_s, unknown, silent=None):
        self.conditions, self.seconds = conditions, seconds
        self.tolerance_s, self.unknown = tolerance_s, unknown
        self.silent = silent  # "ok" and so many seconds are right, too

    def text(self):
        length = "?" if self.seconds is None else f"{self.seconds:.3f}"
        return ("/".join(self.conditions) + " " + length + (" or unknown" if self.unknown else "")
                + (f" or ok {self.silent:.3f}" if self.silent else ""))

    def fault(self, label):
        if self.silent and label.condition != "empty" and label.seconds is not None and \
                abs(label.seconds - self.silent) <= self.tolerance_s:
            return None
        if label.condition not in self.conditions:
            return "condition"
        if label.seconds is None:
            return None if self.unknown else "no length"
        if self.seconds is None:
            return "length of what cannot be known"
        return None if abs(label.seconds - self.seconds) <= self.tolerance_s else "wrong length"


def cut_seconds(kind, cut, whole):
    """What ffmpeg decodes of the cut file, put right by what it makes of the whole one: it drops more
    of the beginning than it should where a writer says so by mistake (GStreamer's Opus in MP4)."""
    seconds, all_seconds = decoded_s(cut), decoded_s(whole)
    if seconds is not None and all_seconds is not None:
        return seconds + FIRST_S - all_seconds, 2 * kind.tolerance_s
    # Nothing that it decodes: roughly as much of the time as of the bytes.
    return (FIRST_S * CUT, FIRST_S * 0.2) if kind.cut_s else (None, 0)


def expect(kind, form, workshop):
    if not kind.labelled:
        seconds = {"whole": FIRST_S}.get(form)
        return Expectation(("ok", "damaged", "unprobed"), seconds, kind.tolerance_s, True)
    if form == "whole":
        return Expectation(("ok",), FIRST_S, kind.tolerance_s, False)
    if form in ("cut", "zeros"):
        whole = workshop.make(kind, 1)
        seconds, slack = cut_seconds(kind, workshop.path(f"cut-{os.path.basename(whole)}"), whole)
        # Zeros are as good as a recording that became silent.
        silent = FIRST_S if form == "zeros" and kind.plain else None
        return Expectation(("damaged",), seconds, slack, not kind.cut_s, silent)
    # Appended: all of it, or damaged and not known. Never "ok" with the first part only. Where all bytes
    # are audio, the head between the two counts as such.
    slack = 2 * kind.tolerance_s + (HEAD_S if kind.plain else 0)
    return Expectation(("ok", "damaged"), FIRST_S + SECOND_S, slack, True)


def judge(kind, form, label, expectation):
    fault = expectation.fault(label)
    if fault is None and form in ("chained", "reopened") and label.condition == "ok" and \
            label.seconds is None and kind.labelled:
        fault = "ok, and no length"
    if fault is None and label.condition == "damaged" and label.recoverable_bytes == 0:
        fault = "nothing recoverable"
    return fault


class Table:
    def __init__(self):
        self.wrong = self.known = self.mended = self.right = 0
        print(f"{'kind':<28} {'form':<9} {'condition':<9} {'seconds':>8} {'bytes':>8}  "
              f"{'expected':<32} verdict")

    def row(self, kind, form, label, expectation, fault):
        known = form in KNOWN_FAULTS.get(kind.name, "").split()
        verdict = "right" if fault is None else f"WRONG: {fault}" if not known else f"known: {fault}"
        self.right += fault is None
        self.mended += fault is None and known
        self.known += fault is not None and known
        self.wrong += fault is not None and not known
        seconds = "unknown" if label.seconds is None else f"{label.seconds:.3f}"
        print(f"{kind.name:<28} {form:<9} {label.condition:<9} {seconds:>8} "
              f"{label.recoverable_bytes or '':>8}  {expectation.text():<32} {verdict}")

    def summary(self, skipped):
        print(f"{self.right} right, {self.wrong} wrong, {self.known} known faults"
              + (f", {self.mended} known faults that are mended: take them off the list" if self.mended else "")
              + (f"; not made here: {' '.join(skipped)}" if skipped else ""))


def run(probe, workshop, kinds, falsify):
    table, skipped = Table(), []
    for kind in kinds:
        if workshop.make(kind, 1) is None or workshop.make(kind, 2) is None:
            skipped.append(kind.name)
            continue
        for form in FORMS:
            path = workshop.shape(kind, form)
            if path is None:
                continue
            label = falsify(probe.ask(path))
            expectation = expect(kind, form, workshop)
            table.row(kind, form, label, expectation, judge(kind, form, label, expectation))
    table.summary(skipped)
    return table


def report_half(label):
    return label if label.seconds is None else label._replace(seconds=label.seconds / 2)


def parse_arguments():
    parser = argparse.ArgumentParser(description="recseal-probe on files of every kind")
    parser.add_argument("probe", help="the program recseal-probe")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD",
                        help="kinds with one of these words in their names")
    parser.add_argument("--control", choices=("half",), help="report half of every length")
    parser.add_argument("--keep", metavar="FOLDER", help="make the files there, and leave them")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    kinds = [k for k in KINDS
             if not arguments.only or any(word in k.name for word in arguments.only)]
    folder = arguments.keep or tempfile.mkdtemp(prefix="recseal-battery.")
    os.makedirs(folder, exist_ok=True)
    probe = Probe(arguments.probe)
    try:
        table = run(probe, Workshop(folder), kinds,
                    report_half if arguments.control else lambda label: label)
    finally:
        probe.close()
        if not arguments.keep:
            shutil.rmtree(folder)
    sys.exit(1 if table.wrong or not table.right + table.known else 0)


if __name__ == "__main__":
    main()
