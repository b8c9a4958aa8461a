#!/usr/bin/python3
"""A session of timtow and one of Python's wsproto get the same bytes, in the same reads:

  differential.py PROGRAM [--cases N] [--minutes M] [--seed S] [--deflate]

PROGRAM is session_events.cpp. Both have to tell the same messages, pings and pongs, and to end alike:
by the peer's close frame, with its code and reason, or by a fault, with the same code. Where they
may differ is what DIFFERENCES says, each with its reason.

A case is a stream of frames that is right but for some of them: the structure is changed, and not
only bytes, so that most of it gets deep. The same seed makes the same cases.
"""

import argparse
import random
import struct
import subprocess
import sys
import time
import zlib

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

# -- Where they differ ----------------------------------------------------------------------------


def knows_1014(case, ours, theirs, program):
    """1014 (bad gateway) is registered with IANA, and wsproto does not know it."""
    return (theirs[-1:] == [("failed", 1002)] and ours[:-1] == theirs[:-1]
            and "unknown reserved code" in case.reason
            and (ours[-1][:2] == ("closed", 1014) or ours[-1] == ("failed", 1007)))


def finds_it_earlier(case, ours, theirs, program):
    """A header is judged when its first two bytes are there, wherever the input ends; wsproto waits
    for the rest of the header, and for a first byte of payload. And a surrogate (ED A0 to ED BF) is
    bad at its second byte, where Python's decoder waits for the third, with control frames between
    perhaps, or a fault. When more comes, it fails as well."""
    if ours[-1:] not in ([("failed", 1002)], [("failed", 1007)]):
        return False
    if ours[-1:] == [("failed", 1007)] and theirs[-1:] == [("failed", 1002)]:
        return waits_where_ours_fails(case, ours, program)
    more = theirs if theirs[-1:] == ours[-1:] else case.wsproto(padding=PADDING)
    before = len(ours) - 1
    return (more[:before] == ours[:-1] and more[-1] == ours[-1]
            and all(each[0] in ("ping", "pong") for each in more[before:-1]))


def waits_where_ours_fails(case, ours, program):
    """Whether wsproto has nothing against the bytes up to the one that ours fails at."""
    reads, good, bad = case.reads, 0, len(case.wire)
    while bad - good > 1:
        middle = (good + bad) // 2
        case.reads = [case.wire[:middle]]
        if ours_of(program, [case])[0] == ours:
            bad = middle
        else:
            good = middle
    case.reads = [case.wire[:bad]]
    theirs = case.wsproto()
    case.reads = reads
    return theirs == ours[:-1]


def finds_it_later(case, ours, theirs, program):
    """The length is judged when the masking key is there, and wsproto does it before that."""
    if theirs[-1:] != [("failed", 1002)] or theirs[:-1] != ours:
        return False
    reads, case.reads = case.reads, [*case.reads, PADDING]
    more = ours_of(program, [case])[0]
    case.reads = reads
    return more == theirs


PADDING = b"\1" * 400
DIFFERENCES = (knows_1014, finds_it_earlier, finds_it_later)

# What is not tried, for wsproto 1.2 is known to be wrong there: a control frame between the fragments
# of a compressed message (it takes what follows for not compressed), and DEFLATE data that is broken
# or has something behind its end.

# -- Cases ----------------------------------------------------------------------------------------


