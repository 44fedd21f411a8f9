#!/usr/bin/env python3
"""Writes the SimAI-form samples of this folder from the shapes of two models.

Sizes follow from the model (bf16 activations, fp32 gradients, bf16 parameters); compute times are
the matrix work at a stated rate. They are plausible, not measured. Run it to write the files again.
"""
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


if __name__ == "__main__":
    gpt_7b()
    moe_pp()
