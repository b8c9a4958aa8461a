"""The server under test, and the way every script here is run.

A script is called with the path of a server executable. It starts that server on a free port of
the loopback interface, talks to it with a client that knows nothing of timtow, stops it with
SIGTERM by its pid, and requires a clean exit. The last line is `N passed, 0 failed`; a failure, or
no test at all, ends with exit code 1.

Time never decides a verdict: TIMEOUT only bounds a wait for something that has to happen, and is
long enough for sanitizer builds on a busy machine.
"""

import argparse
import contextlib
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

TIMEOUT = 30.0  # seconds, for one wait
RUN_TIMEOUT = 110  # seconds, for the whole script

options = None  # the command line, once run() has read it
cleanup = contextlib.ExitStack()  # what has to end with this script, whatever happens
_servers = []
_result = None


class Server:
    """A server process on a free port. As a context manager it is stopped, and checked."""

    exit_code = 0  # of a clean exit

    def __init__(self, *arguments, ready=None):
        """`ready`: pattern of the line that says the server listens; its group is the port."""
        name = pathlib.Path(options.executable).name
        if ready is None:
            ready = re.escape(name) + r" listening on https?://127\.0\.0\.1:(\d+)/"
            arguments = ("--port", "0", "--quiet", *arguments)
        self.command = [options.executable, *arguments]
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=self._stderr)
        cleanup.callback(self.kill)
        _servers.append(self)
        line = self.line()
        match = re.fullmatch(ready, line)
        if not match:
            self.kill()
            raise AssertionError(f"{self.command}: expected a line {ready!r}, got {line!r}"
                                 f"{self.stderr()}")
        self.host = "127.0.0.1"
        self.port = int(match[1])
        self.pid = self._process.pid
        self.address = (self.host, self.port)
        self.authority = f"{self.host}:{self.port}"

    def line(self):
        """The next line of its stdout."""
        deadline = time.monotonic() + TIMEOUT
        stdout = self._process.stdout.fileno()
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stdout], [], [], left)[0]:
                break
            byte = os.read(stdout, 1)
            if not byte:
                break
            line += byte
        return line.decode(errors="replace").rstrip("\n")

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def terminate(self):
        self._process.send_signal(signal.SIGTERM)

    def stop(self):
        """SIGTERM, and the exit has to be a clean one."""
        if self._process.poll() is not None:
            raise AssertionError(f"{self.command} ended on its own: {self._outcome()}")
        self.terminate()
        self.expect_exit()

    def expect_exit(self):
        """Waits for the process to end, cleanly and without a sanitizer's report."""
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.command} did not exit within {TIMEOUT} s"
                                 f"{self.stderr()}") from None
        report = re.search(r"Sanitizer|runtime error:", self.stderr())
        if self._process.returncode != self.exit_code or report:
            raise AssertionError(f"{self.command}: {self._outcome()}")

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def stderr(self):
        self._stderr.seek(0)
        text = self._stderr.read().decode(errors="replace")
        return f"\nits stderr:\n{text}" if text else ""

    def _outcome(self):
        return f"exit code {self._process.returncode}{self.stderr()}"


class _Result(unittest.TextTestResult):
    """Counts what passed: only that can show that anything was tested."""

    def __init__(self, *arguments):
        global _result
        super().__init__(*arguments)
        self.passed = 0
        _result = self

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def stopTest(self, test):
        super().stopTest(test)
        if options.results:
            wrong = [text for each, text in (*self.failures, *self.errors)
                     if test in (each, getattr(each, "test_case", None))]
            name = test.id().rpartition(".")[2].removeprefix("test_")
            pathlib.Path(options.results, name).write_text("\n".join(wrong) or "passed\n")

    def failed(self):
        return sum(map(len, (self.failures, self.errors, self.skipped,
                             self.expectedFailures, self.unexpectedSuccesses)))


def add_cases(test_class, rows, check):
    """Adds a test for every row (label, *values) to a class: it calls check(test, *values)."""
    for label, *values in rows:
        def test(self, values=values):
            check(self, *values)

        prefix = check.__name__.removeprefix("check_")
        name = f"test_{prefix}_" + re.sub(r"\W+", "_", label).strip("_")
        if hasattr(test_class, name):
            raise ValueError(f"two cases are called {name}")
        setattr(test_class, name, test)


def _out_of_time(signum, frame):
    traceback.print_stack(frame)
    _result.printErrors()
    print(f"the run took longer than {RUN_TIMEOUT} s, and hung where the first lines say",
          file=sys.stderr)
    _close(_result.failed() + 1)


def _close(failed):
    """Ends what was started, prints the closing line and exits."""
    if failed:
        for server in _servers:
            if server.stderr():
                print(f"{server.command}:{server.stderr()}", file=sys.stderr)
    cleanup.close()
    sys.stderr.flush()
    print(f"{_result.passed} passed, {failed} failed", flush=True)
    if options.results:
        failed = 0  # they are told
    os._exit(1 if failed or not (options.results or _result.passed) else 0)  # whatever threads and tasks still hang


def run(add_arguments=lambda parser: None):
    """Runs the tests of the calling script and exits."""
    global options
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("executable", help="the program under test")
    parser.add_argument("-k", dest="only", help="run only tests whose name contains this")
    parser.add_argument("--results", help="a folder, for a file by the name of each test that ended: "
                        "\"passed\", or what went wrong; the exit code is then 0 if there are any")
    add_arguments(parser)
    options = parser.parse_args()
    options.executable = os.path.abspath(options.executable)
    if options.results:
        shutil.rmtree(options.results, ignore_errors=True)
        os.makedirs(options.results)

    loader = unittest.TestLoader()
    if options.only:
        loader.testNamePatterns = [f"*{options.only}*"]
    suite = loader.loadTestsFromModule(sys.modules["__main__"])
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.alarm(RUN_TIMEOUT)
    unittest.TextTestRunner(resultclass=_Result).run(suite)
    signal.alarm(0)
    _close(_result.failed())
