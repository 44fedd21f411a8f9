#include "base/rng.hpp"
#include "collectives/transport/inproc/inproc.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

std::uint64_t OperationHead::digest() const {
    const std::uint64_t kinds = (std::uint64_t{dtype} << 32) | reduction;
    return mix64(mix64(operation, plan_hash), mix64(count, kinds));
}

std::size_t total_size(Segments segments) {
    std::size_t size = 0;
    for (const Segment& s : segments) size += s.size;
    return size;
}

const Registry<MakeTransport>& transports() {
    static const Registry<MakeTransport> rows = [] {
        Registry<MakeTransport> r("--transport");
        r.add({.name = "inproc",
               .description = "ranks are threads of one process; messages are read in place",
               .source = "Weft",
               .parameters = {}},
              make_inproc);
        return r;
    }();
    return rows;
}

}  // namespace weft::live
