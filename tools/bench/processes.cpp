// Ranks as processes: ours through `weft bench-rank`, others through programs beside this one.
#include <filesystem>
#include <fmt/format.h>

#include "collectives/transport/net/world.hpp"
#include "tools/bench/crew.hpp"
#include "tools/bench/runner.hpp"
#include "tools/launch/launch.hpp"

namespace weft::tools {

namespace {

namespace fs = std::filesystem;

class Processes final : public Runner {
  public:
    Processes(std::string name, const std::vector<CommandLine>& members, std::uint32_t patience_s)
        : crew_(std::move(name), members, std::chrono::seconds(patience_s)) {}
    [[nodiscard]] Answer run(const Job& job) override {
        Answer answer = crew_.run(job);
        if (!answer.error.empty()) throw BenchFailed(answer.error);
        return answer;
    }
    [[nodiscard]] std::string name() const override { return crew_.name(); }

  private:
    Crew crew_;
};

template <class Make>
std::unique_ptr<Runner> started(Make make) {
    try {
        return make();
    } catch (const ConfigError&) {
        throw;
    } catch (const std::runtime_error& e) {
        throw BenchFailed(e.what());
    }
}

}  // namespace

std::unique_ptr<Runner> run_on_processes(const BenchConfig& c) {
    const Scratch scratch;
    const auto id = live::unique_id_in_directory(scratch.path());
    if (!id) throw BenchFailed(to_string(id.error()));
    std::vector<CommandLine> members;
    for (std::uint32_t r = 0; r < c.ranks; ++r) {
        CommandLine words = launcher(c.launch, r);
        words.insert(words.end(), {own_program(), "bench-rank", "--id", to_text(id.value()),
                                   "--rank", std::to_string(r), "--ranks", std::to_string(c.ranks),
                                   "--transport", c.transport});
        if (!c.interfaces.empty()) words.insert(words.end(), {"--interfaces", c.interfaces});
        if (!c.algorithm.empty()) words.insert(words.end(), {"--algorithm", c.algorithm});
        if (!c.fault.empty()) words.insert(words.end(), {"--fault", c.fault});
        if (c.launch.empty()) words.emplace_back("--pin");
        members.push_back(std::move(words));
    }
    return started([&] {
        return std::make_unique<Processes>(
            fmt::format("ranks as processes, transport {}", c.transport), members, c.patience_s);
    });
}

std::unique_ptr<Runner> run_on_peer(const BenchConfig& c) {
    const fs::path beside = fs::path(own_program()).parent_path();
    const bool gloo = c.against == "gloo";
    const fs::path program = beside / (gloo ? "weft-peer-gloo" : "weft-peer-mpi");
    const bool known =
        gloo || c.against == "openmpi" || c.against == "openmpi-ucx" || c.against == "openmpi-tcp";
    if (!known || !fs::exists(program))
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "--against",
                           .found = printable(c.against),
                           .expected = known ? "a library that was there when weft was built"
                                             : "openmpi, openmpi-ucx, openmpi-tcp or gloo",
                           .example = "openmpi"});
    std::vector<CommandLine> members;
    const std::string ranks = std::to_string(c.ranks);
    if (gloo) {
        const Scratch scratch;
        for (std::uint32_t r = 0; r < c.ranks; ++r)
            members.push_back({program.string(), std::to_string(r), ranks, scratch.path()});
        return started([&] { return std::make_unique<Processes>("gloo", members, c.patience_s); });
    }
    CommandLine words{"mpirun",
                      "--allow-run-as-root",
                      "--oversubscribe",
                      "-np",
                      ranks,
                      "--mca",
                      "mpi_yield_when_idle",
                      "1",
                      "--bind-to",
                      c.ranks <= 2 ? "core" : "none"};
    const auto mca = [&](const char* key, const char* value) {
        words.insert(words.end(), {"--mca", key, value});
    };
    if (c.against == "openmpi-ucx") {
        mca("pml", "ucx");
        mca("pml_ucx_tls", "any");
        mca("pml_ucx_devices", "any");
        words.insert(words.end(), {"-x", "UCX_TLS=self,posix,cma"});
    } else {
        mca("pml", "ob1");
        mca("btl", c.against == "openmpi-tcp" ? "self,tcp" : "self,vader");
    }
    words.push_back(program.string());
    members.push_back(std::move(words));
    return started([&] { return std::make_unique<Processes>(c.against, members, c.patience_s); });
}

}  // namespace weft::tools
