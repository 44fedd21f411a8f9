#!/usr/bin/env python3
"""Routes of HPN 7.0 computed a second time, from the structure's arithmetic alone.

Shares no code with topology/routing: ToR and Agg numbers come from the facts (segment * 16 + rail *
2 + port, pod * 120 + plane * 60 + i), hashes from zlib's CRC-32 and SplitMix64. `weft route` must
print the same hops for random pairs, both as hashed QPs and as the first disjoint path.
"""
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEFT = (ROOT / os.environ.get("WEFT_BUILD_DIR", "build/release") / "tools" / "weft").resolve()
MASK = (1 << 64) - 1
SEED = 1
PODS, SEGMENTS, HOSTS, RAILS = 2, 15, 128, 8
POD_GPUS = SEGMENTS * HOSTS * RAILS
POD_NODES = 120 + SEGMENTS * 16  # Agg first, then ToRs


def mix1(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def mix(a, b):
    return mix1(mix1(a) ^ ((b + 0x632BE59BD9B4E019) & MASK))


def fnv(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def source_port(q):
    """The first draw below 16384 of the stream (seed, q, "udp source port"); 2^14 divides 2^64."""
    key = mix(mix(SEED, q), fnv("udp source port"))
    return 49152 + (mix(key, 0) >> 50)


def crc(src, dst, port):
    """zlib's CRC without its initial value and final inversion: the linear part."""
    data = struct.pack(">IIHHB", src, dst, port, 4791, 17)
    return zlib.crc32(data) ^ zlib.crc32(bytes(len(data)))


def pick(value, seed, n):
    turn = (seed >> 32) & 31
    value = ((value >> turn) | (value << (32 - turn))) & 0xFFFFFFFF
    return (value ^ (seed & 0xFFFFFFFF)) % n


def switch_seed(node):
    return mix(mix(SEED, 3), node)


NIC_SEED = mix(SEED, 0xB0ADED)


class Place:
    def __init__(self, gpu):
        self.host, self.rail = divmod(gpu, RAILS)
        self.segment = self.host // HOSTS
        self.pod = self.segment // SEGMENTS

    def tor(self, plane):
        return self.segment * 16 + self.rail * 2 + plane

    def tor_node(self, plane):
        return self.pod * POD_NODES + 120 + self.tor(plane) - self.pod * SEGMENTS * 16


def hops(src, dst, plane, choose):
    """choose(node, hops left, n) is the index that a ToR, an Agg or a core takes; core: n = 60."""
    a, b = Place(src), Place(dst)
    gpu, nic = "host[{}].gpu[{}]".format, "host[{}].nic[{}]".format
    middle = [f"tor[{a.tor(plane)}]"]
    if a.tor(plane) != b.tor(plane):
        far = a.pod != b.pod
        i = choose("tor", a.tor_node(plane), 4 if far else 2, 60, None)
        middle.append(f"agg[{a.pod * 120 + plane * 60 + i}]")
        if far:
            node = a.pod * POD_NODES + plane * 60 + i
            core = choose("agg", node, 3, 8, None)
            j = choose("core", None, 2, 60, i)
            middle += [f"core[{plane * 8 + core}]", f"agg[{b.pod * 120 + plane * 60 + j}]"]
        middle.append(f"tor[{b.tor(plane)}]")
    way = [gpu(a.host, a.rail), nic(a.host, a.rail), *middle, nic(b.host, b.rail),
           gpu(b.host, b.rail)]
    names = [f"{x} > {y}" for x, y in zip(way, way[1:])]
    names[1] = f"{way[1]}:{plane} > {way[2]}"
    return names


def hashed(src, dst, port):
    value = crc(src, dst, port)

    def choose(kind, node, left, n, ingress):
        return ingress % n if kind == "core" else pick(value, switch_seed(node), n)

    return hops(src, dst, pick(value, NIC_SEED, 2), choose)


def disjoint(src, dst, plane):
    rotation = mix(mix(src, dst), SEED)

    def choose(kind, node, left, n, ingress):
        return ingress % n if kind == "core" else mix(rotation, left) % n

    return hops(src, dst, plane, choose)


def weft(src, dst, *more):
    done = subprocess.run([WEFT, "route", "--fabric", f"hpn7:pods={PODS}", "--from", str(src),
                           "--to", str(dst), "--json", *more], check=True, text=True,
                          stdout=subprocess.PIPE)
    return [[hop["link"] for hop in route["hops"]] for route in json.loads(done.stdout)]


def main():
    draw = random.Random(5)
    pairs = [(3, 11), (0, 13), (2, 3074), (1, 15361)]
    while len(pairs) < 16:
        a, b = draw.randrange(PODS * POD_GPUS), draw.randrange(PODS * POD_GPUS)
        if a // RAILS != b // RAILS:
            pairs.append((a, b))
    wrong = 0
    for a, b in pairs:
        expected = [hashed(a, b, source_port(q)) for q in range(3)]
        expected += [disjoint(a, b, plane) for plane in range(2)]
        found = weft(a, b, "--qps", "3") + weft(a, b)
        for one, other in zip(expected, found):
            if one != other:
                wrong += 1
                print(f"{a} to {b}: expected {one}\n  found {other}")
        wrong += len(expected) != len(found)
    print(f"{len(pairs)} pairs, {wrong} routes differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
