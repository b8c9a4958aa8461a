"""How far it is: a bar with the remaining time on a terminal, a line a round anywhere else."""

import shutil
import sys
import time

BAR = 24


def time_text(seconds):
    """A duration as one says it: "40 s", "3 min 20 s", "1 h 10 min"."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 10 and seconds:
        return f"{minutes} min {seconds} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


class Progress:
    """Counts in expected seconds, and corrects them by what those that are over really took."""

    def __init__(self, expected, stream=sys.stderr, clock=time.monotonic):
        self.expected, self.stream, self.clock = expected, stream, clock
        self.done = 0.0
        self.start = clock()
        self.bar = stream.isatty()

    def heading(self, text):
        """A new round, or another part."""
        if not self.bar:
            print(f"{text}, about {time_text(self.remaining())} left", file=self.stream, flush=True)

    def step(self, text, expected):
        """What starts now; `expected` seconds are done before the next step."""
        if self.bar:
            self.draw(text)
        self.done += expected

    def remaining(self):
        elapsed = self.clock() - self.start
        # The plan is believed until there is something better: a tenth of it.
        pace = elapsed / self.done if self.done > self.expected / 10 else 1.0
        return max(0.0, self.expected - self.done) * pace

    def draw(self, text):
        share = min(1.0, self.done / self.expected) if self.expected else 1.0
        full = round(BAR * share)
        bar = "#" * full + "." * (BAR - full)
        line = f"[{bar}] {share:4.0%}  {time_text(self.remaining())} left  {text}"
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{line[:width]:<{width}}", end="", file=self.stream, flush=True)

    def clear(self):
        """The bar makes room for other output."""
        if self.bar:
            print(f"\r{'':<{shutil.get_terminal_size().columns - 1}}\r", end="", file=self.stream,
                  flush=True)
