"""Asks recseal-probe about files, over the wire of daemon/common/wire/probe_wire.h."""

import array
import os
import socket
import struct
import subprocess
from collections import namedtuple

SOCKET_FD = 3
TIMEOUT_MS = 30000
RESULT = struct.Struct("<4sIIIIIQ32s96sQ")
CONDITIONS = ("ok", "damaged", "empty", "unprobed")
FRAMES_UNKNOWN = (1 << 64) - 1

Label = namedtuple("Label", "condition seconds channels rate format damage recoverable_bytes")


def text_of(field):
    return field.split(b"\0")[0].decode("ascii")


def label_of(record):
    _, _, _, condition, channels, rate, frames, kind, damage, recoverable = RESULT.unpack(record)
    known = frames != FRAMES_UNKNOWN and rate > 0
    return Label(CONDITIONS[condition], frames / rate if known else None, channels, rate,
                 text_of(kind), text_of(damage), recoverable)


class Probe:
    """A running recseal-probe. One question at a time."""

    def __init__(self, program):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        os.set_inheritable(theirs.fileno(), True)
        # dup2() in the child gives it the descriptor that it expects, and nothing else.
        self.process = subprocess.Popen([program], pass_fds=(theirs.fileno(), SOCKET_FD),
                                        preexec_fn=lambda: os.dup2(theirs.fileno(), SOCKET_FD))
        theirs.close()
        self.socket = ours
        self.job = 0

    def ask(self, path):
        self.job += 1
        with open(path, "rb") as f:
            fds = array.array("i", [f.fileno()])
            self.socket.sendmsg([struct.pack("<II", self.job, TIMEOUT_MS)],
                                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        record = self.socket.recv(RESULT.size + 1)
        if len(record) != RESULT.size:
            raise RuntimeError("recseal-probe ended")
        return label_of(record)

    def close(self):
        self.socket.close()
        self.process.wait()
