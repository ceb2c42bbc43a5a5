"""Where the audio of a file begins: what a writer appends that opens the file again and goes on."""

import struct


def riff(data):
    at = data.find(b"data", 12)
    return at + 8 if at > 0 else None


def w64(data):
    at = data.find(b"data\xf3\xac\xd3\x11")
    return at + 24 if at > 0 else None


def aiff(data):
    at = data.find(b"SSND")
    return at + 16 if at > 0 else None


def au(data):
    return struct.unpack(">I", data[4:8])[0]


def caf(data):
    at = data.find(b"data", 8)
    return at + 16 if at > 0 else None


def flac(data):
    at, last = 4, False
    while not last:
        head = struct.unpack(">I", data[at:at + 4])[0]
        last = bool(head >> 31)
        at += 4 + (head & 0xffffff)
    return at


def ogg(data):
    """Behind the pages of the head, in which nothing has been played yet."""
    at = 0
    while data[at:at + 4] == b"OggS" and data[at + 6:at + 14] == bytes(8):
        segments = data[at + 26]
        at += 27 + segments + sum(data[at + 27:at + 27 + segments])
    return at


def mp3(data):
    """Behind the tag of ID3 and the frame that holds the length: frames of media begin alike."""
    at = 0
    if data[:3] == b"ID3":
        a, b, c, d = data[6:10]
        at = 10 + (a << 21 | b << 14 | c << 7 | d)
    if any(tag in data[at:at + 200] for tag in (b"Xing", b"Info")):
        following = data.find(data[at:at + 2], at + 4)
        return following if following > 0 else None
    return at


def matroska(data):
    at = data.find(b"\x1f\x43\xb6\x75")
    return at if at > 0 else None


def boxes(data):
    return struct.unpack(">I", data[:4])[0]


KINDS = ((b"RIFF", riff), (b"RF64", riff), (b"riff", w64), (b"FORM", aiff), (b".snd", au), (b"caff", caf),
         (b"fLaC", flac), (b"OggS", ogg), (b"ID3", mp3), (b"\xff", mp3), (b"\x1a\x45\xdf\xa3", matroska))


def start(data):
    """None for a kind of file of which it is not known."""
    if data[4:8] == b"ftyp":
        return boxes(data)
    for magic, find in KINDS:
        if data.startswith(magic):
            return find(data)
    return None
