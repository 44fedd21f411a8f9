#!/usr/bin/env python3
"""A rank of four sleeps, computes, goes elsewhere, stops or dies: `weft doctor` says who, and why.

The others hang (their patience is long), and the doctor asks them from outside, as a user would. A
job in which all is well is told from these by the exit status.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import time

import crew

RANKS = 4
WEFT = crew.BUILD / "tools/weft"
# What is to be said of the culprit, and whether others wait for it in an operation.
VERDICTS = {"well": None, "sleep": "late", "compute": "compute", "other": "elsewhere",
            "stop": "stopped", "kill": "dead"}


def ask(pid, *options):
    """(exit status, what it says of this job, seconds that it took)."""
    began = time.monotonic()
    done = subprocess.run([WEFT, "doctor", "--pid", str(pid), "--json", *options],
                          capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode == 2:
        return 2, done.stderr, took
    return done.returncode, json.loads(done.stdout)[0], took


def complaint(kind, culprit, status, verdict):
    """What is wrong with the verdict; None if it is right."""
    if kind == "well":
        return None if status == 0 and verdict["well"] else f"exit status {status}: {verdict}"
    if status != 1:
        return f"exit status {status}: {verdict}"
    found = {f["rank"]: f["why"] for f in verdict["unwell"]}
    for s in verdict["stuck"]:
        if s["communicator"] == 0:
            found.update({f["rank"]: f["why"] for f in s["missing"]})
    if found != {culprit: VERDICTS[kind]}:
        return f"of rank {culprit}, {kind}, it says {verdict}"
    # A rank that waits in another communicator waits for those that wait for it.
    if kind == "other":
        return None if verdict["circle"] else f"no circle: {verdict}"
    awaited = verdict["stuck"] != []
    return None if not awaited or verdict["roots"] == [culprit] else f"roots: {verdict}"


def hurt(kind, victim):
    if kind == "kill":
        victim.process.kill()
    elif kind == "stop":
        os.kill(victim.pid, signal.SIGSTOP)
    elif kind != "well":
        victim.tell(kind)


def one(kind, transport, random, patience):
    options = ["--transport", transport, "--seed", random.randrange(1 << 30), "--patience-ms",
               "120000", "--bytes", "8,2048,300000", "--linger-ms", "60000"]
    with crew.Crew(RANKS, *options) as team:
        if not all(team.ready()):
            return "they did not join:\n" + team.story()
        culprit = random.randrange(RANKS)
        other = team.ranks[(culprit + 1) % RANKS]
        hurt(kind, team.ranks[culprit])
        # How soon they stand still, and the others know it, is the machine's business.
        until = time.monotonic() + patience
        wrong = "never asked"
        while wrong and time.monotonic() < until:
            time.sleep(0.5)
            status, verdict, took = ask(other.pid, "--deadline", "2")
            wrong = complaint(kind, culprit, status, verdict)
        words = subprocess.run([WEFT, "doctor", "--pid", str(other.pid), "--deadline", "2"],
                               capture_output=True, text=True, check=False).stdout
        print(f"{kind} {transport}: rank {culprit}; asked within {took:.2f} s\n{words}", flush=True)
        if wrong or kind != "well":
            return wrong
        ends = team.stop()
        right = all(line and line.split()[0] == "done" and line.split()[2] == "0" for line in ends)
        return None if right else f"asking disturbed them: {ends}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", default=",".join(VERDICTS))
    parser.add_argument("--transports", default="shm,tcp")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=30.0, help="seconds until it must know")
    args = parser.parse_args()
    random = crew.seeded(args)
    bad = 0
    for transport in args.transports.split(","):
        for kind in args.kinds.split(","):
            wrong = one(kind, transport, random, args.patience)
            if wrong:
                bad += 1
                print(f"MISS {kind} {transport}: {wrong}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
