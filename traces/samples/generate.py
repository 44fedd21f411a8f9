#!/usr/bin/env python3
"""Writes the samples of this folder, but for two_stages.yaml, from the shapes of models.

Sizes follow from the model (bf16 activations, fp32 gradients, bf16 parameters); compute times are
the matrix work at a stated rate, and those of collectives follow a line through published curves.
They are plausible, not measured. Run it to write the files again.
"""
import json
import pathlib

TFLOPS = 400  # of one GPU, sustained on the matrix work
HERE = pathlib.Path(__file__).parent


def time_ns(flop):
    return max(1, round(flop / (TFLOPS * 1e12) * 1e9))


def layer(name, forward, inputs, weights):
    columns = []
    for compute, comm, size in (forward, inputs, weights):
        columns += [str(compute), comm, str(size)]
    return "\t".join([name, "-1"] + columns + ["100"])


def header(tp, ep, pp, ga, world, pp_comm, layers):
    return (f"HYBRID_TRANSFORMER_FWD_IN_BCKWD model_parallel_NPU_group: {tp} ep: {ep} pp: {pp} "
            f"vpp: 1 ga: {ga} all_gpus: {world} checkpoints: 0 checkpoint_initiates: 0 "
            f"pp_comm: {pp_comm}\n{len(layers)}\n" + "\n".join(layers) + "\n")


