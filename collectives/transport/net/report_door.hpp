#pragma once
// Where `weft doctor` finds a rank: an abstract unix socket, named weft-doctor-JOB-RANK-RANDOM and
// served by the control's thread, so that it answers whatever the user's threads do, and is gone
// with the process. Whoever connects gets the report and the end of the connection; only processes
// of the same user, and root, who can look into this one anyway. At most 8 at a time, each for two
// seconds. Nothing is read from them.
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "collectives/transport/net/loop.hpp"
#include "collectives/transport/net/report.hpp"

namespace weft::live::net {

/// The socket's name, and what it says.
struct DoorName {
    std::uint64_t job = 0;
    std::uint32_t rank = 0;
    std::uint32_t random = 0;
    bool operator==(const DoorName&) const = default;
};
[[nodiscard]] std::string to_text(const DoorName& name);
[[nodiscard]] std::optional<DoorName> parse_door_name(std::string_view text);

class ReportDoor {
  public:
    /// The report's bytes; nothing if it cannot be had at this moment, unless `now_or_never`.
    using Make = std::function<std::optional<std::vector<std::byte>>(bool now_or_never)>;
    /// In the loop's thread.
    ReportDoor(Loop& loop, Fd listener, Make make);
    ~ReportDoor();
    ReportDoor(const ReportDoor&) = delete;
    ReportDoor& operator=(const ReportDoor&) = delete;

  private:
    struct Visitor {
        Fd fd;
        Clock::time_point came;
        std::optional<std::vector<std::byte>> bytes;
        std::size_t sent = 0;
        std::uint64_t watch = 0;
        std::uint64_t timer = 0;
    };
    using Entry = std::shared_ptr<Visitor>;
    void accept_some();
    void serve(const Entry& v);
    void send(const Entry& v);
    void drop(const Entry& v);

    Loop& loop_;
    Fd listener_;
    Make make_;
    std::uint64_t watch_ = 0;
    std::uint64_t pause_ = 0;
    std::vector<Entry> visitors_;
};

}  // namespace weft::live::net
