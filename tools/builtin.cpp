#include "tools/commands.hpp"

namespace weft::tools {

void add_bench(CLI::App& app, std::function<int()>& run);
void add_check(CLI::App& app, std::function<int()>& run);
void add_fabric(CLI::App& app, std::function<int()>& run);
void add_replay(CLI::App& app, std::function<int()>& run);
void add_route(CLI::App& app, std::function<int()>& run);
void add_sim(CLI::App& app, std::function<int()>& run);

const std::vector<AddCommand>& commands() {
    static const std::vector<AddCommand> rows{
        add_bench, add_check, add_fabric, add_replay, add_route, add_sim,
    };
    return rows;
}

}  // namespace weft::tools
