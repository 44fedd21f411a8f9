#include "topology/io/yaml.hpp"

#include "topology/fabrics/fabrics.hpp"

namespace weft {

Fabric load_fabric(const std::string& name_or_path, const KeyValues& more) {
    return make_fabric_from_text(name_or_path, more);
}

}  // namespace weft
