"""A conference on a real Janus: three plain RTP participants in an AudioBridge room that is recorded.

    janus-room.py API ROOM FOLDER hold SECONDS    they talk, leave, and the room is closed
    janus-room.py API ROOM FOLDER kill PID        each participant's stream is recorded as well, and Janus is killed with
                                                  SIGKILL in the middle of it
    janus-room.py API ROOM FOLDER check FILE      is there speech in this WAV file?

API is Janus's Unix socket; recordings go to FOLDER. Prints how long the room had participants, in seconds, or for `check`
how much of the file is loud, from 0 to 1.
"""
import array
import json
import os
import signal
import socket
import subprocess
import sys
import time
import wave

SOUNDS = "/usr/share/asterisk/sounds/en_US_f_Allison/"
ENOUGH_BYTES = 33000  # of each file before the kill: Janus writes streams in pieces of 4 KiB
RTP_HEADER_BYTES = 12
G711_BYTES = 160
LOUD = 500
WINDOW = 800  # samples
# codec, what is said, and how ffmpeg speaks it
PARTICIPANTS = [
    ("opus", "demo-congrats.wav", ["-c:a", "libopus", "-ar", "48000", "-ac", "2", "-payload_type", "100"]),
    ("pcma", "demo-instruct.wav", ["-c:a", "pcm_alaw", "-ar", "8000", "-ac", "1"]),
    ("pcmu", "demo-echotest.wav", ["-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"]),
]


class Janus:
    """Its JSON API, one request after the other."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.count = 0
        self.session = {}
        self.session = {"session_id": self.call(janus="create")["data"]["id"]}

    def call(self, **message):
        self.count += 1
        message.update(self.session, transaction=str(self.count))
        self.socket.send(json.dumps(message).encode())
        while True:
            reply = json.loads(self.socket.recv(65536))
            if reply.get("transaction") == str(self.count) and reply["janus"] != "ack":
                break
        data = reply.get("plugindata", {}).get("data", {})
        if reply["janus"] == "error" or "error" in data:
            sys.exit(f"janus refuses {message}: {reply}")
        return reply

    def attach(self):
        return self.call(janus="attach", plugin="janus.plugin.audiobridge")["data"]["id"]

    def ask(self, handle, **body):
        return self.call(janus="message", handle_id=handle, body=body)["plugindata"]["data"]


def free_ports():
    """Two that follow each other, for RTP and RTCP."""
    while True:
        first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        with first, second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                pass


def join(janus, room, codec, sound, encoding, how_long):
    """Janus takes packets only from where it is told to send its own to, and of G.711 only those of 20 ms."""
    port = free_ports()
    rtp = {"ip": "127.0.0.1", "port": port}
    if codec == "opus":
        rtp["payload_type"] = 100
    handle = janus.attach()
    data = janus.ask(handle, request="join", room=room, codec=codec, display=codec, rtp=rtp)
    to = f"rtp://127.0.0.1:{data['rtp']['port']}?localrtpport={port}&localrtcpport={port + 1}"
    if codec != "opus":
        to += f"&pkt_size={RTP_HEADER_BYTES + G711_BYTES}"
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-re", *how_long, "-i", SOUNDS + sound, *encoding, "-f", "rtp", to]
    return handle, subprocess.Popen(command, stdout=subprocess.DEVNULL)


def kill_when_written(folder, pid):
    """One recording of the room and one of each participant, all of them well under way."""
    while True:
        sizes = [entry.stat().st_size for entry in os.scandir(folder) if entry.is_file()]
        if len(sizes) == len(PARTICIPANTS) + 1 and min(sizes) >= ENOUGH_BYTES:
            break
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)


def confer(api, room, folder, mode, value):
    janus = Janus(api)
    admin = janus.attach()
    streams = {"mjrs": True, "mjrs_dir": folder} if mode == "kill" else {}
    janus.ask(admin, request="create", room=room, sampling_rate=16000, allow_rtp_participants=True, record=True,
              record_dir=folder, **streams)
    how_long = ["-stream_loop", "-1"] if mode == "kill" else ["-t", value]
    start = time.monotonic()
    present = [join(janus, room, *participant, how_long) for participant in PARTICIPANTS]
    if mode == "kill":
        kill_when_written(folder, int(value))
        for _, speaker in present:
            speaker.kill()
            speaker.wait()
    else:
        for handle, speaker in present:
            if speaker.wait() != 0:
                sys.exit("ffmpeg does not speak")
        for handle, _ in present:
            janus.ask(handle, request="leave")
        janus.ask(admin, request="destroy", room=room)
    print(time.monotonic() - start)


def loudness(path):
    with wave.open(path) as recording:
        samples = array.array("h", recording.readframes(recording.getnframes()))
    windows = [max(map(abs, samples[i:i + WINDOW])) for i in range(0, len(samples), WINDOW)]
    print(sum(peak > LOUD for peak in windows) / max(len(windows), 1))


def main():
    api, room, folder, mode, value = sys.argv[1:]
    if mode == "check":
        loudness(value)
    else:
        confer(api, int(room), folder, mode, value)


main()