class Frame:
    def __init__(self, opcode, payload=b"", fin=True, rsv=0):
        self.opcode, self.payload, self.fin, self.rsv = opcode, payload, fin, rsv
        self.masked = None  # as the role has it
        self.form = None  # of the length: 7, 16 or 64 bits; None is the shortest
        self.announced = None  # in place of the payload's length

    def encode(self, masks, key):
        masked = masks if self.masked is None else self.masked
        length = len(self.payload) if self.announced is None else self.announced
        form = self.form or (7 if length < 126 else 16 if length < 1 << 16 else 64)
        bits = 0x80 if masked else 0
        first = (0x80 if self.fin else 0) | self.rsv << 4 | self.opcode
        if form == 7:
            header = bytes([first, bits | min(length, 125)])
        elif form == 16:
            header = bytes([first, bits | 126]) + struct.pack("!H", length & 0xFFFF)
        else:
            header = bytes([first, bits | 127]) + struct.pack("!Q", length & (1 << 64) - 1)
        if not masked:
            return header + self.payload
        size = len(self.payload)
        stream = (key * (size // 4 + 1))[:size]
        text = int.from_bytes(self.payload, "big") ^ int.from_bytes(stream, "big")
        return header + key + text.to_bytes(size, "big")


CHARACTERS = ["a", "\0", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff",
              "\U00010000", "\U0010ffff", "\u20ac"]
NOT_UTF_8 = [b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xed\xa0\x80",
             b"\xed\xbf\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
             b"\xf5\x80\x80\x80", b"\xfe", b"\xff", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc3"]
CODES = [0, 1, 999, *range(1000, 1018), 1999, 2000, 2999, 3000, 3999, 4000, 4999, 5000, 65535]
SIZES = [0, 0, 1, 1, 2, 3, 7, 20, 100, 124, 125, 126, 127, 128, 300, 1000, 4096]
LARGE = [65_535, 65_536, 70_000]


class Case:
    def __init__(self, number, seed, deflate):
        self.name = f"seed {seed}, case {number}"
        self.random = random.Random(f"{seed} {number}")
        self.client = self.random.random() < 0.4
        self.deflate = deflate and self.random.random() < 0.7
        frames = self.stream()
        for _ in range(self.random.choice((0, 0, 1, 1, 1, 2, 4))):
            self.change(frames)
        self.wire = b"".join(
            each.encode(not self.client, self.random.randbytes(4)) for each in frames)
        self.spoil()
        self.reads = self.split()

    # A stream that is right.

    def size(self):
        return self.random.choice(LARGE if self.random.random() < 0.02 else SIZES)

    def text(self, size):
        if self.random.random() < 0.3:
            return "a" * size
        return "".join(self.random.choices(CHARACTERS, k=min(size, 2000)))

    def message(self):
        opcode = self.random.choice((TEXT, BINARY))
        data = self.text(self.size()).encode() if opcode == TEXT else self.random.randbytes(self.size())
        compressed = self.deflate and self.random.random() < 0.7
        if compressed:
            deflater = zlib.compressobj(self.random.choice((0, 1, 9)), zlib.DEFLATED, -15)
            data = deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)
            data = data.removesuffix(b"\0\0\xff\xff")
        cuts = sorted(self.random.randint(0, len(data))
                      for _ in range(self.random.choice((0, 0, 0, 1, 2, 5))))
        for i, (begin, end) in enumerate(zip([0, *cuts], [*cuts, len(data)])):
            yield Frame(CONTINUATION if i else opcode, data[begin:end], fin=end == len(data)
                        and i == len(cuts), rsv=4 if compressed and i == 0 else 0)
            if not compressed or i == len(cuts):
                yield from self.controls(0.3)

    def controls(self, chance):
        while self.random.random() < chance:
            yield Frame(self.random.choice((PING, PONG)),
                        self.random.randbytes(min(self.size(), 125)))

    def close(self):
        if self.random.random() < 0.2:
            return Frame(CLOSE)
        code = 1000 if self.random.random() < 0.3 else self.random.choice(CODES)
        reason = self.text(self.random.choice((0, 0, 3, 40))).encode()[:123]
        if self.random.random() < 0.1:
            reason += self.random.choice(NOT_UTF_8)
        return Frame(CLOSE, struct.pack("!H", code) + reason[:123])

    def stream(self):
        frames = [*self.controls(0.2)]
        for _ in range(self.random.choice((0, 1, 1, 2, 3, 6))):
            frames += self.message()
        if self.random.random() < 0.5:
            frames.append(self.close())
            if self.random.random() < 0.2:
                frames += self.message()
        return frames

    # And then not.

    def change(self, frames):
        if not frames:
            return
        at = self.random.randrange(len(frames))
        frame = frames[at]
        is_plain = not frame.rsv and not self.deflate  # of what is compressed, see above
        what = self.random.randrange(12)
        if what == 0 and is_plain:
            frame.fin = not frame.fin
        elif what == 1:
            begins = frame.opcode in (TEXT, BINARY)
            frame.rsv ^= self.random.choice((1, 2, 3) if self.deflate and begins else (1, 2, 4, 7))
        elif what == 2 and is_plain:
            frame.opcode = self.random.randrange(16)
        elif what == 3:
            frame.masked = self.client  # which is wrong
        elif what == 4:
            frame.form = self.random.choice((16, 64))
            if self.deflate and len(frame.payload) >= 1 << 16:
                frame.form = 64  # cut to what 16 bits can say it would be broken DEFLATE data
        elif what == 5 and is_plain:
            frame.announced = self.random.choice(
                (0, 1, 125, 126, 65_535, 65_536, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
                 max(len(frame.payload) - 1, 0), len(frame.payload) + 1))
        elif what == 6 and is_plain:
            del frames[at]
        elif what == 7 and is_plain:
            frames.insert(at, Frame(frame.opcode, frame.payload, frame.fin, frame.rsv))
        elif what == 8 and is_plain:
            other = self.random.randrange(len(frames))
            frames[at], frames[other] = frames[other], frames[at]
        elif what == 9 and is_plain:
            cut = self.random.randint(0, len(frame.payload))
            frame.payload = frame.payload[:cut] + self.random.choice(NOT_UTF_8) + frame.payload[cut:]
        elif what == 10 and is_plain:
            frame.payload = frame.payload[:self.random.randint(0, len(frame.payload))]
        elif what == 11 and (is_plain or frame.opcode >= CLOSE):
            frame.opcode, frame.payload = self.random.choice((PING, PONG, CLOSE)), b"x" * self.random.choice(
                (0, 1, 2, 125, 126, 127))
            frame.rsv = 0

    def spoil(self):
        if self.random.random() < 0.15:
            self.wire = self.wire[:self.random.randint(0, len(self.wire))]
        if self.random.random() < 0.15 and self.wire and not self.deflate:
            wire = bytearray(self.wire)
            wire[self.random.randrange(len(wire))] ^= 1 << self.random.randrange(8)
            self.wire = bytes(wire)
        if self.random.random() < 0.05 and not self.deflate:
            self.wire += self.random.randbytes(self.random.randint(1, 30))

    def split(self):
        if self.random.random() < 0.3 or not self.wire:
            return [self.wire]
        if self.random.random() < 0.3 and len(self.wire) < 1000:
            return [self.wire[i:i + 1] for i in range(len(self.wire))]
        cuts = sorted(self.random.randint(0, len(self.wire)) for _ in range(self.random.randint(1, 8)))
        return [self.wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(self.wire)])]

    # What they make of it.

    def encode(self):
        head = bytes(("c" if self.client else "s") + ("d" if self.deflate else "-"), "ascii")
        return b"".join([head, struct.pack("!I", len(self.reads)),
                         *(struct.pack("!I", len(read)) + read for read in self.reads)])

    def wsproto(self, padding=b""):
        extensions = []
        if self.deflate:
            extensions.append(PerMessageDeflate())
            extensions[0].finalize("permessage-deflate")
        kind = ConnectionType.CLIENT if self.client else ConnectionType.SERVER
        connection = Connection(kind, extensions)
        told, parts = [], []
        for read in (*self.reads, padding):
            connection.receive_data(read)
            for event in connection.events():
                if isinstance(event, (TextMessage, BytesMessage)):
                    is_text = isinstance(event, TextMessage)
                    parts.append(event.data.encode() if is_text else bytes(event.data))
                    if event.message_finished:
                        told.append(("text" if is_text else "binary", b"".join(parts)))
                        parts = []
                elif isinstance(event, Ping):
                    told.append(("ping", bytes(event.payload)))
                elif isinstance(event, Pong):
                    told.append(("pong", bytes(event.payload)))
                elif isinstance(event, CloseConnection):
                    if connection.state is ConnectionState.REMOTE_CLOSING:
                        told.append(("closed", int(event.code), (event.reason or "").encode()))
                    else:
                        told.append(("failed", int(event.code)))
                        self.reason = event.reason
                    return told
        return told


