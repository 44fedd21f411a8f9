#!/usr/bin/env python3
"""Closed forms of collectives on HPN 7.0, from documented numbers alone, held against `weft sim`.

usage: closed_form.py            print the forms
       closed_form.py --check    run the program found in $WEFT_BUILD_DIR and compare

Knows nothing of the engine: the fabric's figures are the paper's (HPN24: hosts of 8 GPUs, one NIC
of 2 x 200 Gb/s a GPU, 200 GB/s NVLink a direction, segments of 128 hosts) and SimAI's presets
(0.5 us a NIC or switch link, 25 ns an NVLink hop); the costs are the textbook's (alpha and beta
terms). Standard library only.
"""
import json
import math
import os
import subprocess
import sys

MiB = 1 << 20
GiB = 1 << 30

GPUS_PER_HOST = 8
HOSTS_PER_SEGMENT = 128
NVLINK = 200e9          # bytes/s, each direction, per GPU
NIC = 2 * 200e9 / 8     # bytes/s, each direction, per GPU
NVLINK_HOP = 2 * 25e-9  # GPU - switch - GPU
SAME_TOR = 2 * 0.5e-6   # NIC - ToR - NIC
OVER_AGG = 4 * 0.5e-6   # NIC - ToR - Agg - ToR - NIC
LOOPS, SLICES = 4, 2    # slice loops of the hierarchical plan, and slices in each


class Endpoint:
    """What a host adds: a launch, a cost for each dependent step (seconds), the part of a link's
    rate that it fills, the most bus bandwidth of a group on many hosts and the most of one channel
    inside a host (bytes/s), and wire bytes per byte."""

    def __init__(self, launch, scale_up_step, network_step, scale_up_part=1.0, network_part=1.0,
                 most=float("inf"), channel=float("inf"), overhead=1.0):
        self.channel = channel
        self.overhead = overhead
        self.launch = launch
        self.most = most
        self.scale_up_step = scale_up_step
        self.network_step = network_step
        self.nvlink = NVLINK * scale_up_part
        self.nic = NIC * network_part


def nccl(base, scale_up_step, network_step, part, most=float("inf")):
    """A protocol of NCCL's tuning model (ring): microseconds, and the part of the bytes that is
    payload. 20.6 of 25 GB/s an NVLink and 48.5 of 50 GB/s a NIC are SimAI's measured rates."""
    return Endpoint(base * 1e-6, scale_up_step * 1e-6, network_step * 1e-6, 20.6 / 25 * part,
                    48.5 / 50 * part, most, channel=38.7e9, overhead=1 / part)


IDEAL = [Endpoint(0, 0, 0)]
# Simple, LL128 (120 of 128 bytes), LL (4 of 8, llMaxBw of Hopper on more than two hosts); the one
# that takes least is used.
CALIBRATED = [nccl(8.4, 3.4, 14, 1), nccl(14, 1.9, 4, 120 / 128),
              nccl(6.6, 0.6, 2.7, 1 / 2, most=35e9)]
# Where the switch reduces: Simple alone; 25 us with the two steps through the switch.
SWITCHED = [nccl(18.2, 3.4, 14, 1)]


def slowest_run(edges, steps):
    """The greatest sum of `steps` consecutive edges around a ring."""
    n = len(edges)
    rounds, rest = divmod(steps, n)
    window = best = sum(edges[:rest])
    for s in range(1, n):
        window += edges[(s + rest - 1) % n] - edges[s - 1]
        best = max(best, window)
    return rounds * sum(edges) + best


