#include "collectives/api/job_fabric.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <fstream>
#include <mutex>

#include "tests/support/world_threads.hpp"
#include "topology/io/yaml.hpp"

using namespace weft;
using namespace weft::live;
using test::require;

namespace {

/// A folder with a fabric file, gone at the end.
class FabricFile {
  public:
    explicit FabricFile(const std::string& text) {
        std::string name = (std::filesystem::temp_directory_path() / "weft-test-XXXXXX").string();
        require(::mkdtemp(name.data()) != nullptr, "cannot make " + name);
        folder_ = name;
        std::ofstream(path()) << text;
    }
    ~FabricFile() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    FabricFile(const FabricFile&) = delete;
    FabricFile& operator=(const FabricFile&) = delete;
    [[nodiscard]] std::string path() const { return (folder_ / "lab.yaml").string(); }

  private:
    std::filesystem::path folder_;
};

constexpr const char* kLab = R"(
name: lab
ports: dual-plane
hosts:
  - {name: node, count: 2, template: dgx-h100, gpus: 2, nics: 2}
switches:
  - {name: a, count: 2, tier: 1, plane: 0}
  - {name: b, count: 2, tier: 1, plane: 1}
links:
  - {from: node, to: a, rate: 100Gbps}
  - {from: node, to: b, rate: 100Gbps}
)";

using Body = std::function<void(World&)>;

/// Rank r on the host of that word; what each rank ended with, "" where it went well.
std::vector<std::string> on_hosts(const std::vector<std::string>& words,
                                  const std::function<WorldOptions(std::uint32_t)>& options,
                                  const Body& body) {
    const test::MeetingPlace place;
    const auto ranks = static_cast<std::uint32_t>(words.size());
    std::vector<std::string> ends(ranks);
    run_ranks(ranks, [&](std::uint32_t r) {
        WorldOptions o = options(r);
        o.host = words[r];
        try {
            const auto world = World::join(place.id(), r, ranks, o);
            if (world)
                body(*world.value());
            else
                ends[r] = to_string(world.error());
        } catch (const ConfigError& e) {
            ends[r] = e.what();
        }
    });
    return ends;
}

WorldOptions with(const std::string& file) {
    WorldOptions o;
    o.fabric = file;
    return o;
}

}  // namespace

TEST_CASE("all ranks know the same fabric", "[integration]") {
    std::mutex mutex;
    std::vector<std::string> texts;
    const auto ends = on_hosts(
        {"a", "a", "b", "b"}, [](std::uint32_t) { return WorldOptions(); },
        [&](World& w) {
            const JobFabric& place = w.place();
            require(place.hosts() == std::vector<std::uint32_t>{0, 0, 1, 1}, "hosts");
            require(place.fabric().hosts() == 2, "two hosts");
            require(place.placement().ranks() == 4, "a place for each rank");
            require(parse_fabric(place.text(), "text").digest() == place.fabric().digest(),
                    "the text is the fabric");
            const GroupShape all = w.shape({0, 1, 2, 3});
            require(all.uniform && all.per_host == 2 && all.hosts == 2, "two hosts of two");
            require(!all.in_network, "no switch reduces for live ranks");
            const GroupShape odd = w.shape({0, 1, 3});
            require(!odd.uniform, "two and one");
            const GroupShape ends_alone = w.shape({1, 2});
            require(ends_alone.uniform && ends_alone.hosts == 2, "one of each host");
            require(!w.shape({0, 2, 1, 3}).uniform, "in turns");
            const std::lock_guard lock(mutex);
            texts.push_back(place.text());
        });
    CHECK(ends == std::vector<std::string>(4));
    REQUIRE(texts.size() == 4);
    for (const std::string& t : texts) CHECK(t == texts[0]);
}

TEST_CASE("a file says what the job runs on", "[integration]") {
    const FabricFile file(kLab);
    const auto ends = on_hosts(
        {"a", "b", "b"}, [&](std::uint32_t) { return with(file.path()); },
        [&](World& w) {
            require(w.place().text() == kLab, "the file's text");
            require(w.place().placement().gpu(RankId{1}) == GpuId{2}, "the second host's first");
            const GroupShape shape = w.shape({0, 1});
            require(shape.planes == 2 && shape.nics_per_rank == 1, "as the file says");
            require(!shape.in_network, "live ranks reduce themselves");
        });
    CHECK(ends == std::vector<std::string>(3));
}

TEST_CASE("a file that does not fit the job is refused at every rank", "[integration]") {
    const FabricFile file(kLab);
    const auto options = [&](std::uint32_t) { return with(file.path()); };
    const auto nothing = [](World&) { require(false, "joined"); };
    for (const std::string& end : on_hosts({"a", "b", "c"}, options, nothing))
        CHECK_THAT(end, Catch::Contains("lab.yaml") && Catch::Contains("at most 2, the hosts"));
    for (const std::string& end : on_hosts({"a", "a", "a"}, options, nothing))
        CHECK_THAT(end, Catch::Contains("3 ranks or more on host 0"));
}

TEST_CASE("ranks with different files do not come together", "[integration]") {
    const FabricFile one(kLab);
    const FabricFile other(std::string(kLab) + "# more\n");
    const auto ends = on_hosts(
        {"a", "b"}, [&](std::uint32_t r) { return with(r == 0 ? one.path() : other.path()); },
        [](World&) { require(false, "joined"); });
    for (const std::string& end : ends) CHECK_THAT(end, Catch::Contains("fabric="));
}

TEST_CASE("a file that is none is refused before anybody is met", "[integration]") {
    const FabricFile file("hosts: 7\n");
    for (const std::string& path : {file.path(), file.path() + ".gone"}) {
        const auto ends = on_hosts(
            {"a"}, [&](std::uint32_t) { return with(path); }, [](World&) {});
        CHECK_THAT(ends[0], Catch::Contains("lab.yaml"));
    }
}
