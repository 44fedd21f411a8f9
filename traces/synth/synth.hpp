#pragma once
// Workloads made by rule, without a trace: one collective, the same collective on every rail, a
// data-parallel training step.
//
// Models: compute as FLOP / rate, one compute op per pass; gradients in equal buckets, each reduced
// as soon as the backward pass has produced it. FLOP of a decoder forward pass on T tokens of
// sequence s: 2 P T + 2 L T s h (causal attention), backward twice that. Parameters of a LLaMA-like
// model: P = L (4 h^2 + 3 h f) + 2 V h (facts F1; 6.74e9 for LLaMA-7B).
// Leaves out: the optimiser's own time, activation recomputation, memory.
#include <cstdint>
#include <string>

#include "traces/workload.hpp"

namespace weft {

/// Every rank of the world takes part in one collective of `size` (nccl-tests' total).
[[nodiscard]] Workload one_collective(Collective kind, Bytes size, std::uint32_t world);

/// `stride` groups at once: group i holds the ranks i, i + stride, ... (one per rail when stride is
/// the GPUs of a host). nccl-tests calls it multi-all-reduce. world must be a multiple of stride.
[[nodiscard]] Workload strided_collectives(Collective kind, Bytes size, std::uint32_t world,
                                           std::uint32_t stride);

struct DecoderModel {
    std::string name = "LLaMA-7B";
    std::uint64_t layers = 32;
    std::uint64_t hidden = 4096;
    std::uint64_t ffn = 11008;
    std::uint64_t vocabulary = 32000;
    std::uint64_t sequence = 2048;
    [[nodiscard]] std::uint64_t parameters() const;
    /// FLOP of one forward pass over one sequence.
    [[nodiscard]] std::uint64_t forward_flop() const;
};

struct DataParallelJob {
    DecoderModel model;
    std::uint32_t world = 1;
    std::uint32_t microbatches = 1;    // of one sequence each
    std::uint32_t buckets = 25;        // gradient all-reduces of the step
    std::uint64_t flop_per_s = 1;      // achieved by a GPU
    std::uint32_t gradient_bytes = 2;  // per parameter
};
/// One training step: forward and backward of every micro-batch, bucketed all-reduce overlapped
/// with the last backward pass.
[[nodiscard]] Workload data_parallel_training(const DataParallelJob& job);

}  // namespace weft
