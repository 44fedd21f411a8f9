#include "topology/io/yaml.hpp"

#include "topology/builder.hpp"
#include "topology/fabrics/fabrics.hpp"
#include "topology/io/document.hpp"
#include "topology/io/freeform.hpp"

namespace weft {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
    return text.size() >= end.size() &&
           text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// Family by name; a wrong value is reported at its own line.
Fabric read_family(MapReader& m, const KeyValues& more) {
    const std::string family = m.text("fabric", "hpn7");
    KeyValues given;
    const ConfigNode* parameters = m.find("parameters");
    if (parameters != nullptr) {
        MapReader reader(*parameters, m.file(), "parameters");
        for (const auto& [key, value] : parameters->entries)
            given.emplace_back(key, reader.text(key, "1"));
    }
    given.insert(given.end(), more.begin(), more.end());
    m.finish();  // before a large fabric is built in vain
    try {
        return make_fabric(family, given);
    } catch (const ConfigError& e) {
        int line = m.find("fabric")->line;
        const std::string& key = e.complaint().key;
        if (parameters != nullptr)
            for (const auto& [name, value] : parameters->entries)
                if (ends_with(key, ": " + name) || e.complaint().found == name) line = value.line;
        throw e.at(m.file(), line, "fabric");
    }
}

Fabric read_free(MapReader& m, const KeyValues& more) {
    if (!more.empty())
        throw ConfigError({.file = m.file(),
                           .line = 0,
                           .key = "fabric",
                           .found = more.front().first,
                           .expected = "no parameters: this file describes its fabric itself",
                           .example = {}});
    FabricBuilder b{m.text("name", "my-cluster")};
    constexpr PortMode kModes[] = {PortMode::kSingle, PortMode::kDualPlane, PortMode::kDualTor};
    b.port_mode(kModes[m.choice_or("ports", {"single", "dual-plane", "dual-tor"}, 0)]);
    read_freeform(m, b);
    m.finish();
    try {
        return b.build();
    } catch (const ConfigError& e) {
        throw e.at(m.file(), m.line(), "links");
    }
}

LinkId find_link(const Fabric& fabric, const MapReader& m, const ConfigNode& where,
                 const std::string& key) {
    const LinkId l =
        where.kind == ConfigNode::Kind::kScalar ? fabric.find_link(where.scalar) : LinkId::none();
    if (!l.valid())
        m.reject(where, key, where.scalar, "the name of a link, as `weft route` prints it",
                 "\"" + fabric.name_of(LinkId{0}) + "\"");
    return l;
}

/// Both directions of a cable change together.
void read_health(const ConfigNode& node, const std::string& file, Fabric& fabric) {
    MapReader m(node, file, "health");
    const auto impair = [&](LinkId l, Bandwidth rate) {
        fabric.impair(l, rate);
        fabric.impair(reverse(l), rate);
    };
    if (const ConfigNode* down = m.find("down")) {
        if (down->kind != ConfigNode::Kind::kList)
            m.reject(*down, "down", down->scalar, "a list of links", "[\"tor[0] > agg[3]\"]");
        for (const ConfigNode& item : down->items)
            impair(find_link(fabric, m, item, "down"), Bandwidth{0});
    }
    for (MapReader& slow : m.maps("degraded")) {
        const LinkId l = find_link(fabric, slow, slow.at("link", "\"tor[0] > agg[3]\""), "link");
        const Bandwidth rate = slow.rate("rate", "100Gbps");
        if (rate > fabric.link(l).capacity)
            slow.reject(*slow.find("rate"), "rate", to_string(rate),
                        "at most the link's " + to_string(fabric.link(l).capacity), {});
        impair(l, rate);
        slow.finish();
    }
    m.finish();
}

}  // namespace

Fabric parse_fabric(const std::string& yaml, const std::string& file, const KeyValues& more) {
    const ConfigNode root = parse_document(yaml, file);
    MapReader m(root, file, "");
    if (m.has("fabric") && m.has("hosts"))
        throw ConfigError({.file = file,
                           .line = root.line,
                           .key = "hosts",
                           .found = "both fabric and hosts",
                           .expected = "either a family (fabric) or a free form (name, hosts)",
                           .example = {}});
    const ConfigNode* health = m.find("health");
    Fabric fabric = m.has("name") || m.has("hosts") ? read_free(m, more) : read_family(m, more);
    if (health != nullptr) read_health(*health, file, fabric);
    return fabric;
}

}  // namespace weft
