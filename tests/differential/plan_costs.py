"""Steps and bytes per connection of every algorithm: textbook against `weft check --edges`.

Independent of the C++: each algorithm's closed form is written here once more, with the rounding of
collectives/plan/README.md (floors of running sums). Usage: plan_costs.py WEFT
"""
import collections
import subprocess
import sys

ELEMENT = 4
SIZE = 1_000_003 * ELEMENT  # a prime number of elements: every floor shows


def part(total, index, parts):
    return total * (index + 1) // parts - total * index // parts


def ring_order(k, g, channel):
    """Even hosts are walked upwards from local rank c, odd ones back."""
    if g == 1:
        return list(range(k))
    up = [(channel + i) % g for i in range(g)]
    return [h * g + x for h in range(k) for x in (up if h % 2 == 0 else up[::-1])]


def ring_allreduce(k, g, channels, edges):
    n, total = k * g, SIZE // ELEMENT
    for c in range(channels):
        m = part(total, c, channels)
        order = ring_order(k, g, c)
        for p in range(n if n > 1 else 0):
            # All chunks but one in each half: the one the next rank owns, then the one it has.
            edges[order[p], order[(p + 1) % n]] += (
                2 * m - part(m, (p + 1) % n, n) - part(m, (p + 2) % n, n))
    return 2 * (n - 1)


def ring_blocks(k, g, channels, edges):
    n = k * g
    block = SIZE // ELEMENT // n
    for c in range(channels):
        order = ring_order(k, g, c)
        for p in range(n if n > 1 else 0):
            edges[order[p], order[(p + 1) % n]] += (n - 1) * part(block, c, channels)
    return n - 1


def hierarchical(k, g, channels, edges):
    total = SIZE // ELEMENT
    for c in range(channels):
        m = part(total, c, channels)
        unit = [part(m, u, k * g) for u in range(k * g)]
        own = [sum(unit[l * k:(l + 1) * k]) for l in range(g)]
        for h in range(k):
            for l in range(g):
                for other in range(g):
                    if other != l:
                        edges[h * g + l, h * g + other] += own[other] + own[l]
                if k > 1:
                    edges[h * g + l, (h + 1) % k * g + l] += (
                        2 * own[l] - unit[l * k + (h + 1) % k] - unit[l * k + (h + 2) % k])
    return (2 if g > 1 else 0) + 2 * (k - 1)


def direct(k, g, channels, edges):
    n = k * g
    for a in range(n):
        for b in range(n):
            if a != b:
                edges[a, b] += SIZE // ELEMENT // n
    return 1 if n > 1 else 0


def rail(k, g, channels, edges):
    block = SIZE // ELEMENT // (k * g)
    for h in range(k):
        for l in range(g):
            for other in range(g):
                if other != l:
                    edges[h * g + l, h * g + other] += k * block
            for host in range(k):
                if host != h:
                    edges[h * g + l, host * g + l] += g * block
    return (g > 1) + (k > 1)


