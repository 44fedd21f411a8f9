#pragma once
// htsim's connection matrices (.cm, .tm): flows, triggers and failed links.
//
// Models: the format as specified, including what htsim ignores: recv_done_trigger fires when the
// receiver has all bytes (htsim_uec stores it and never fires it), and starts count (csg's RoCE and
// HPCC ignore them). Messages (`msg`) of one id share a connection. Leaves out: prio, endless flows
// (size 0), flows to oneself: the last two are refused. Unlike htsim's parser, blanks may repeat
// and `#` starts a comment anywhere. Source: htsim's connection_matrix (csg, uet).
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "topology/fabric.hpp"
#include "traces/flows.hpp"

namespace weft::htsim {

/// The unit of `start`: what generators write, or what htsim_uec reads.
enum class StartUnit : std::uint8_t { kPicoseconds, kMicroseconds };

/// A link that is absent from the start: the `link`-th neighbour above a ToR or an aggregation
/// switch, or below a core, and the first cable to it.
struct FailedLink {
    std::int32_t tier = 2;  // 1 ToR, 2 AGG, 3 CORE
    std::uint32_t switch_id = 0;
    std::uint32_t link = 0;
    int line = 0;
};

struct ConnectionMatrix {
    std::size_t nodes = 0;
    FlowSet set;
    std::vector<FailedLink> failures;
};

/// Whether the text begins as a connection matrix does.
[[nodiscard]] bool is_connections(std::string_view text);
/// ConfigError for anything wrong with it; `file` names it in messages.
[[nodiscard]] ConnectionMatrix read_connections(const std::string& text, const std::string& file,
                                                StartUnit unit = StartUnit::kPicoseconds);
/// Takes the failed links out of the fabric, both ways. ConfigError where it has no such link.
void remove_links(const ConnectionMatrix& matrix, const std::string& file, Fabric& fabric);

}  // namespace weft::htsim
