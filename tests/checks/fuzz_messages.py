"""A million messages of which any field may be anything, to a companion and to a link.

    .venv/bin/python tests/checks/fuzz_messages.py --messages 1000000 --minutes 60

Before and after the token is proved. It says every ten seconds how many have been looked at (what follows a
malformed one is not), and at the end PASSED; what fails or hangs ends it with a traceback.
"""

from __future__ import annotations

import argparse
import collections
import faulthandler
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from hypothesis import HealthCheck, Phase, given, seed, settings
from messages import MESSAGES, CompanionUnderFire, LinkUnderFire, heard, leaving_nothing

from dmlink.indm import protocol

ENDS = (CompanionUnderFire, LinkUnderFire)
WAYS = ("before_the_token", "after_the_token")
ROUND = 10  # lists of messages that Hypothesis makes between two checks
MIXES = 20  # others of what it has made, for each of these
EACH_SECONDS, TELL_SECONDS = 15.0, 10.0  # for each end, which is then restarted
HUNG_SECONDS = 50.0  # without an answer
POOL = 20_000  # messages that these are taken from


def main() -> int:
    """Fuzz; return 0 if all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=60.0, help="end then, however many were sent")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    pool: collections.deque[bytes] = collections.deque(maxlen=POOL)
    begun, sent, rounds = time.monotonic(), dict.fromkeys(WAYS, 0), 0
    told = begun
    print(f"seed {options.seed}", flush=True)

    def over() -> bool:
        return sum(sent.values()) >= options.messages or time.monotonic() - begun > 60 * options.minutes

    with tempfile.TemporaryDirectory() as home:
        os.environ["DMLINK_HOME"] = home
        while not over():
            for end in ENDS:
                until = time.monotonic() + EACH_SECONDS
                with leaving_nothing(), end() as target:
                    while time.monotonic() < until and not over():
                        rounds += 1
                        way = WAYS[rounds % 2]
                        sent[way] += fire(target, way, pool, options.seed + rounds)
                        if time.monotonic() - told > TELL_SECONDS:
                            told = time.monotonic()
                            print(f"{told - begun:5.0f} s  {sum(sent.values())} messages", flush=True)
    how_many = ", ".join(f"{n} {way.replace('_', ' ')}" for way, n in sent.items())
    print(f"PASSED: {how_many}; none got in, none hung, nothing is left")
    return 0


def fire(
    target: CompanionUnderFire | LinkUnderFire, way: str, pool: collections.deque[bytes], number: int
) -> int:
    """Send a round of messages; return how many were looked at."""
    sent, mixed = 0, random.Random(number)  # noqa: S311 - nothing secret

    @seed(number)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(MESSAGES)
    def one(messages: list[bytes]) -> None:
        nonlocal sent
        faulthandler.dump_traceback_later(HUNG_SECONDS, exit=True)
        pool.extend(messages)
        longest, last = (30, target.LAST) if way == "after_the_token" else (2, protocol.KINDS)
        mixes = [mixed.choices(pool, k=mixed.randint(1, longest)) for _ in range(MIXES)]
        for some in [messages, *mixes]:
            sent += heard(some, {*last, protocol.BYE})
            getattr(target, way)(some)

    one()
    target.check()
    return sent


if __name__ == "__main__":
    raise SystemExit(main())