def once_a_step(parameters, experts=0):
    none = (1, "NONE", 0)
    rows = [layer("grad_gather", none, none, (1, "ALLGATHER", 2 * parameters)),
            layer("grad_param_comm", none, none, (1, "REDUCESCATTER", 4 * parameters)),
            layer("grad_param_compute", none, (parameters // 100_000 * 1000, "NONE", 0), none)]
    if experts:
        rows += [layer("moe_grad_norm1", none, none, (1, "ALLGATHER_DP_EP", 2 * experts)),
                 layer("moe_grad_norm2", none, none, (1, "REDUCESCATTER_DP_EP", 4 * experts))]
    return rows


def tail():
    none = (0, "NONE", 0)
    return [layer(f"cross_entropy{i}", (0, "ALLREDUCE", 16384), none, none) for i in (1, 2, 3)] + \
        [layer(f"optimizer{i}", (0, "ALLREDUCE", 4), none, none) for i in (1, 2, 3, 4)]


def part(name, tokens, weights, forward, inputs):
    """One half of a block: its matrices, and the sequence-parallel collectives around them."""
    work = time_ns(2 * tokens * weights)
    return layer(name, (work, *forward), (work, *inputs), (work, "NONE", 0))


def attention_and_mlp(tokens, hidden, ffn, tp, with_mlp):
    whole = 2 * tokens * hidden  # bytes of one micro-batch's activations
    gather, scatter, nothing = ("ALLGATHER", whole), ("REDUCESCATTER", whole), ("NONE", 0)
    rows = [part("attention_column", tokens, 3 * hidden * hidden // tp, gather, nothing),
            part("attention_row", tokens, hidden * hidden // tp, scatter, gather)]
    if with_mlp:
        rows += [part("mlp_column", tokens, hidden * ffn // tp, gather, nothing),
                 part("mlp_row", tokens, hidden * ffn // tp, scatter, gather)]
    return rows


def experts(tokens, hidden, ffn, tp, topk):
    """Tokens to the experts and back; each rank holds one expert's share."""
    routed = 2 * tokens * topk * hidden // tp
    work = time_ns(2 * 3 * tokens * topk * hidden * ffn // tp)
    none = (1, "NONE", 0)
    return [layer("moe_dispatch", (1, "ALLTOALL_EP", routed), (1, "ALLTOALL_EP", routed), none),
            layer("moe_experts", (work, "NONE", 0), (work, "NONE", 0), (work, "NONE", 0)),
            layer("moe_combine", (1, "ALLTOALL_EP", routed), (1, "ALLTOALL_EP", routed), none)]


def embedding(tokens, hidden):
    return layer("embedding_layer", (50_000, "ALLREDUCE", 2 * tokens * hidden), (1, "NONE", 0),
                 (50_000, "NONE", 0))


def gpt_7b():
    layers, hidden, ffn, tokens, tp, ga = 32, 4096, 16384, 4096, 8, 4
    rows = once_a_step(6_700_000_000 // tp)
    for _ in range(ga):
        rows.append(embedding(tokens, hidden))
        for _ in range(layers):
            rows += attention_and_mlp(tokens, hidden, ffn, tp, True)
    (HERE / "gpt_7b_64gpu.txt").write_text(header(tp, 1, 1, ga, 64, 0, rows + tail()))


def moe_pp():
    layers, hidden, ffn, tokens, tp, ep, pp, ga = 16, 4096, 14336, 4096, 4, 8, 2, 8
    rows = once_a_step(800_000_000 // tp, 5_600_000_000 // pp // tp)
    for _ in range(ga):
        rows.append(embedding(tokens, hidden))
        for _ in range(layers // pp):
            rows += attention_and_mlp(tokens, hidden, ffn, tp, False)
            rows += experts(tokens, hidden, ffn, tp, 2)
    text = header(tp, ep, pp, ga, 64, 2 * tokens * hidden // tp, rows + tail())
    (HERE / "moe_64gpu_pp2.txt").write_text(text)


class Profile:
    """One rank of 16 (TP 8, DP 2 over the hosts) as PyTorch's profiler writes it down."""
    GROUPS = {"tp": ("1", list(range(8)), 25, 160), "dp": ("2", [0, 8], 30, 45)}

    def __init__(self):
        self.now, self.network, self.events = 1000.0, 1000.0, []

    def event(self, start, duration, **more):
        self.events.append({"ph": "X", "ts": round(start, 3), "dur": round(duration, 3), **more})

    def kernel(self, duration, name="sm90_xmma_gemm_bf16bf16"):
        self.event(self.now, duration, cat="kernel", name=name, pid=0, tid=7,
                   args={"stream": 7, "device": 0})
        self.now += duration + 2  # to the next launch

    def all_reduce(self, group, elements, wait):
        name, ranks, latency, gigabytes = self.GROUPS[group]
        factor = 2 * (len(ranks) - 1) / len(ranks)
        duration = latency + 2 * elements * factor / gigabytes / 1e3
        start = self.now if wait else max(self.now, self.network)
        self.event(start, duration, cat="kernel", name="ncclDevKernel_AllReduce_Sum_bf16_RING_LL",
                   pid=0, tid=20 if wait else 24, args={
                       "stream": 20 if wait else 24, "device": 0, "Collective name": "allreduce",
                       "In msg nelems": elements, "Out msg nelems": elements,
                       "Group size": len(ranks), "dtype": "BFloat16", "Process Group Name": name,
                       "Process Group Description": group,
                       "Process Group Ranks": str(ranks)})
        if wait:
            self.now = start + duration + 2
        else:
            self.network = start + duration

    def step(self, number, layers=4, tokens=4096, hidden=8192):
        start, weights = self.now, 12 * hidden * hidden // 8
        for passes in [1] * layers + [2] * layers:
            for part in (3, 1), (4, 4):  # attention, MLP; a third and two thirds of the weights
                for matrix in part:
                    self.kernel(passes * time_ns(2 * tokens * weights * matrix // 12) / 1e3)
                self.all_reduce("tp", tokens * hidden, True)
            if passes == 2:
                self.all_reduce("dp", weights, False)
        self.now = max(self.now, self.network) + 2
        self.kernel(900, "multi_tensor_apply_kernel")
        self.event(start, self.now - start, cat="user_annotation", name=f"ProfilerStep#{number}",
                   pid=4242, tid=4242, args={})


def profiled():
    p = Profile()
    for number in range(3, 6):
        p.step(number)
    info = {"backend": "nccl", "rank": 0, "world_size": 16, "pg_count": 3}
    lines = ",\n".join(json.dumps(e) for e in p.events)
    (HERE / "profile_16gpu.json").write_text(
        f'{{"schemaVersion": 1, "distributedInfo": {json.dumps(info)},\n'
        f'"traceEvents": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    gpt_7b()
    moe_pp()
    profiled()
