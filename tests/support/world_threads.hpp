#pragma once
// A world of live ranks for tests of the library's upper layers: threads of this process that join
// as processes do, each with its own control, endpoints and engine.
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>

#include "collectives/api/comm.hpp"
#include "collectives/transport/rank_threads.hpp"

namespace weft::test {

/// Fails the test from a rank's thread, where Catch2's assertions must not be used.
inline void require(bool ok, const std::string& what) {
    if (!ok) throw std::runtime_error(what);
}

/// A folder that ranks meet in, gone at the end.
class MeetingPlace {
  public:
    MeetingPlace() {
        std::string name = (std::filesystem::temp_directory_path() / "weft-test-XXXXXX").string();
        require(::mkdtemp(name.data()) != nullptr, "cannot make " + name);
        path_ = name;
        auto id = live::unique_id_in_directory(path_.string());
        require(id.ok(), "no id in " + name);
        id_ = id.value();
    }
    ~MeetingPlace() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    MeetingPlace(const MeetingPlace&) = delete;
    MeetingPlace& operator=(const MeetingPlace&) = delete;
    [[nodiscard]] const live::UniqueId& id() const { return id_; }

  private:
    std::filesystem::path path_;
    live::UniqueId id_;
};

/// Runs body(communicator of the world) at every rank, all at the same time.
inline void in_world(std::uint32_t ranks, const live::WorldOptions& options,
                     const std::function<void(live::Comm&)>& body) {
    const MeetingPlace place;
    live::run_ranks(ranks, [&](std::uint32_t r) {
        auto world = live::World::join(place.id(), r, ranks, options);
        require(world.ok(), world.ok() ? "" : to_string(world.error()));
        live::Comm comm(world.value());
        body(comm);
    });
}

}  // namespace weft::test
