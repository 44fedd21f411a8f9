// Any text is a fabric or a ConfigError of one line; a fabric routes without a bug.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "topology/io/yaml.hpp"
#include "topology/routing/router.hpp"

namespace {

constexpr std::size_t kMaxInput = 4096;

void try_routes(const weft::Fabric& f) {
    const weft::Router router{f};
    const std::size_t last = f.gpus().size() - 1;
    const weft::Edge e = router.edge(weft::GpuId{std::size_t{0}}, weft::GpuId{last});
    for (const weft::Edge& way : {e, router.edge(e.dst, e.src)}) {
        (void)router.ecmp(way, 1);
        (void)router.disjoint_paths(way, 0, 3);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > kMaxInput) return 0;
    const std::string text(reinterpret_cast<const char*>(data), size);
    try {
        try_routes(weft::parse_fabric(text, "input"));
    } catch (const weft::ConfigError& e) {
        const std::string line = e.what();
        WEFT_CHECK(line.find('\n') == std::string::npos, "an error is one line");
        WEFT_CHECK(!e.complaint().expected.empty(), "an error says what was expected");
    }
    return 0;
}