def rail_ring_latency(hosts, steps, endpoint):
    """Hosts are in order: one edge in 128 leads into the next segment, and the last leads back."""
    segments = -(-hosts // HOSTS_PER_SEGMENT)
    edges = [SAME_TOR] * hosts
    if segments > 1:
        for i in range(1, segments + 1):
            edges[min(i * HOSTS_PER_SEGMENT, hosts) - 1] = OVER_AGG
    return slowest_run(edges, steps) + steps * endpoint.network_step


def hierarchical_all_reduce(size, gpus, endpoint, loops=LOOPS, slices=SLICES):
    """Reduce-scatter in the host, ring reduce-scatter and all-gather on each rail, all-gather in
    the host; a stage in the host is one exchange. One loop after the other the textbook's sum
    2 (g-1)/g S / NVLink + 2 (k-1)/(k g) S / NIC + alphas; in several loops the greatest of what
    NVLink carries (both its stages), of what the NICs carry between one loop of the stages around
    them, and of the rings' latencies, which each loop pays again."""
    g, k = GPUS_PER_HOST, gpus // GPUS_PER_HOST
    scale_up = 2 * (g - 1) / g * size / endpoint.nvlink
    network = 2 * (k - 1) / (k * g) * size / endpoint.nic
    alpha_up = NVLINK_HOP + endpoint.scale_up_step
    alphas = 2 * alpha_up + rail_ring_latency(k, 2 * (k - 1), endpoint)
    one_ring = rail_ring_latency(k, k - 1, endpoint) * (k - 2) / (k - 1)
    a_loop = max(network / 2 / loops, one_ring + network / 2 / loops / slices)
    return endpoint.launch + max(
        scale_up,
        network + 2 * alpha_up + scale_up / loops,
        alphas + (scale_up + network) / loops + (loops - 1) * a_loop)


def host_ring_latency(gpus, steps, endpoint):
    """A flat ring through the hosts: 7 of 8 edges are NVLink, the eighth leaves the host."""
    edges = [NVLINK_HOP + endpoint.scale_up_step] * gpus
    for i in range(GPUS_PER_HOST - 1, gpus, GPUS_PER_HOST):
        edges[i] = SAME_TOR + endpoint.network_step
    return slowest_run(edges, steps)


def ring(size, gpus, passes, endpoint):
    """A ring in at least 8 channels, each leaving its hosts on a rail of its own (one segment): the
    NVLink of a GPU carries 7 of 8 channels, its NIC one."""
    share = passes * (gpus - 1) / gpus * size
    busiest = max(share * (GPUS_PER_HOST - 1) / GPUS_PER_HOST / endpoint.nvlink,
                  share / GPUS_PER_HOST / endpoint.nic)
    return endpoint.launch + host_ring_latency(gpus, passes * (gpus - 1), endpoint) + busiest


def ring_all_reduce(size, gpus, endpoint):
    return ring(size, gpus, 2, endpoint)


def handing_on(slice_bytes, up_hops, network_hops, endpoint):
    """Trees hand on whole slices; one hop, the slowest, is counted with the bytes."""
    up = slice_bytes * endpoint.overhead / min(NVLINK, endpoint.channel) if up_hops else 0
    network = slice_bytes * endpoint.overhead / NIC
    return up * up_hops + network * network_hops - max(up, network)


def tree_all_reduce(size, gpus, endpoint):
    """Two binary trees over the hosts on each rail, chains inside: the longest way up and down,
    then what one link carries. A GPU inside a chain takes and gives 2 of 2, its two ends 1, so
    NVLink carries 2 (g-1)/g S; a NIC is inner in one tree (3 of 2 halves), a leaf in the other.
    Two channels a GPU, slices of 512 KiB or a quarter of the channel."""
    hosts = gpus // GPUS_PER_HOST
    network = 2 * math.ceil(math.log2(hosts))
    alphas = (2 * (GPUS_PER_HOST - 1) * (NVLINK_HOP + endpoint.scale_up_step) +
              network * (SAME_TOR + endpoint.network_step))
    busiest = max(2 * (GPUS_PER_HOST - 1) / GPUS_PER_HOST * size / endpoint.nvlink,
                  2 * size / GPUS_PER_HOST / endpoint.nic)
    a_slice = min(512 * 1024, size / (2 * GPUS_PER_HOST) / 4)
    handed = handing_on(a_slice, 2 * (GPUS_PER_HOST - 1), network, endpoint)
    return endpoint.launch + alphas + busiest + handed


def in_network_up(size, endpoint):
    """What the switch makes of both stages in the host: S and one reduced chunk each way."""
    return (GPUS_PER_HOST + 1) / GPUS_PER_HOST * size / endpoint.nvlink


def nvls_all_reduce(size, gpus, endpoint, loops=LOOPS, slices=SLICES):
    """As hierarchical, with (g+1)/g S on NVLink instead of 2 (g-1)/g S."""
    hosts = gpus // GPUS_PER_HOST
    scale_up = in_network_up(size, endpoint)
    alpha_up = NVLINK_HOP + endpoint.scale_up_step
    if hosts == 1:
        return endpoint.launch + 2 * alpha_up + scale_up
    network = 2 * (hosts - 1) / gpus * size / endpoint.nic
    # The stages around the rings, each alone: S up, S down.
    stages = 2 * size / endpoint.nvlink
    alphas = 2 * alpha_up + rail_ring_latency(hosts, 2 * (hosts - 1), endpoint)
    one_ring = rail_ring_latency(hosts, hosts - 1, endpoint) * (hosts - 2) / (hosts - 1)
    a_loop = max(network / 2 / loops, one_ring + network / 2 / loops / slices)
    return endpoint.launch + max(
        scale_up,
        network + 2 * alpha_up + stages / loops,
        alphas + (stages + network) / loops + (loops - 1) * a_loop)


def nvls_tree_all_reduce(size, gpus, endpoint, loops):
    """As nvls with trees on the rails: 2 S/g on the busiest NIC, half of it a tree's way up; loops
    follow each other through the trees and cost no latency again."""
    hosts = gpus // GPUS_PER_HOST
    alpha_up = NVLINK_HOP + endpoint.scale_up_step
    alphas = 2 * alpha_up + 2 * math.ceil(math.log2(hosts)) * (SAME_TOR + endpoint.network_step)
    network = 2 * size / GPUS_PER_HOST / endpoint.nic
    stages = 2 * size / endpoint.nvlink
    a_slice = size / 2 / GPUS_PER_HOST / loops
    handed = handing_on(a_slice, 0, 2 * math.ceil(math.log2(hosts)), endpoint)
    return endpoint.launch + handed + max(
        in_network_up(size, endpoint),
        network + 2 * alpha_up + stages / loops,
        alphas + (stages + network) / loops + (loops - 1) * network / 2 / loops)


def ring_all_gather(size, gpus, endpoint):
    return ring(size, gpus, 1, endpoint)


def all_to_all_bound(size, gpus, nic):
    """No direct all-to-all ends before a NIC has sent what leaves its host."""
    return (gpus - GPUS_PER_HOST) / gpus * size / nic


def direct_all_to_all(size, gpus, endpoint):
    """One exchange: the NIC's bytes, and one latency over the Agg (other rails)."""
    alphas = endpoint.launch + endpoint.network_step + OVER_AGG
    return alphas + all_to_all_bound(size, gpus, endpoint.nic)


def switch_serialisation(size, rate):
    """A switch that cuts through sends each byte once, not once a hop."""
    return size / rate


def incast(size, senders, rate):
    """All senders end in one port."""
    return senders * size / rate


def least(form, bus_bytes, endpoint):
    """Seconds under the protocol that makes the collective cheapest."""
    return min(max(form(e), e.launch + bus_bytes / e.most) for e in endpoint)


# name, weft's words, the form, bytes as bus bandwidth counts them, the tolerance
CASES = [
    ("hierarchical all-reduce, 15360 GPUs",
     ["allreduce", "--size", "1GiB", "--gpus", "15360", "--algorithm", "hierarchical"],
     lambda e: hierarchical_all_reduce(GiB, 15360, e), 2 * 15359 / 15360 * GiB, 0.01),
    ("hierarchical all-reduce, 64 GPUs",
     ["allreduce", "--size", "1GiB", "--gpus", "64", "--algorithm", "hierarchical"],
     lambda e: hierarchical_all_reduce(GiB, 64, e, loops=16), 2 * 63 / 64 * GiB, 0.01),
    ("ring all-reduce, 64 GPUs",
     ["allreduce", "--size", "1GiB", "--gpus", "64", "--algorithm", "ring"],
     lambda e: ring_all_reduce(GiB, 64, e), 2 * 63 / 64 * GiB, 0.01),
    ("tree all-reduce, 64 GPUs",
     ["allreduce", "--size", "1GiB", "--gpus", "64", "--algorithm", "tree"],
     lambda e: tree_all_reduce(GiB, 64, e), 2 * 63 / 64 * GiB, 0.01),
    ("tree all-reduce, 64 GPUs, 16 MiB",
     ["allreduce", "--size", "16MiB", "--gpus", "64", "--algorithm", "tree"],
     lambda e: tree_all_reduce(16 * MiB, 64, e), 2 * 63 / 64 * 16 * MiB, 0.01),
    ("nvls all-reduce, 8 GPUs",
     ["allreduce", "--size", "1GiB", "--gpus", "8", "--algorithm", "nvls"],
     lambda e: nvls_all_reduce(GiB, 8, e), 2 * 7 / 8 * GiB, 0.01),
    ("nvls all-reduce, 64 GPUs",
     ["allreduce", "--size", "1GiB", "--gpus", "64", "--algorithm", "nvls"],
     lambda e: nvls_all_reduce(GiB, 64, e, loops=16), 2 * 63 / 64 * GiB, 0.01),
    ("nvls all-reduce, 15360 GPUs",
     ["allreduce", "--size", "1GiB", "--gpus", "15360", "--algorithm", "nvls"],
     lambda e: nvls_all_reduce(GiB, 15360, e), 2 * 15359 / 15360 * GiB, 0.01),
    ("nvls-tree all-reduce, 64 GPUs",
     ["allreduce", "--size", "1GiB", "--gpus", "64", "--algorithm", "nvls-tree"],
     lambda e: nvls_tree_all_reduce(GiB, 64, e, loops=128), 2 * 63 / 64 * GiB, 0.01),
    ("nvls-tree all-reduce, 64 GPUs, 4 MiB",
     ["allreduce", "--size", "4MiB", "--gpus", "64", "--algorithm", "nvls-tree"],
     lambda e: nvls_tree_all_reduce(4 * MiB, 64, e, loops=8), 2 * 63 / 64 * 4 * MiB, 0.01),
    ("ring all-gather, 256 GPUs",
     ["allgather", "--size", "1GiB", "--gpus", "256", "--algorithm", "ring"],
     lambda e: ring_all_gather(GiB, 256, e), 255 / 256 * GiB, 0.01),
    ("direct all-to-all, 64 GPUs",
     ["alltoall", "--size", "64MiB", "--gpus", "64", "--algorithm", "direct"],
     lambda e: direct_all_to_all(64 * MiB, 64, e), 63 / 64 * 64 * MiB, 0.01),
]
# What the first case must say of its alphas and rates: 2 (k-1) steps over 1920 hosts.
PRINTED = ["launch 14 us, 2 scale-up steps of 1.9 us, 3838 network steps of 4 us", "4 slice loops",
           "scale-up 1.6 Tbps (of which 1.318 Tbps used) per GPU"]


def run(words, endpoint):
    program = os.path.join(os.environ["WEFT_BUILD_DIR"], "tools", "weft")
    command = [program, "sim", *words, "--fabric", "hpn7", "--endpoint", endpoint, "--band", "off"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def simulated(words, endpoint):
    """Seconds that the program says."""
    return json.loads(run([*words, "--json"], endpoint))["step_time_ps"] * 1e-12


def calibrated(name):
    return SWITCHED if name.startswith("nvls") else CALIBRATED


def check():
    worst = 0
    for name, words, form, bus_bytes, tolerance in CASES:
        for label, endpoint in (("ideal", IDEAL), ("calibrated", calibrated(name))):
            expected = least(form, bus_bytes, endpoint)
            found = simulated(words, label)
            off = found / expected - 1
            verdict = "ok" if abs(off) <= tolerance else "WRONG"
            worst = max(worst, abs(off) / tolerance)
            print(f"{name:38} {label:10} form {expected * 1e3:9.4f} ms  "
                  f"weft {found * 1e3:9.4f} ms  {off * 100:+7.3f} %  {verdict}")
    text = run(CASES[0][1], "calibrated")
    missing = [p for p in PRINTED if p not in text]
    for p in missing:
        print(f"{CASES[0][0]}: not printed: {p}")
    return 0 if worst <= 1 and not missing else 1


def show():
    print(f"NVLink {NVLINK / 1e9:g} GB/s, NIC {NIC / 1e9:g} GB/s, alphas: NVLink "
          f"{NVLINK_HOP * 1e9:g} ns, one ToR {SAME_TOR * 1e6:g} us, over an Agg "
          f"{OVER_AGG * 1e6:g} us")
    for name, _, form, bus_bytes, _ in CASES:
        print(f"{name:38} ideal {least(form, bus_bytes, IDEAL) * 1e3:9.4f} ms  calibrated "
              f"{least(form, bus_bytes, calibrated(name)) * 1e3:9.4f} ms")
    print(f"{'64 MiB through one 50 GB/s switch':38} "
          f"{switch_serialisation(64 * MiB, 50e9) * 1e3:.4f} ms")
    print(f"{'7-to-1 incast of 64 MiB at 50 GB/s':38} {incast(64 * MiB, 7, 50e9) * 1e3:.4f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(check() if "--check" in sys.argv[1:] else show())
