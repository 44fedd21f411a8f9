#include "tools/commands.hpp"

namespace weft::tools {

const std::vector<AddCommand>& commands() {
    static const std::vector<AddCommand> rows{};
    return rows;
}

}  // namespace weft::tools
