#include "topology/io/load.hpp"

#include "base/result.hpp"
#include "topology/fabrics/fabrics.hpp"
#include "topology/io/document.hpp"
#include "topology/io/htsim/topo.hpp"
#include "topology/io/ns3/topology.hpp"
#include "topology/io/yaml.hpp"

namespace weft {
namespace {

/// Formats of other tools have no parameters of ours.
void refuse_more(const std::string& file, const KeyValues& more) {
    if (!more.empty())
        throw ConfigError({.file = file,
                           .line = 0,
                           .key = "fabric",
                           .found = printable(more.front().first),
                           .expected = "no parameters: this file describes its fabric itself",
                           .example = {}});
}

}  // namespace

bool is_fabric_file(const std::string& word) {
    if (word.find('/') != std::string::npos) return true;
    for (const std::string end : {".yaml", ".yml", ".topo", ".txt"})
        if (word.size() > end.size() &&
            word.compare(word.size() - end.size(), end.size(), end) == 0)
            return true;
    return false;
}

Fabric load_fabric(const std::string& name_or_path, const KeyValues& more) {
    if (!is_fabric_file(name_or_path)) return make_fabric_from_text(name_or_path, more);
    const std::string text = read_text_file(name_or_path);
    if (htsim::is_topology(text)) {
        refuse_more(name_or_path, more);
        return htsim::read_topology(text, name_or_path);
    }
    if (ns3::is_topology(text)) {
        refuse_more(name_or_path, more);
        return ns3::read_topology(text, name_or_path).fabric;
    }
    return parse_fabric(text, name_or_path, more);
}

}  // namespace weft
