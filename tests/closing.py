"""Runs the unittest tests of a script, and prints the line that a run of tests closes with."""

import sys
import unittest


class Result(unittest.TextTestResult):
    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def run(arguments=()):
    """All tests of the script, or those that unittest's arguments choose; then it exits. To run no
    test, or to skip one, is a failure."""
    result = unittest.main(argv=[sys.argv[0], *arguments], exit=False,
                           testRunner=unittest.TextTestRunner(resultclass=Result)).result
    failed = len(result.failures) + len(result.errors) + len(result.skipped)
    print(f"{result.passed} passed, {failed} failed")
    sys.exit(1 if failed or not result.passed else 0)
