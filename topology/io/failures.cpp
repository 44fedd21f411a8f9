#include "topology/io/failures.hpp"

#include <fmt/format.h>

#include "topology/io/document.hpp"

namespace weft {

std::vector<Failure> read_failures(const Fabric& fabric, const std::string& text,
                                   const std::string& file, SimDuration convergence) {
    constexpr const char* kExample = "- down plane 1 @2ms for 5ms";
    const ConfigNode root = parse_document(text, file);
    MapReader map(root, file, "");
    convergence = map.duration_or("convergence", convergence);
    const ConfigNode& list = map.at("failures", kExample);
    if (list.kind != ConfigNode::Kind::kList)
        map.reject(list, "failures", "no list", "a list of failures, a line each", kExample);
    map.finish();
    std::vector<Failure> failures;
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        const ConfigNode& item = list.items[i];
        const std::string key = fmt::format("failures[{}]", i);
        if (item.kind != ConfigNode::Kind::kScalar)
            map.reject(item, key, "no text", "one line of text", kExample);
        try {
            failures.push_back(parse_failure(fabric, item.scalar, convergence));
        } catch (const ConfigError& e) {
            Complaint c = e.complaint();
            c.file = file;
            c.line = item.line;
            c.key = c.key == "failure" ? key : key + "." + c.key;
            throw ConfigError(c);
        }
    }
    check_failures(fabric, failures);
    return failures;
}

}  // namespace weft
