#!/usr/bin/env python3
"""Many rank processes on one machine: how long until all have joined and all-reduced once.

A result beyond the limit fails; so do more sockets at a rank than its neighbours in the overlay and
in the Plan explain (a rank that is connected to all others has one for each).
"""
import argparse
import os
import sys
import time

import crew


def connections(pid):
    """Sockets of a process; those that listen and those of the kernel's included."""
    count = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
        except FileNotFoundError:
            pass
    return count


def run(ranks, transport, seconds):
    began = time.monotonic()
    options = ["--transport", transport, "--bytes", "8", "--allreduce-only", "--report",
               "--patience-ms", "30000"]
    with crew.Crew(ranks, *options, "--operations", "0", "--pause-us", "500000") as team:
        until = began + 120
        firsts = [r.wait_for(["op 0", "failed", "unjoined"], until) for r in team.ranks]
        bad = [line for line in firsts if not line or not line.startswith("op 0")]
        if bad:
            print(f"MISS {len(bad)} of {ranks} ranks: {bad[0]}")
            return False
        took = max(float(line.split()[3]) for line in firsts) - began
        joined = max(float(r.said("ready").split()[1]) for r in team.ranks)
        sockets = [connections(r.pid) for r in team.ranks]
        ends = team.stop()
        right = all(line and line.split()[0] == "done" and line.split()[2] == "0"
                    for line in ends)
    print(f"{ranks} ranks over {transport}: {took:.2f} s from the first fork to the last rank's "
          f"first all-reduce (joined within {joined:.2f} s); sockets a rank: least "
          f"{min(sockets)}, most {max(sockets)}; {'right' if right else 'WRONG'}")
    few = ranks <= 32 or max(sockets) <= 40
    return right and few and took <= seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--ranks", type=int, default=32)
    parser.add_argument("--within", type=float, default=60.0, help="seconds; 5 by hand")
    parser.add_argument("--transports", default="shm,tcp")
    args = parser.parse_args()
    fine = [run(args.ranks, t, args.within) for t in args.transports.split(",")
            for _ in range(args.runs)]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
