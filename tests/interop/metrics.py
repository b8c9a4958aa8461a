#!/usr/bin/python3
"""What an echo server counts: read as Prometheus reads it, and printed on SIGUSR1."""

import os
import re
import signal
import time
import unittest
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

import echo_server
from echo_server import TIMEOUT, Server
from wire import BINARY, PING, PONG, TEXT, Wire, close, frame, request


class Metrics(unittest.TestCase):
    def setUp(self):
        self.server = Server("--metrics", "0")
        line = self.server.line()
        match = re.fullmatch(r"metrics at (http://127\.0\.0\.1:\d+/metrics)", line)
        self.assertTrue(match, line)
        self.url = match[1]

    def scrape(self):
        """Values by name, or by name and label."""
        with urllib.request.urlopen(self.url, timeout=TIMEOUT) as answer:
            self.assertEqual(answer.headers["Content-Type"],
                             "text/plain; version=0.0.4; charset=utf-8")
            text = answer.read().decode("ascii")
        self.assertTrue(text.endswith("\n"))
        values = {}
        for family in text_string_to_metric_families(text):
            self.assertIn(family.type, ("counter", "gauge"), family.name)
            self.assertTrue(family.documentation, family.name)
            self.assertTrue(family.samples, family.name)
            for sample in family.samples:
                self.assertEqual(sample.name.endswith("_total"), family.type == "counter")
                key = (sample.name.removeprefix("timtow_"), *sample.labels.values())
                self.assertNotIn(key, values)
                values[key] = sample.value
        return values

    def exchange(self):
        """Returns how many bytes the server was sent, and sent."""
        sent = received = 0
        with Wire(self.server) as wire:
            def says(opcode, payload, answer=None):
                nonlocal sent, received
                wire.send(frame(opcode, payload))
                sent += len(frame(opcode, payload))
                wire.expect_frame(answer or opcode, payload)
                received += len(frame(opcode, payload, masked=False))

            wire.send(request())
            sent += len(request())
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += wire.take(1)
            received += len(answer)
            says(TEXT, b"hello")
            says(BINARY, b"\0" * 300)
            says(PING, b"ping", PONG)
            wire.send(frame(PONG, b""))
            wire.send(close(3001))
            sent += len(frame(PONG, b"")) + len(close(3001))
            wire.expect_close(3001)
            received += 4
        return sent, received

    def test_nothing_at_first_and_what_is_open_now(self):
        self.assertEqual({value for (name, *_), value in self.scrape().items()
                          if not name.startswith("memory")}, {0})
        with Wire(self.server) as wire:
            wire.open()
            self.assertEqual(self.scrape()[("connections", "open")], 1)

    def test_counts_are_exact_after_a_known_exchange(self):
        sent, received = self.exchange()
        self.assertEqual(
            {key: value for key, value in self.scrape().items()
             if value and not key[0].startswith("memory")},
            {
                ("connections_accepted_total",): 1,
                ("connections_opened_total",): 1,
                ("received_bytes_total",): sent,
                ("sent_bytes_total",): received,
                ("messages_received_total",): 2,
                ("messages_sent_total",): 2,
                ("message_received_bytes_total",): 305,
                ("message_sent_bytes_total",): 305,
                ("pings_received_total",): 1,
                ("pongs_sent_total",): 1,
                ("pongs_received_total",): 1,
                ("closes_received_total", "3xxx"): 1,
                ("closes_sent_total", "3xxx"): 1,
            })

    def test_who_was_refused_and_why(self):
        for wrong in request("+Origin: http://evil.example"), b"GET\r\n\r\n":
            with Wire(self.server) as wire:
                wire.send(wrong)
                wire.take(12)  # of the answer
        values = self.scrape()
        self.assertEqual(values[("connections_refused_total", "origin")], 1)
        self.assertEqual(values[("connections_refused_total", "bad_request")], 1)
        self.assertEqual(values[("connections_opened_total",)], 0)

    def test_only_metrics_are_there(self):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(self.url.removesuffix("metrics"), timeout=TIMEOUT)
        self.assertEqual(refused.exception.code, 404)

    def test_a_signal_prints_them(self):
        self.exchange()
        os.kill(self.server.pid, signal.SIGUSR1)
        deadline = time.monotonic() + TIMEOUT
        while "timtow_memory_budget_bytes" not in self.server.stderr():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        lines = self.server.stderr().split("its stderr:\n")[1].splitlines()
        self.assertIn("timtow_messages_received_total 2", lines)
        self.assertIn('timtow_closes_received_total{code="3xxx"} 1', lines)
        for line in lines:
            self.assertRegex(line, r"\A[a-z_]+(\{[a-z]+=\"[a-z0-9_]+\"\})? (\d+|\+Inf)\Z")

    def tearDown(self):
        self.server.stop()


if __name__ == "__main__":
    echo_server.run()
