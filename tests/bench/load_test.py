#!/usr/bin/python3
"""bench-load finds every wrong echo, says which, and its numbers fit together.

Called with the paths of bench-load and of an echo server. The last line is `N passed, 0 failed`.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import unittest

import loopback
from loopback import BINARY, CLOSE, CONTINUATION, TEXT, TIMEOUT, Server, frame

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import closing  # noqa: E402

bench_load = echo_server = None

KEYS = {"mode", "protocol", "connections", "pipeline", "size", "payload", "seconds", "messages",
        "rate", "bytes_per_second", "latency", "latency_histogram", "server", "client",
        "saturated", "rss_per_connection", "validated", "errors"}
MORE_KEYS = {"open": {"rate_asked", "late", "unanswered"},
             "idle": {"active"},
             "churn": {"concurrency"},
             "slow": {"active", "drain", "slow_messages", "slow_disconnected",
                      "slow_stopped_sending"}}
SHORT = ("--warmup", "0.05", "--seconds", "0.15")


def run(*arguments):
    return subprocess.run([bench_load, *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=TIMEOUT)


class Case(unittest.TestCase):
    def measured(self, mode, port, *arguments):
        result = run(mode, "--port", port, *arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""), arguments)
        return json.loads(result.stdout)

    def failure(self, port, *arguments, mode="closed", code=1):
        """The sentence of a run that failed."""
        result = run(mode, "--port", port, *arguments)
        self.assertEqual((result.returncode, result.stdout), (code, ""), result)
        self.assertRegex(result.stderr, r"\Abench-load: [^\n]+\n\Z")
        return result.stderr[len("bench-load: "):-1]


class WrongServers(Case):
    """Each does one thing wrong, and the sentence names it."""

    def check(self, serve, sentence, *arguments, mode="closed"):
        with Server(serve) as server:
            arguments = ("--messages", 40, *arguments)
            self.assertRegex(self.failure(server.port, *arguments, mode=mode), sentence)

    def check_answer(self, answer, sentence, *arguments):
        """answer(opcode, payload) takes the place of the first echo."""
        self.check_nth_answer(0, answer, sentence, *arguments)

    def check_nth_answer(self, wrong, answer, sentence, *arguments):
        def serve(peer):
            peer.upgrade()
            for number, message in enumerate(peer.messages()):
                peer.send((answer if number == wrong else frame)(*message))

        self.check(serve, sentence, *arguments)

    def test_a_byte_of_the_payload(self):
        def flip(opcode, payload):
            return frame(opcode, payload[:5] + bytes([payload[5] ^ 1]) + payload[6:])

        sentence = r"^connection 0, message {}: byte 5 of the payload is \w\w, expected \w\w$"
        self.check_answer(flip, sentence.format(0))
        self.check_answer(flip, sentence.format(0), "--size", 70000, "--pipeline", 3)
        self.check_nth_answer(21, flip, sentence.format(21))
        # Large ones are compared at samples.
        self.check_nth_answer(15, flip, sentence.format(15), "--size", 1000, "--pipeline", 8)

    def test_the_last_byte(self):
        def flip(opcode, payload):
            return frame(opcode, payload[:-1] + bytes([payload[-1] ^ 1]))

        self.check_answer(flip, "^connection 0, message 0: byte 299999 ", "--size", 300000)

    def test_the_echo_of_another(self):
        kept = []

        def stale(opcode, payload):
            return frame(opcode, kept[0])

        def serve(peer):
            peer.upgrade()
            for number, message in enumerate(peer.messages()):
                kept.append(message[1])
                peer.send((stale if number == 1 else frame)(*message))

        self.check(serve, r"^connection 0, message 1: byte \d+ of the payload ")

    def test_the_length(self):
        def longer(opcode, payload):
            return frame(opcode, payload + b"x")

        def shorter(opcode, payload):
            return frame(opcode, payload[1:])

        self.check_answer(longer, r"^connection 0, message 0: expected the header 82 10 "
                                  r"\(binary, 16 bytes\), came 82 11 \(binary, 17 bytes\)$")
        self.check_answer(longer, r"expected the header 82 7d \(binary, 125 bytes\), "
                                  r"came 82 7e 00 7e \(binary, 126 bytes\)$", "--size", 125)
        self.check_answer(shorter, r"expected the header 82 7f 00 00 00 00 00 01 00 00 "
                                   r"\(binary, 65536 bytes\), came 82 7e ff ff "
                                   r"\(binary, 65535 bytes\)$", "--size", 65536)
        self.check_answer(longer, r"expected the header 82 00 \(binary, 0 bytes\), "
                                  r"came 82 01 \(binary, 1 bytes\)$", "--size", 0)
        # Every header is looked at, not only those of samples.
        self.check_nth_answer(13, shorter, "^connection 0, message 13: expected the header ",
                              "--size", 1000, "--pipeline", 4)

    def test_the_opcode(self):
        def text(opcode, payload):
            return frame(TEXT, payload)

        def binary(opcode, payload):
            return frame(BINARY, payload)

        self.check_answer(text, r"expected the header 82 10 \(binary, 16 bytes\), "
                                r"came 81 10 \(text, 16 bytes\)$")
        self.check_answer(binary, r"came 82 10 \(binary, 16 bytes\)$", "--payload", "ascii")
        self.check_answer(lambda *_: frame(9, b"?"), r"came 89 01 \(ping, 1 bytes\)$")
        self.check_answer(lambda *_: frame(11, b""), r"came 8b 00 \(opcode 11, 0 bytes\)$")

    def test_other_bits_of_the_header(self):
        self.check_answer(lambda *m: frame(*m, first=0x40), r"came c2 10 \(binary, reserved bits,")
        self.check_answer(lambda *m: frame(*m, second=0x80), r"came 82 90 \(binary, masked,")

    def test_fragments(self):
        def ends_too_late(opcode, payload):
            return frame(opcode, payload[:6], fin=False) + frame(CONTINUATION, payload[5:])

        def ends_too_early(opcode, payload):
            return frame(opcode, payload[:6], fin=False) + frame(CONTINUATION, payload[6:15])

        def begins_too_long(opcode, payload):
            return frame(opcode, payload + b"x", fin=False)

        def is_no_continuation(opcode, payload):
            return frame(opcode, payload[:6], fin=False) + frame(opcode, payload[6:])

        def has_another_byte(opcode, payload):
            return frame(opcode, payload[:6], fin=False) + frame(CONTINUATION, b"\0" * 10)

        expected = "expected a fragment, opcode 0, of the 10 bytes that are left; came "
        self.check_answer(ends_too_late, expected + r"80 0b \(continuation, 11 bytes\)")
        self.check_answer(ends_too_early, expected + r"80 09 \(continuation, 9 bytes\)")
        self.check_answer(begins_too_long,
                          "expected a fragment, opcode 2, of the 16 bytes that are left; "
                          r"came 02 11 \(binary, not final, 17 bytes\)$")
        self.check_answer(is_no_continuation, expected + r"82 0a \(binary, 10 bytes\)")
        self.check_answer(has_another_byte, r"message 0: byte \d+ of the payload is 00, expected")

    def test_too_many_echoes(self):
        self.check_answer(lambda *m: frame(*m) * 2,
                          "^connection 0: more came back than was sent, after 1 echoes$")

    def test_the_handshake(self):
        self.check(lambda peer: peer.upgrade("AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
                   r"^connection 0: the answer to the handshake: expected Sec-WebSocket-Accept: "
                   r"s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=, came \"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\"$")

        def refuse(peer):
            peer.read_head()
            peer.send(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")

        self.check(refuse, "expected HTTP/1.1 101, came \"HTTP/1.1 503 Service Unavailable\"$")

        def say_nothing(peer):
            peer.read_head()
            peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")

        self.check(say_nothing, "expected Sec-WebSocket-Accept: .*, came \"\"$")

        def endless(peer):
            peer.send(b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * (1 << 20))
            peer.read_head()

        self.check(endless, "the answer to the handshake has no end$")

    def test_the_end_comes_early(self):
        self.check(lambda peer: peer.read_head(),
                   "^connection 0: the server ended the connection; expected the answer to the "
                   "handshake$")

        def after_two(peer):
            peer.upgrade()
            for _ in range(2):
                peer.send(frame(*peer.read_frame()))
            peer.read_frame()

        self.check(after_two, "^connection 0: the server ended the connection; "
                              "expected 1 more after 2 echoes$")

        def reset(peer):
            peer.upgrade()
            peer.read_frame()
            peer.reset()

        self.check(reset, "^connection 0: Connection reset by peer; "
                          "expected 1 more after 0 echoes$")

        def close(peer):
            peer.upgrade()
            peer.read_frame()
            peer.send(frame(CLOSE, b"\x03\xf3out of order"))
            peer.read_frame()

        self.check(close, "^connection 0: expected 1 more after 0 echoes, came a Close frame with "
                          "code 1011 \"out of order\"$")

    def test_nobody_listens(self):
        with Server(loopback.echo) as server:
            port = server.port
        self.assertEqual(self.failure(port), "connection 0: connect: Connection refused")

    def test_silence(self):
        def silent(peer):
            peer.upgrade()
            while peer.read_frame():
                pass

        with Server(silent) as server:
            self.assertEqual(
                self.failure(server.port, "--connections", 3, "--pipeline", 2, "--deadline", 0.4),
                "the deadline of 0.4 s has passed; connection 0 waits for 2 more after 0 echoes")
            self.assertRegex(self.failure(server.port, *SHORT, "--rate", 100, "--deadline", 0.4,
                                          mode="open"),
                             r"connection 0 waits for \d+ more after 0 echoes$")
        with Server(lambda peer: peer.file.read()) as server:
            self.assertEqual(self.failure(server.port, "--deadline", 0.3),
                             "the deadline of 0.3 s has passed; connection 0 waits for the answer "
                             "to the handshake")

    def test_one_connection_of_many_is_silent(self):
        """The others go on, and it is found nevertheless."""
        count = iter(range(3))

        def serve(peer):
            silent = next(count) == 2
            peer.upgrade()
            for message in peer.messages():
                if not silent:
                    peer.send(frame(*message))

        with Server(serve) as server:
            self.assertRegex(
                self.failure(server.port, "--connections", 3, "--deadline", 0.6, *SHORT),
                r"^the deadline of 0\.6 s has passed; connection \d waits for 1 more after 0 ")

    def test_closing(self):
        def without_frame(peer):
            peer.upgrade()
            peer.send(frame(*peer.read_frame()))
            peer.read_frame()

        def with_another_code(peer):
            peer.upgrade()
            peer.send(frame(*peer.read_frame()))
            peer.read_frame()
            peer.send(frame(CLOSE, b"\x03\xea"))

        def says_more(peer):
            peer.upgrade()
            peer.send(frame(*peer.read_frame()))
            peer.read_frame()
            peer.send(frame(CLOSE, b"\x03\xe8") + b"?")

        self.check(without_frame, "^connection 0: the server ended the connection; "
                                  "expected a Close frame$", "--concurrency", 1, mode="churn")
        self.check(with_another_code, "expected a Close frame, came a Close frame with code 1002",
                   "--concurrency", 1, mode="churn")
        self.check(says_more, "bytes came behind the Close frame", "--concurrency", 1,
                   mode="churn")

    def test_tcp(self):
        def flip(peer):
            data = bytearray(peer.socket.recv(1 << 16))
            data[9] ^= 1
            peer.send(data)
            peer.socket.recv(1 << 16)

        self.check(flip, r"message 0: byte 3 of the payload is", "--protocol", "tcp")

        def unmask(peer):
            peer.send(frame(*peer.read_frame()))
            peer.socket.recv(1 << 16)

        self.check(unmask, r"expected the header 82 90 .*\(binary, masked, 16 bytes\), came 82 10 ",
                   "--protocol", "tcp")

    def test_fanout(self):
        def only_to_the_sender(peer):
            loopback.echo(peer)

        with Server(only_to_the_sender) as server:
            self.assertRegex(self.failure(server.port, "--connections", 2, "--deadline", 0.3,
                                          mode="fanout"),
                             "connection 1 waits for 1 more after 0 echoes$")


class RightServers(Case):
    def check_numbers(self, found, mode):
        self.assertEqual(set(found), KEYS | MORE_KEYS.get(mode, set()))
        self.assertEqual((found["mode"], found["errors"]), (mode, 0))
        self.assertGreater(found["messages"], 0)
        self.assertGreater(found["seconds"], 0)
        self.assertAlmostEqual(found["rate"] * found["seconds"] / found["messages"], 1, 6)
        self.assertAlmostEqual(found["bytes_per_second"], found["rate"] * found["size"], -1)
        latency = found["latency"]
        steps = [latency[name] for name in ("p50", "p90", "p99", "p999", "max")]
        self.assertEqual(steps, sorted(steps))
        self.assertGreater(steps[0], 0)
        self.assertLessEqual(latency["mean"], latency["max"])
        histogram = found["latency_histogram"]
        self.assertLessEqual(len(histogram), 200)
        self.assertEqual([upper for upper, _ in histogram],
                         sorted({upper for upper, _ in histogram}))
        self.assertEqual(sum(count for _, count in histogram), latency["count"])
        self.assertGreaterEqual(histogram[-1][0], latency["max"])
        middle = 0  # the bucket that holds the median
        for upper, count in histogram:
            middle += count
            if middle >= latency["count"] / 2:
                break
        self.assertGreaterEqual(upper, latency["p50"])
        if mode != "fanout":  # what is said of the others follows from the echoes
            self.assertGreaterEqual(found["validated"]["headers"], found["messages"])
        self.assertGreaterEqual(found["validated"]["headers"], found["validated"]["payloads"])
        self.assertGreaterEqual(found["validated"]["payloads"] * 15, found["validated"]["headers"])

    def check_server(self, found):
        server = found["server"]
        self.assertGreater(server["cpu_per_message"], 0)
        if server["user_per_message"] is not None:
            self.assertAlmostEqual(server["user_per_message"] + server["system_per_message"],
                                   server["cpu_per_message"], 9)
        self.assertGreater(server["core_busy"], 0)
        switches = server["context_switches_per_message"]
        self.assertGreater(switches["voluntary"] + switches["involuntary"], 0)
        for moment in ("before", "during", "after"):
            memory = server[f"rss_{moment}"]
            self.assertGreaterEqual(memory["rss"], memory["private"])
            self.assertGreater(memory["private"], 0)


class OurServer(RightServers):
    @classmethod
    def setUpClass(cls):
        cls.process = subprocess.Popen([echo_server, "--port", "0", "--quiet"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        cls.port = re.search(r"http://127\.0\.0\.1:(\d+)/", cls.process.stdout.readline())[1]

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        cls.process.communicate(timeout=TIMEOUT)

    def check(self, mode, *arguments):
        found = self.measured(mode, self.port, "--pid", self.process.pid, *arguments)
        self.check_numbers(found, mode)
        self.check_server(found)
        return found

    def test_closed(self):
        self.check("closed", *SHORT)
        for size in (0, 125, 126, 65535, 65536):
            self.check("closed", *SHORT, "--connections", 3, "--pipeline", 4, "--size", size)

    def test_more_than_the_sockets_take(self):
        found = self.check("closed", "--messages", 64, "--pipeline", 16, "--size", 1 << 20,
                           "--connections", 2)
        self.assertEqual(found["latency"]["count"], 4)
        self.assertEqual(found["validated"], {"headers": 64, "payloads": 6})

    def test_exactly_so_many_messages(self):
        found = self.check("closed", "--messages", 101, "--connections", 3, "--pipeline", 8)
        self.assertEqual(found["messages"], 101)
        self.assertEqual(found["validated"], {"headers": 101, "payloads": 101})
        self.assertEqual(found["latency"]["count"], 13)
        found = self.check("open", "--messages", 50, "--connections", 3, "--rate", 2000)
        self.assertEqual((found["messages"], found["latency"]["count"]), (50, 50))
        found = self.check("churn", "--messages", 50)
        self.assertEqual((found["messages"], found["latency"]["count"]), (50, 50))
        self.assertEqual(found["validated"], {"headers": 50, "payloads": 50})

    def test_open(self):
        found = self.check("open", *SHORT, "--rate", 2000, "--connections", 7)
        self.assertEqual((found["rate_asked"], found["unanswered"]), (2000, 0))
        self.assertLessEqual(found["late"], 2000)

    def test_idle(self):
        found = self.check("idle", *SHORT, "--connections", 300, "--active", 2)
        server = found["server"]
        self.assertAlmostEqual(found["rss_per_connection"] * 300,
                               server["rss_during"]["private"] - server["rss_before"]["private"], 3)

    def test_churn(self):
        self.check("churn", *SHORT, "--size", 1000, "--concurrency", 5)

    def test_slow(self):
        found = self.check("slow", *SHORT, "--connections", 5, "--active", 2, "--size", 1000,
                           "--drain", 100000)
        self.assertEqual((found["slow_disconnected"], found["slow_stopped_sending"]), (0, 0))

    def test_without_its_process(self):
        found = self.measured("closed", self.port, *SHORT)
        self.check_numbers(found, "closed")
        self.assertIsNone(found["saturated"])
        self.assertIsNone(found["server"]["cpu_per_message"])
        self.assertIsNone(found["server"]["rss_during"]["rss"])


class PythonServers(RightServers):
    def test_what_stops_in_the_middle(self):
        """The window ends while most of a batch has not left yet: it stays, and nothing is lost."""
        def serve(peer):
            peer.send(peer.file.read1(1000))
            time.sleep(1)
            while data := peer.file.read1(1 << 16):
                peer.send(data)

        with Server(serve) as server:
            found = self.measured("closed", server.port, "--protocol", "tcp", "--size", 10,
                                  "--pipeline", 1 << 20, "--warmup", 0, "--seconds", 0.5)
        self.assertGreater(found["messages"], 0)
        self.assertGreaterEqual(found["validated"]["headers"], found["messages"])
        self.assertLess(found["validated"]["headers"], 1 << 20)
        self.assertEqual((found["latency"]["count"], found["latency"]["p50"]), (0, None))
        self.assertEqual(found["latency_histogram"], [])

    def test_the_frames_that_are_sent(self):
        """Masked by keys that do not come again, and every kind of payload."""
        kinds = {"binary": BINARY, "ascii": TEXT, "mixed": TEXT}
        for payload, expected in kinds.items():
            keys, messages = [], []

            def serve(peer):
                peer.upgrade()
                for message in peer.messages():
                    messages.append(message)
                    peer.send(frame(*message))
                keys.extend(peer.keys)

            with Server(serve) as server:
                self.measured("closed", server.port, "--messages", 16, "--pipeline", 4,
                              "--size", 997, "--payload", payload)
            self.assertEqual((len(set(keys)), len(set(messages))), (16, 16))
            self.assertEqual({opcode for opcode, _ in messages}, {expected})
            self.assertEqual({len(payload) for _, payload in messages}, {997})
            text = b"".join(data for _, data in messages)
            if payload == "ascii":
                self.assertTrue(text.isascii() and text.decode().isprintable())
            if payload == "mixed":
                for _, data in messages:
                    lengths = {len(character.encode()) for character in data.decode()}
                    self.assertEqual(lengths, {1, 2, 3, 4})

    def test_fragments(self):
        def serve(peer):
            peer.upgrade()
            for opcode, payload in peer.messages():
                peer.send(frame(opcode, payload[:1], fin=False)
                          + frame(CONTINUATION, payload[1:200], fin=False)
                          + frame(CONTINUATION, b"", fin=False)
                          + frame(CONTINUATION, payload[200:]))

        with Server(serve) as server:
            for size in (16, 1000, 100000):
                found = self.measured("closed", server.port, "--messages", 40, "--pipeline", 4,
                                      "--size", size)
                self.check_numbers(found, "closed")
                self.assertEqual(found["validated"], {"headers": 40, "payloads": 40})

    def test_byte_by_byte(self):
        def serve(peer):
            peer.upgrade()
            for message in peer.messages():
                for byte in frame(*message):
                    peer.send(bytes([byte]))

        with Server(serve) as server:
            self.check_numbers(self.measured("closed", server.port, "--messages", 20,
                                             "--pipeline", 2, "--size", 300), "closed")
            self.check_numbers(self.measured("churn", server.port, "--messages", 5), "churn")

    def test_tcp(self):
        with Server(loopback.raw_echo) as server:
            for mode, *more in (("closed", "--pipeline", 4), ("open", "--rate", 1000),
                                ("churn",), ("idle", "--connections", 20, "--active", 2),
                                ("slow", "--connections", 2, "--active", 2)):
                found = self.measured(mode, server.port, *SHORT, *more, "--protocol", "tcp")
                self.check_numbers(found, mode)

    def test_fanout(self):
        with Server(loopback.broadcaster()) as server:
            found = self.measured("fanout", server.port, "--connections", 5, "--pipeline", 3,
                                  "--messages", 20)
            self.check_numbers(found, "fanout")
            self.assertEqual(found["messages"], 20 * 6)
            self.assertEqual(found["validated"], {"headers": 120, "payloads": 120})
            self.assertEqual(found["latency"]["count"], 7)
        with Server(loopback.broadcaster()) as server:
            self.check_numbers(self.measured("fanout", server.port, "--connections", 5, *SHORT),
                               "fanout")

    def test_latency_counts_from_when_it_was_due(self):
        """Nothing comes back before the last was due: the first ones have waited for it."""
        def serve(peer):
            peer.upgrade()
            waiting = [peer.read_frame() for _ in range(200)]
            for message in waiting:
                peer.send(frame(*message))
            for _ in peer.messages():
                pass

        with Server(serve) as server:
            found = self.measured("open", server.port, "--messages", 200, "--rate", 1000)
        self.assertGreaterEqual(found["latency"]["max"], 0.199)
        self.assertGreaterEqual(found["latency"]["mean"], 0.0995)

    def test_what_does_not_come_back_counts_too(self):
        def serve(peer):
            peer.upgrade()
            for number, message in enumerate(peer.messages()):
                if number < 10:
                    peer.send(frame(*message))

        with Server(serve) as server:
            found = self.measured("open", server.port, "--warmup", 0, "--seconds", 0.3,
                                  "--rate", 1000)
        self.check_numbers(found, "open")
        self.assertEqual(found["latency"]["count"] - found["unanswered"], 10)
        self.assertGreaterEqual(found["latency"]["p50"], 1)

    def test_slow_readers_may_be_disconnected(self):
        """But not the active ones, which come first."""
        count = iter(range(5))

        def serve(peer):
            number = next(count)
            peer.upgrade()
            for at, message in enumerate(peer.messages()):
                if number >= 2 and at == 3:
                    peer.send(frame(CLOSE, b"\x03\xf0"))
                    return
                peer.send(frame(*message))

        with Server(serve) as server:
            found = self.measured("slow", server.port, "--messages", 2000, "--connections", 3,
                                  "--active", 2, "--size", 1000, "--drain", 10000000)
        self.check_numbers(found, "slow")
        self.assertEqual((found["messages"], found["slow_disconnected"]), (2000, 3))


class CommandLine(Case):
    def test_help(self):
        result = run("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for word in ("closed", "open", "idle", "churn", "fanout", "slow", "--port", "--deadline"):
            self.assertRegex(result.stdout, rf"(?m)^  {word} ")

    def test_what_it_does_not_understand(self):
        for arguments, sentence in (
            (("--size", "-1"), r"--size takes a number from 0 to \d+, not \"-1\""),
            (("--seconds", "fast"), r"--seconds takes a number from .*, not \"fast\""),
            (("--payload", "text"), r"--payload takes one of binary, ascii, mixed, not \"text\""),
            (("--size",), "--size needs a value; --help lists the options"),
            (("--frobnicate",),
             "unknown argument \"--frobnicate\"; --help lists modes and options"),
            (("--host", "192.0.2.1"), r"--host takes an address of 127\.0\.0\.0/8, not .*"),
            (("--pipeline", 1000, "--size", 1000000), "--pipeline times --size is .*"),
        ):
            self.assertRegex(self.failure(1, *arguments, code=2), rf"\A{sentence}\Z")
        self.assertRegex(self.failure(1, mode="opne", code=2), "there is no mode \"opne\"")
        self.assertRegex(self.failure(1, mode="open", code=2), "open needs --rate")

    def test_no_such_process(self):
        process = subprocess.Popen(["true"])
        process.wait()
        self.assertRegex(self.failure(1, "--pid", process.pid), r"--pid \d+: No such process")

    def test_too_few_descriptors(self):
        command = ["bash", "-c", "ulimit -n 100 && exec \"$0\" closed --port 1 --connections 100",
                   bench_load]
        result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, "116 descriptors are needed and 100 are allowed: raise ")


if __name__ == "__main__":
    bench_load, echo_server = map(os.path.abspath, sys.argv[1:3])
    closing.run(sys.argv[3:])
