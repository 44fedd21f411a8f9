#include "tools/commands.hpp"

namespace weft::tools {

void add_bench(CLI::App& app, std::function<int()>& run);
void add_bench_rank(CLI::App& app, std::function<int()>& run);
void add_calibrate(CLI::App& app, std::function<int()>& run);
void add_check(CLI::App& app, std::function<int()>& run);
void add_discover(CLI::App& app, std::function<int()>& run);
void add_doctor(CLI::App& app, std::function<int()>& run);
void add_fabric(CLI::App& app, std::function<int()>& run);
void add_flows(CLI::App& app, std::function<int()>& run);
void add_replay(CLI::App& app, std::function<int()>& run);
void add_route(CLI::App& app, std::function<int()>& run);
void add_reproduce(CLI::App& app, std::function<int()>& run);
void add_validate(CLI::App& app, std::function<int()>& run);
void add_sim(CLI::App& app, std::function<int()>& run);

const std::vector<AddCommand>& commands() {
    static const std::vector<AddCommand> rows{
        add_replay, add_sim,   add_flows, add_calibrate,  add_validate, add_reproduce, add_fabric,
        add_route,  add_check, add_bench, add_bench_rank, add_discover, add_doctor,
    };
    return rows;
}

}  // namespace weft::tools
