#!/usr/bin/env python3
"""Strangers at every listening port while four ranks run collectives over TCP.

Connections that say nothing, garbage, half a message, a recorded greeting with other secrets, and
a rank of another job with the right names: no result changes, no latency worth naming, none joins.
`--runs 10000` connections by hand.
"""
import argparse
import os
import socket
import struct
import subprocess
import sys
import threading
import time

import crew

RANKS = 4


def listening(pid):
    """(address, port) pairs at which the process listens, from the kernel."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as table:
        for line in table.readlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                address, port = words[1].split(":")
                found.append((socket.inet_ntoa(struct.pack("<I", int(address, 16))),
                              int(port, 16)))
    return found


def greeting_of(place):
    """What the port says first to whoever connects; empty: it waits to be spoken to."""
    with socket.create_connection(place, timeout=1) as s:
        s.settimeout(0.3)
        try:
            return s.recv(4096)
        except (socket.timeout, ConnectionError):
            return b""


class Strangers:
    def __init__(self, places, random):
        self.places, self.random = places, random
        self.held, self.answers, self.refused = [], 0, 0

    def come(self):
        """One connection, of a random kind; some are held open, up to 200 at a time."""
        place = self.random.choice(self.places)
        kind = self.random.randrange(5)
        try:
            s = socket.create_connection(place, timeout=2)
        except OSError:
            self.refused += 1
            return
        s.settimeout(0.002)
        try:
            if kind == 1:
                s.sendall(self.random.randbytes(self.random.randrange(1, 4096)))
            elif kind == 2:  # looks like a frame with a length beyond all bounds
                s.sendall(struct.pack("<II", 0xffffffff, 0xffffffff) * 8)
            elif kind == 3:  # half of what a peer would say: its own greeting, cut
                s.sendall(self.greeting[:self.random.randrange(1, 1 + len(self.greeting))])
            elif kind == 4:  # all of it, and then made-up proofs
                s.sendall(self.greeting + self.random.randbytes(64))
            if self.random.randrange(50) == 0 and s.recv(4096):
                self.answers += 1
        except OSError:
            pass
        if self.random.randrange(3) == 0:
            self.held.append(s)
            if len(self.held) > 200:
                self.held.pop(0).close()
        else:
            s.close()

    greeting = b"\0" * 64

    def go(self):
        for s in self.held:
            s.close()


def turn_away(server):
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return  # it is closed


def visit(strangers, connections):
    for i in range(connections):
        strangers.come()
        if i % 20 == 19:
            time.sleep(0.01)  # some 1500 a second


def latencies(team, begin, end):
    return [float(w[3]) - float(w[2]) for w in (line.split() for line in list(
        team.ranks[0].lines) if line.startswith("op ")) if begin <= float(w[2]) and
        float(w[3]) <= end]


def wrong_secrets(team):
    """A rank of another job in the same folder: its id has other secrets."""
    made = subprocess.run([crew.RANK, "--make-id", team.folder], capture_output=True,
                          text=True, check=True)
    stranger = crew.Rank([str(crew.RANK), "--id", made.stdout.strip(), "--rank", "1", "--ranks",
                          str(RANKS), "--transport", "tcp", "--meet-ms", "1500"])
    line = stranger.wait_for(["ready", "unjoined"], time.monotonic() + 30)
    stranger.process.kill()
    stranger.process.wait()
    return line or "unjoined: ended"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="connections")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    random = crew.seeded(args)
    options = ["--transport", "tcp", "--bytes", "8,4096,100000", "--report", "--pause-us", "2000",
               "--patience-ms", "20000"]
    with crew.Crew(RANKS, *options) as team:
        if not all(team.ready()):
            print("they did not join:\n" + team.story())
            return 1
        places = sorted({p for r in team.ranks for p in listening(r.pid)})
        wide = [p for p in places if p[0] == "0.0.0.0"]
        calm = time.monotonic()
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as own:
            # The same work, at nobody's door: what is left is what the strangers do to the ranks.
            threading.Thread(target=turn_away, args=[own], daemon=True).start()
            visit(Strangers([own.getsockname()], random), args.runs)
        began = time.monotonic()
        quiet = latencies(team, calm, began)
        strangers = Strangers(places, random)
        if places:
            strangers.greeting = next(filter(None, map(greeting_of, places)), strangers.greeting)
            visit(strangers, args.runs)
        ended = time.monotonic()
        busy = latencies(team, began, ended)
        joined = wrong_secrets(team)
        ends = team.stop()
        strangers.go()
        lines = [line or "hangs" for line in ends]
    right = all(line.split()[0] == "done" and line.split()[2] == "0" for line in lines)
    p = crew.percentile
    print(f"{len(places)} listening ports, {len(wide)} on all interfaces; {args.runs} strangers in "
          f"{ended - began:.1f} s, {strangers.refused} refused, {strangers.answers} of the asked "
          f"got an answer")
    print(f"latency with as many strangers elsewhere: p50 {1e3 * p(quiet, .5):.2f} ms, p99 "
          f"{1e3 * p(quiet, .99):.2f} ms ({len(quiet)}); here: p50 {1e3 * p(busy, .5):.2f} ms, p99 "
          f"{1e3 * p(busy, .99):.2f} ms ({len(busy)}); stranger's own join: {joined}")
    print("; ".join(lines))
    return 0 if right and not wide and joined.startswith("unjoined") else 1


if __name__ == "__main__":
    sys.exit(main())