def parse(line):
    what, *rest = line.split(" ")
    if what == "failed":
        return what, int(rest[0])
    if what == "closed":
        return what, int(rest[0]), bytes.fromhex(rest[1])
    return what, bytes.fromhex(rest[0])


def ours_of(program, cases):
    output = subprocess.run([program], input=b"".join(case.encode() for case in cases), check=True,
                            stdout=subprocess.PIPE, timeout=600).stdout.decode()
    blocks = output.split("end\n")
    if len(blocks) != len(cases) + 1:
        raise SystemExit(f"{program} told of {len(blocks) - 1} cases; there were {len(cases)}")
    return [[parse(line) for line in block.splitlines()] for block in blocks[:-1]]


def shorten(told):
    return [tuple(part[:60] if isinstance(part, bytes) else part for part in each) for each in told]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--minutes", type=float, help="as many cases as these take, of new seeds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--deflate", action="store_true", help="compressed messages as well")
    options = parser.parse_args()

    end = time.monotonic() + 60 * (options.minutes or 0)
    seed, done, ends, excused = options.seed, 0, {}, {}
    if options.minutes:
        seed = int(time.time())
    while True:
        cases = [Case(number, seed, options.deflate) for number in range(options.cases)]
        for case, ours in zip(cases, ours_of(options.program, cases)):
            theirs = case.wsproto()
            if ours != theirs:
                for difference in DIFFERENCES:
                    if difference(case, ours, theirs, options.program):
                        excused[difference.__name__] = excused.get(difference.__name__, 0) + 1
                        break
                else:
                    print(f"{case.name}: {'client' if case.client else 'server'}"
                          f"{' with permessage-deflate' if case.deflate else ''}\n"
                          f"  reads {[read.hex() for read in case.reads]}"[:4000])
                    print(f"  timtow  {shorten(ours)}\n  wsproto {shorten(theirs)}")
                    return 1
            kind = ours[-1][:2] if ours and ours[-1][0] in ("closed", "failed") else ("open",)
            ends[kind] = ends.get(kind, 0) + 1
        done += len(cases)
        seed += 1
        if time.monotonic() >= end:
            break
    if len(ends) < 8:
        raise SystemExit(f"the cases end in {len(ends)} ways only: {ends}")
    print(f"{done} inputs; known differences: {excused or 'none'}")
    print("  they end " + ", ".join(f"{' '.join(map(str, kind))}: {count}" for kind, count in
                                    sorted(ends.items(), key=str)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
