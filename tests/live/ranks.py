#!/usr/bin/env python3
"""A rank of four dies, stops, naps, sleeps, goes elsewhere, or the job is aborted: when, is random.

Every other rank says who it was and what became of it within its patience; after a death, shrink()
gives a communicator that works, and whoever was stopped meanwhile is told; nothing is left over.
`--runs 200` by hand.
"""
import argparse
import collections
import os
import re
import signal
import sys
import time

import crew

RANKS = 4
PATIENCE = 2.0
# What every other rank has to say of culprit N.
CLASSES = {
    "kill": r"rank {0} (is dead|\(dead)",
    "stop": r"rank {0} \(silent",
    "nap": r"rank {0} \(silent",
    "sleep": r"rank {0} \(late",
    "other": r"rank {0} \(in \w+",
    "abort": r"told to",
}


SHRINKING = ("kill", "stop", "nap")


def hurt(kind, team, culprit):
    victim = team.ranks[culprit]
    if kind == "kill":
        victim.process.kill()
    elif kind in ("stop", "nap"):
        os.kill(victim.pid, signal.SIGSTOP)
    elif kind in ("sleep", "other"):
        victim.tell(kind)
    elif kind == "abort":  # two peers hang; rank 0 gives up from another thread
        for r in (2, 3):
            os.kill(team.ranks[r].pid, signal.SIGSTOP)
        time.sleep(0.3)
        team.ranks[0].tell("abort")


def judge(kind, team, culprit, hit, slack):
    """(seconds until each other rank said so, what was wrong)."""
    others = [0, 1] if kind == "abort" else [r for r in range(RANKS) if r != culprit]
    limit = (1.0 if kind == "abort" else PATIENCE + 1.0) * slack
    times, misses = [], []
    for r in others:
        line = team.ranks[r].wait_for(["failed"], hit + 20 * slack)
        if not line:
            misses.append(f"rank {r} hangs or ended without a word")
            continue
        _, _, ended, text = line.split(" ", 3)
        times.append(float(ended) - hit)
        if times[-1] > limit:
            misses.append(f"rank {r} after {times[-1]:.2f} s")
        if not re.search(CLASSES[kind].format(culprit), text):
            misses.append(f"rank {r} does not say what became of rank {culprit}: {text}")
    if kind in SHRINKING:
        for r in others:
            line = team.ranks[r].wait_for(["shrunk", "unshrunk"], hit + 30 * slack)
            if not line or line.split()[0] != "shrunk" or line.split()[2] != str(RANKS - 1):
                misses.append(f"rank {r}: shrink gave {line}")
            elif line:
                shrinks.append(float(line.split()[1]))
    if kind == "nap":  # back again, it is told that the others go on without it
        os.kill(team.ranks[culprit].pid, signal.SIGCONT)
        line = team.ranks[culprit].wait_for(["shrunk", "unshrunk"], time.monotonic() + 20 * slack)
        if not line or not re.search(r"^unshrunk.*counted out", line):
            misses.append(f"the culprit, awake again: {line}")
    return times, misses


shrinks = []


def one(kind, transport, random, slack):
    # On a busy machine ranks need more patience with each other too.
    patience = 30_000 if kind == "abort" else int(PATIENCE * slack * 1000)
    culprit = random.randrange(RANKS)
    # Who is elsewhere waits too, and must not give up before the others have seen it there.
    more = lambda r: ["--patience-ms", patience * (1 + (kind == "other" and r == culprit))]
    options = ["--transport", transport, "--seed", random.randrange(1 << 30), "--bytes",
               "8,2048,40000,300000,2000000"]
    if kind in SHRINKING:
        options.append("--shrink")
    before = crew.shared_memory_entries()
    with crew.Crew(RANKS, *options, more=more) as team:
        if not all(team.ready(60 * slack)):
            return [], ["they did not join:\n" + team.story()]
        time.sleep(random.uniform(0.0, 0.3))
        hit = time.monotonic()
        hurt(kind, team, culprit)
        times, misses = judge(kind, team, culprit, time.monotonic() if kind == "abort" else hit,
                              slack)
        if misses:
            misses.append(f"culprit {culprit}\n" + team.story())
        for rank in team.ranks:  # those that can end do so by themselves
            if kind == "kill" and rank is not team.ranks[culprit]:
                try:
                    rank.process.wait(10 * slack)
                except Exception:  # pylint: disable=broad-except
                    misses.append("a survivor does not end")
    left = crew.shared_memory_entries() - before
    if left:
        misses.append(f"left in /dev/shm: {sorted(left)}")
    return times, misses


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slack", type=float, default=1.0, help="for limits on a busy machine")
    parser.add_argument("--kinds", default=",".join(CLASSES))
    parser.add_argument("--transports", default="shm,tcp")
    args = parser.parse_args()
    random = crew.seeded(args)
    cases = [(k, t) for t in args.transports.split(",") for k in args.kinds.split(",")]
    all_times, bad = collections.defaultdict(list), 0
    for i in range(args.runs):
        kind, transport = cases[i % len(cases)]
        times, misses = one(kind, transport, random, args.slack)
        all_times[kind, transport] += times
        if misses:
            bad += 1
            print(f"MISS run {i} {kind} {transport}: " + "\n".join(misses), flush=True)
    for (kind, transport), times in all_times.items():
        print(f"{kind:6} {transport}: {len(times)} words heard, p50 "
              f"{crew.percentile(times, 0.5):.3f} s, p99 {crew.percentile(times, 0.99):.3f} s, "
              f"most {max(times, default=0):.3f} s")
    print(f"shrink to an all-reduce: p50 {crew.percentile(shrinks, 0.5):.3f} s, most "
          f"{max(shrinks, default=0):.3f} s")
    print(f"{args.runs - bad} of {args.runs} runs as they should be")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
