"""What may be said of a few rounds of a measurement: a median, its interval, and who is ahead.

Nothing is assumed about how a measurement is distributed: noise of a shared machine is skewed, and
has outliers.
"""

import itertools
import math
import statistics

CONFIDENCE = 0.95
ENOUGH = 6  # rounds: with fewer, not even the smallest and the largest are a 95 % interval


def interval(values, confidence=CONFIDENCE):
    """{"median", "low", "high"}: the interval is one of the median; None of no values.

    With six rounds and more, it is made of order statistics: the k-th smallest and the k-th
    largest, k as large as the confidence allows, for each round lies above the true median with
    probability one half. That is exact, or wider. With fewer it is the percentile bootstrap, over
    all resamples that there are; it is too narrow, as any would be, so it is no proof. One round
    has no interval.
    """
    ordered = sorted(values)
    if not ordered:
        return None
    if len(ordered) == 1:
        low = high = None
    elif len(ordered) >= ENOUGH:
        at = order_statistic(len(ordered), confidence)
        low, high = ordered[at], ordered[-1 - at]
    else:
        resamples = itertools.product(ordered, repeat=len(ordered))
        medians = sorted(statistics.median(resample) for resample in resamples)
        at = int(len(medians) * (1 - confidence) / 2)
        low, high = medians[at], medians[-1 - at]
    return {"median": statistics.median(ordered), "low": low, "high": high}


def order_statistic(count, confidence=CONFIDENCE):
    """How many values may be left out at each end of `count`, so that the rest is an interval."""
    left_out, tail = -1, 0.0
    while tail <= (1 - confidence) / 2:
        left_out += 1
        tail += math.comb(count, left_out) / 2**count
    return left_out - 1


def ratios(mine, base):
    """Of two {round: value}, the ratios of the rounds that both have.

    Paired, because a machine that slows down for a round slows down both.
    """
    return [mine[at] / base[at] for at in sorted(mine.keys() & base.keys()) if base[at]]


def ranks(intervals, larger_is_better=True):
    """Of {name: interval}, the places {name: (best, worst)} that the intervals leave open to each.

    Nobody is ahead of another whose interval overlaps with its own, so two that overlap share a
    place. What has no interval is not ranked, and is not in the answer.
    """
    known = {name: i for name, i in intervals.items() if i and i["low"] is not None}

    def ahead(a, b):
        return a["low"] > b["high"] if larger_is_better else a["high"] < b["low"]

    return {
        name: (
            1 + sum(ahead(other, mine) for other in known.values()),
            len(known) - sum(ahead(mine, other) for other in known.values()),
        )
        for name, mine in known.items()
    }


def median_of(dictionaries):
    """The median of each key, over dictionaries of numbers; a key that is null in all is null."""
    medians = {}
    for key in dict.fromkeys(key for each in dictionaries for key in each):
        values = [each[key] for each in dictionaries if each.get(key) is not None]
        medians[key] = statistics.median(values) if values else None
    return medians


def merged(histograms):
    """One histogram [[upper, count], ...] of several."""
    counts = {}
    for upper, count in itertools.chain.from_iterable(histograms):
        counts[upper] = counts.get(upper, 0) + count
    return [[upper, counts[upper]] for upper in sorted(counts)]
