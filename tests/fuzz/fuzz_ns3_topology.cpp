// Any bytes are a topology of this format, or one line of ConfigError.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "topology/io/ns3/topology.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    (void)weft::ns3::is_topology(text);
    try {
        const weft::ns3::Topology topology = weft::ns3::read_topology(text, "f");
        const weft::Fabric& fabric = topology.fabric;
        WEFT_CHECK(!fabric.gpus().empty(), "a fabric has hosts");
        for (const weft::Nic& nic : fabric.nics())
            WEFT_CHECK(!nic.ports.empty(), "a host is cabled");
    } catch (const weft::ConfigError& e) {
        const std::string line = e.what();
        WEFT_CHECK(line.find('\n') == std::string::npos, "an error is one line");
        WEFT_CHECK(!e.complaint().expected.empty(), "an error says what was expected");
    }
    return 0;
}
