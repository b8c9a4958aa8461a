"""Headless Chromium, driven by Debian's selenium. It ends with the ExitStack that it is given."""

import os
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

CHROMIUM, CHROMEDRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
         "--no-proxy-server", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--window-size=900,700"]


def start(cleanup, timeout, logs, trusts_all=False):
    """A browser with an empty profile. `timeout`: seconds, for one wait; `logs`: which it keeps;
    `trusts_all`: whatever certificate comes."""
    # The way to chromedriver is direct, too.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    profile = cleanup.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
    browser = webdriver.ChromeOptions()
    browser.binary_location = CHROMIUM
    browser.accept_insecure_certs = trusts_all
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        browser.add_argument(flag)
    browser.set_capability("goog:loggingPrefs", {log: "ALL" for log in logs})
    driver = webdriver.Chrome(service=Service(CHROMEDRIVER), options=browser)
    cleanup.callback(driver.quit)
    driver.set_page_load_timeout(timeout)
    driver.set_script_timeout(timeout)
    return driver
