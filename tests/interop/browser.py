#!/usr/bin/python3
"""Headless Chromium opens the page of an echo server, types, and sees the echo and the close.

A screenshot of the page in use is saved on the way. With --tls it is https:// and wss://.
"""

import pathlib
import unittest

from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

import certificates
import chromium
import echo_server
from echo_server import TIMEOUT, Server

driver = None
scheme = "http"
tls = []  # the server's arguments


def setUpModule():
    global driver, scheme, tls
    driver = chromium.start(echo_server.cleanup, TIMEOUT, logs=["browser"],
                            trusts_all=echo_server.options.tls)
    if echo_server.options.tls:
        certificate = certificates.Folder(echo_server.cleanup).certificate("localhost")
        scheme, tls = "https", ["--tls-cert", certificate, "--tls-key", certificate]


def element(name):
    return driver.find_element(By.ID, name)


class Page(unittest.TestCase):
    def setUp(self):
        self.server = Server(*tls)
        self.addCleanup(self.server.kill)  # for a test that failed; otherwise it was stopped
        driver.get(f"{scheme}://{self.server.authority}/")
        self.wait_for("connected")

    def wait(self, condition, what):
        try:
            return WebDriverWait(driver, TIMEOUT, poll_frequency=0.05).until(lambda _: condition())
        except TimeoutException:
            self.fail(f"waited for {what}; status: {element('status').text!r}, "
                      f"log: {element('log').text!r}, console: {driver.get_log('browser')}")

    def wait_for(self, status):
        self.wait(lambda: status in element("status").text, f"the status {status!r}")

    def rows(self, kind):
        """What the log shows, as (text, time) of each row of this kind."""
        def part(row, name):
            return row.find_element(By.CLASS_NAME, name).text

        return [(part(row, "text"), part(row, "time"))
                for row in driver.find_elements(By.CSS_SELECTOR, f"#log .{kind}")]

    def assert_echoes(self, *texts):
        rows = self.wait(lambda: len(self.rows("echo")) >= len(texts) and self.rows("echo"),
                         f"{len(texts)} echoes")
        self.assertEqual([text for text, _ in rows], list(texts))
        for _, time in rows:
            self.assertRegex(time, r"^\d+(\.\d+)? ms$")

    def assert_no_errors(self):
        severe = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
        self.assertEqual(severe, [])

    def type(self, text):
        element("message").send_keys(text)

    def test_1_type_and_see_the_echo(self):
        self.assertIn("timtow", driver.title)
        self.type("hello from a browser")
        element("send").click()
        self.assert_echoes("hello from a browser")
        self.assertEqual(element("message").get_attribute("value"), "")
        self.type("sent by Enter" + Keys.ENTER)
        self.assert_echoes("hello from a browser", "sent by Enter")
        self.type("Grüße, Ελλάδα, Привет, €" + Keys.ENTER)
        self.type("0" + Keys.ENTER)
        self.type(Keys.ENTER)
        echoes = ["hello from a browser", "sent by Enter", "Grüße, Ελλάδα, Привет, €", "0",
                  "(empty)"]
        self.assert_echoes(*echoes)
        self.type("half a thought")
        screenshot = pathlib.Path(echo_server.options.screenshot)
        self.assertTrue(driver.save_screenshot(str(screenshot)))
        self.assertEqual(screenshot.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        self.type(", 你好" + Keys.ENTER)
        # No key types this one.
        driver.execute_cdp_cmd("Input.insertText", {"text": "\U0001f44b beyond 16 bits"})
        self.type(Keys.ENTER)
        self.assert_echoes(*echoes, "half a thought, 你好", "\U0001f44b beyond 16 bits")
        self.assert_no_errors()
        self.server.stop()

    def test_2_close_and_reconnect(self):
        self.type("before" + Keys.ENTER)
        self.assert_echoes("before")
        element("close").click()
        self.wait_for("closed: 1000")
        self.assertEqual(len(self.rows("note")), 1)
        self.assertIn("closed: 1000", self.rows("note")[0][0])
        self.assertFalse(element("send").is_enabled())
        element("reconnect").click()
        self.wait_for("connected")
        self.type("after" + Keys.ENTER)
        self.assert_echoes("before", "after")
        self.assert_no_errors()
        self.server.stop()

    def test_3_server_stops(self):
        self.server.terminate()
        self.wait_for("closed: 1001")
        self.assertIn("closed: 1001", self.rows("note")[0][0])
        self.assert_no_errors()
        self.server.expect_exit()

    def test_4_message_over_the_limit(self):
        with Server("--max-message", "10", *tls) as limited:
            driver.get(f"{scheme}://{limited.authority}/")
            self.wait_for("connected")
            self.type("more than ten bytes" + Keys.ENTER)
            self.wait_for("closed: 1009")
            self.assertRegex(self.rows("note")[0][0], r"\b10\b")
        self.server.stop()

    def test_5_page_works_below_a_prefix(self):
        # A proxy may serve the page at another path; the socket then belongs to the same path.
        driver.execute_script("history.replaceState(null, '', '/below/a/prefix/?q=1#part')")
        element("close").click()
        self.wait_for("closed: 1000")
        element("reconnect").click()
        self.wait_for("connected")
        self.assertEqual(driver.execute_script("return socket.url"),
                         f"{scheme.replace('http', 'ws')}://{self.server.authority}/below/a/prefix/?q=1")
        self.type("hello" + Keys.ENTER)
        self.assert_echoes("hello")
        self.server.stop()

    def test_6_compressed(self):
        self.assertEqual(driver.execute_script("return socket.extensions"), "")
        for option in "--deflate", "--deflate-takeover":
            with Server(option) as compressing:
                driver.get(f"http://{compressing.authority}/")
                self.wait_for("connected")
                agreed = driver.execute_script("return socket.extensions")
                self.assertTrue(agreed.startswith("permessage-deflate"), agreed)
                texts = ["short", "one and the same again, " * 50, "one and the same again, " * 60]
                for text in texts:
                    driver.execute_script("arguments[0].value = arguments[1]", element("message"),
                                          text)
                    element("send").click()
                self.assert_echoes(*texts)
                self.assert_no_errors()
        self.server.stop()


if __name__ == "__main__":
    def add_arguments(parser):
        parser.add_argument("--screenshot", default="echo-page.png",
                            help="where to save the screenshot")
        parser.add_argument("--tls", action="store_true", help="with a certificate made for it")

    echo_server.run(add_arguments)
