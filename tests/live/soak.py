#!/usr/bin/env python3
"""Many small collectives: memory, descriptors and threads of every rank stay as they were.

Samples each rank's resident memory, open descriptors and threads, and compares the last with those
after a tenth of the time, when caches and buffers have their size. `--runs 1000000` by hand.
"""
import argparse
import os
import sys
import time

import crew

RANKS = 2
SIZES = "8,64,1000,4096,20000"


def sample(pid):
    """(bytes of resident memory but of files, descriptors, threads); None if it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        rss = sum(int(fields[f].split()[0]) for f in ("RssAnon", "RssShmem")) * 1024
        return rss, len(os.listdir(f"/proc/{pid}/fd")), int(fields["Threads"])
    except (FileNotFoundError, ProcessLookupError, KeyError):
        return None


def run(transport, operations, patience):
    options = ["--transport", transport, "--bytes", SIZES, "--operations", operations,
               "--patience-ms", "30000"]
    before = crew.shared_memory_entries()
    series = [[] for _ in range(RANKS)]
    with crew.Crew(RANKS, *options) as team:
        if not all(team.ready()):
            print("they did not join:\n" + team.story())
            return False
        began = time.monotonic()
        while any(r.process.poll() is None for r in team.ranks):
            for rank, line in zip(team.ranks, series):
                now = sample(rank.pid)
                if now:
                    line.append(now)
            if time.monotonic() > began + patience:
                print("they do not end:\n" + team.story())
                return False
            time.sleep(0.05 if len(series[0]) < 100 else 1.0)
        took = time.monotonic() - began
        for rank in team.ranks:
            rank.reader.join(5)
        ends = [rank.said("done") for rank in team.ranks]
    right = all(line and line.split()[1:] == [str(operations), "0"] for line in ends)
    flat = True
    for r, line in enumerate(series):
        # The last samples may show a rank that is ending already.
        middle = line[len(line) // 10:max(len(line) - 3, 1)]
        if not middle:
            continue
        least = [min(s[i] for s in middle) for i in range(3)]
        most = [max(s[i] for s in middle) for i in range(3)]
        first, last = middle[0][0], middle[-1][0]
        print(f"  rank {r}: {len(line)} samples, memory {first / 2**20:.1f} to "
              f"{last / 2**20:.1f} MiB, descriptors {least[1]} to {most[1]}, threads {least[2]} to "
              f"{most[2]}")
        flat = flat and last - first < 2 << 20 and least[1:] == most[1:]
    left = crew.shared_memory_entries() - before
    print(f"{operations} collectives over {transport}: {took:.1f} s, "
          f"{'right' if right else f'WRONG: {ends}'}, {'flat' if flat else 'NOT FLAT'}, left in "
          f"/dev/shm: {sorted(left)}", flush=True)
    return right and flat and not left


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20_000, help="collectives")
    parser.add_argument("--transports", default="shm,tcp")
    parser.add_argument("--patience", type=float, default=3600.0, help="seconds for one transport")
    args = parser.parse_args()
    fine = [run(t, args.runs if t == "shm" else max(args.runs // 10, 1), args.patience)
            for t in args.transports.split(",")]
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
