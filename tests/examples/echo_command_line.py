#!/usr/bin/python3
"""The command line of an echo server: what it prints, and with which exit code it ends.

Called with the path of the executable. The last line is `N passed, 0 failed`.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import closing  # noqa: E402

TIMEOUT = 30  # seconds; only bounds a wait for something that has to happen
executable = None
name = None


def run(*arguments):
    return subprocess.run([executable, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=TIMEOUT)


class CommandLine(unittest.TestCase):
    def refused(self, *arguments):
        """Exit code 1, nothing on stdout, and one sentence on stderr: it is returned."""
        result = run(*arguments)
        self.assertEqual((result.returncode, result.stdout), (1, ""), result)
        self.assertRegex(result.stderr, rf"\A{name}: [^\n]+\n\Z")
        return result.stderr[len(name) + 2:-1]

    def listening(self, *arguments):
        """Starts a server; the process, and the address of its first line."""
        process = subprocess.Popen([executable, *arguments], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        line = process.stdout.readline()
        match = re.fullmatch(rf"{name} listening on http://(\S+)/\n", line)
        self.assertTrue(match, line)
        return process, match[1]

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def test_help(self):
        result = run("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for option in ("--host", "--port", "--max-message", "--limit", "--origin", "--trusted-proxy",
                       "--forwarded", "--proxy-protocol", "--drafts", "--tls-cert", "--tls-key", "--metrics",
                       "--quiet",
                       "--help", "--version"):
            self.assertIn(f"  {option} ", result.stdout)

    def test_version(self):
        result = run("--version")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertRegex(result.stdout, rf"\A{name} \d+\.\d+\.\d+\n\Z")

    def test_unknown_option(self):
        for option in ("--prot", "-p", "9001", ""):
            self.assertEqual(self.refused(option),
                             f'unknown option "{option}"; --help lists the options')

    def test_missing_value(self):
        for option in ("--host", "--port", "--max-message"):
            self.assertEqual(self.refused("--quiet", option),
                             f"{option} needs a value; --help lists the options")

    def test_bad_number(self):
        for option, value in (("--port", "65536"), ("--port", "-1"), ("--port", "80x"),
                              ("--port", ""), ("--port", "http"), ("--max-message", "-1"),
                              ("--max-message", "1M"), ("--max-message", "9" * 30)):
            self.assertEqual(self.refused(option, value),
                             f'"{value}" is not a number that {option} can take; '
                             "--help lists the options")

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.assertEqual(self.refused("--port", str(port)),
                             f"cannot listen on 127.0.0.1:{port}: Address already in use; another "
                             "program listens there: stop it, or choose another port")

    def test_foreign_address(self):
        self.assertRegex(self.refused("--host", "192.0.2.1", "--port", "0"),
                         r"^cannot listen on 192\.0\.2\.1:0: ")

    def test_bad_host(self):
        self.assertRegex(self.refused("--host", "no such host"),
                         r"^cannot listen on no such host:9001: ")

    def test_origins(self):
        def status(port, origin):
            with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
                               b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                               b"Origin: " + origin + b"\r\n\r\n")
                return int(client.recv(12)[9:])

        for options, expected in (((), (101, 403, 403)),
                                  (("--origin", "https://a", "--origin", "null"), (101, 101, 101)),
                                  (("--origin", "any"), (101, 101, 101))):
            process, address = self.listening("--port", "0", "--quiet", *options)
            port = int(address.rpartition(":")[2])
            self.assertEqual(tuple(status(port, origin) for origin in
                                   (b"http://h", b"https://a", b"null")), expected)
            self.end(process)
        self.assertRegex(self.refused("--trusted-proxy", "localhost"),
                         '^"localhost" is no network; networks look like ')
        self.assertRegex(self.refused("--proxy-protocol"), "trusted_proxies are none")
        self.assertRegex(self.refused("--origin", "example.org"),
                         '^"example.org" is no origin; origins look like ')

    def test_says_where_and_stops_by_signal(self):
        for host, shown in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
            for number in (signal.SIGINT, signal.SIGTERM):
                process, address = self.listening("--host", host, "--port", "0", "--quiet")
                self.assertRegex(address, rf"\A{re.escape(shown)}:[1-9]\d*\Z")
                port = int(address.rpartition(":")[2])
                socket.create_connection((host, port), TIMEOUT).close()
                process.send_signal(number)
                output, errors = process.communicate(timeout=TIMEOUT)
                self.assertEqual((process.returncode, output, errors), (0, "", ""))

    def test_max_message(self):
        process, address = self.listening("--port", "0", "--quiet", "--max-message", "5")
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), TIMEOUT) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
                           b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                           b"\x81\x85\0\0\0\0hello\x81\x86\0\0\0\0hello!")
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while data := client.recv(65536):
                answer += data
        frames = answer.partition(b"\r\n\r\n")[2]
        self.assertTrue(frames.startswith(b"\x81\x05hello\x88"), frames)
        self.assertEqual(frames[9:11], (1009).to_bytes(2, "big"))


if __name__ == "__main__":
    executable = os.path.abspath(sys.argv[1])
    name = pathlib.Path(executable).name
    closing.run()
