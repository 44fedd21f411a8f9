#pragma once
// Detailed endpoints: a collective's price taken apart into mechanisms, each with its figure
// (detailed_costs.hpp).
//
// Models: kernel launch; a step's flags (LL, LL128: polled with the data; Simple: behind a fence);
// over NICs the GPU's and the proxy thread's flags, posting and completion, the NICs, Simple's
// flush; the clear-to-send that a receiver posts before the first slice, once a collective; slices
// handed on before their chunk has arrived. Each of these rates holds up what comes after the
// launch: thread blocks, slots x slice per round trip of a connection, the proxy thread over all
// channels of its GPU, the NIC's message rate with queue pairs that miss its cache. Messages of no
// kernel (send/recv where NCCL is not the library): eager with two copies, or a rendezvous.
// Leaves out: copies over PCIe; slots between GPUs of a scale-up domain, where a round trip is so
// short that thread blocks always hold up more; NICs that several GPUs share; what a mechanism
// loses to other collectives at the same time. Formula: docs/design/0001, "Endpoint, detailed".
// Source: NCCL's tuning model and buffers (facts E1); its protocols in arXiv 2507.04786.
// Cost: as the calibrated price, four times.
#include "simulator/endpoint/endpoint.hpp"

namespace weft {

/// What one mechanism has of the time.
struct EndpointPart {
    const char* name;
    SimDuration time;
};

/// As endpoint_price. `parts` is filled with all mechanisms that take time; they add up to the
/// total, to the ps.
[[nodiscard]] EndpointPrice price_detailed(const Scenario& s, const flow::Traffic& traffic,
                                           Bytes size, std::size_t lane_epoch,
                                           std::optional<WireProtocol> forced,
                                           std::vector<EndpointPart>* parts = nullptr);

/// What a link carries of its nominal rate: packets with their headers on links of NICs.
[[nodiscard]] Bandwidth detailed_rate(const DetailedCosts& d, LinkKind kind, Bandwidth nominal);

/// The figures in use, and which of them have no published source.
[[nodiscard]] std::vector<std::string> detailed_assumptions(const DetailedCosts& d);

}  // namespace weft