def tree(radix):
    def build(k, g, channels, edges):
        n = k * g
        depth = [0] * n
        for v in range(1, n):
            edges[(v - 1) // radix, v] += SIZE // ELEMENT
            depth[v] = depth[(v - 1) // radix] + 1
        return max(depth)
    return build


def in_order_tree(k):
    """Parent of every node, by halving: a node between l and r has the middles of its halves below
    it. NCCL's ncclGetBtree in other words."""
    parent = {}

    def below(x, half, last):
        if half < 1:
            return
        parent[x - half] = x
        below(x - half, half // 2, last)
        right = half
        while right and x + right > last:
            right //= 2
        if right:
            parent[x + right] = x
            below(x + right, right // 2, last)

    top = 1
    while 2 * top < k:
        top *= 2
    if k > 1:
        parent[top] = 0
        below(top, top // 2, k - 1)
    return parent


def double_tree(k, g, channels, edges):
    total, parent = SIZE // ELEMENT, in_order_tree(k)
    assert len(parent) == k - 1
    for c in range(channels):
        m, rail = part(total, c, channels), c % g
        second = (rail + c // g) % 2 == 1
        for x, y in parent.items():
            a, b = tree_host(x, k, second) * g + rail, tree_host(y, k, second) * g + rail
            edges[a, b] += m
            edges[b, a] += m
        for h in range(k):
            for i in range(g - 1):
                a, b = h * g + (rail + i) % g, h * g + (rail + i + 1) % g
                edges[a, b] += m
                edges[b, a] += m
    return 2 * (g - 1 + tree_depth(parent))


def tree_host(x, k, second):
    """The host at node x of the first or the second of the two trees."""
    return x if not second else k - 1 - x if k % 2 == 0 else (x + 1) % k


def tree_depth(parent):
    def up(x):
        return 1 + up(parent[x]) if x else 0
    return max(map(up, parent), default=0)


def nvls_tree(k, g, channels, edges):
    """Point to point, as a carrier without a reducing switch sends it."""
    parent = in_order_tree(k)
    for c in range(channels):
        m = part(SIZE // ELEMENT, c, channels)
        own = [part(m, l, g) for l in range(g)]
        for l in range(g):
            for h in range(k):
                for other in set(range(g)) - {l}:
                    edges[h * g + l, h * g + other] += own[other] + own[l]
            for x, y in parent.items():
                a, b = tree_host(x, k, c % 2) * g + l, tree_host(y, k, c % 2) * g + l
                edges[a, b] += own[l]
                edges[b, a] += own[l]
    return 2 * (g > 1) + 2 * tree_depth(parent)


def nvls_blocks(k, g, channels, edges):
    """All-gather or reduce-scatter: rings on the rails, k blocks a peer inside the host."""
    for c in range(channels):
        block = part(SIZE // ELEMENT // (k * g), c, channels)
        for h in range(k):
            for l in range(g):
                for other in set(range(g)) - {l}:
                    edges[h * g + l, h * g + other] += k * block
                if k > 1:
                    edges[h * g + l, (h + 1) % k * g + l] += (k - 1) * block
    return (g > 1) + k - 1


def sendrecv(k, g, channels, edges):
    if k * g > 1:
        edges[0, 1] += SIZE // ELEMENT
    return 1 if k * g > 1 else 0


FORMS = {
    "allreduce/ring": ring_allreduce, "allreduce/hierarchical": hierarchical,
    "allreduce/tree": double_tree, "allreduce/nvls": hierarchical,
    "allreduce/nvls-tree": nvls_tree, "allgather/nvls": nvls_blocks,
    "reducescatter/nvls": nvls_blocks,
    "allgather/ring": ring_blocks, "reducescatter/ring": ring_blocks,
    "alltoall/direct": direct, "alltoall/rail": rail, "broadcast/chain": tree(1),
    "broadcast/tree": tree(2), "sendrecv/direct": sendrecv,
}
SHAPES = [(1, 1), (2, 1), (7, 1), (1, 8), (2, 8), (3, 4), (5, 3), (8, 8)]


def main():
    weft = sys.argv[1]
    listed = subprocess.run([weft, "check", "--list"], capture_output=True, text=True, check=True)
    names = {line.split()[0] for line in listed.stdout.splitlines() if line[:1].strip()}
    if set(FORMS) - names:
        sys.exit(f"no longer registered: {set(FORMS) - names}")
    for name in sorted(names - set(FORMS)):
        print(f"{name}: no textbook form here, its cost is not held to anything")
    bad = 0
    for name, form in FORMS.items():
        collective, algorithm = name.split("/")
        for k, g in SHAPES:
            for channels in (1, 3):
                want = collections.Counter()
                steps = form(k, g, channels, want)
                out = subprocess.run(
                    [weft, "check", collective, "--algorithm", algorithm, "--ranks", str(k * g),
                     "--per-host", str(g), "--channels", str(channels), "--edges", "--size",
                     f"{SIZE}B"], capture_output=True, text=True, check=True).stdout.splitlines()
                got = {}
                for line in out[1:]:
                    a, b, size = map(int, line.split())
                    got[a, b] = size
                want = {e: v * ELEMENT for e, v in want.items() if v}
                if int(out[0].split()[1]) != steps or got != want:
                    bad += 1
                    wrong = [e for e in want.keys() | got.keys() if want.get(e) != got.get(e)]
                    print(f"{name} k {k} g {g} channels {channels}: {out[0]}, expected {steps}; "
                          f"edges that differ: {sorted(wrong)[:4]}")
    print(f"{len(FORMS)} algorithms x {len(SHAPES)} shapes x 2 channel counts, {bad} differ")
    sys.exit(1 if bad else 0)


main()
