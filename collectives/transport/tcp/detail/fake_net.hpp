#pragma once
// For tests: ranks of one process whose NetControl knows everybody from the start and opens
// connections as pairs of unix sockets. Nothing of the network is real but the bytes.
#include <fcntl.h>
#include <map>
#include <memory>
#include <mutex>
#include <sys/socket.h>
#include <unistd.h>

#include "collectives/transport/net/net_control.hpp"

namespace weft::live {

class FakeNet {
  public:
    class Control;

    FakeNet(std::uint32_t ranks, std::int32_t rails, std::int32_t planes);
    ~FakeNet() {
        for (const auto& [key, fd] : watched_) ::close(fd);
    }
    [[nodiscard]] Control& control(std::uint32_t rank) { return *controls_[rank]; }
    [[nodiscard]] const std::vector<Port>& ports() const { return ports_; }
    /// Breaks the newest connection that `from` has opened to `to` on a lane, as a reset does.
    void break_lane(std::uint32_t from, std::uint32_t to, std::uint32_t lane) {
        const std::lock_guard lock(mutex_);
        const auto found = watched_.find({from, to, lane});
        if (found != watched_.end()) ::shutdown(found->second, SHUT_RDWR);
    }
    /// From now on dialling fails.
    void refuse(bool on) {
        const std::lock_guard lock(mutex_);
        refuses_ = on;
    }

  private:
    std::vector<Port> ports_;
    std::vector<std::unique_ptr<Control>> controls_;
    std::mutex mutex_;
    std::map<std::array<std::uint32_t, 3>, int> watched_;
    bool refuses_ = false;
};

class FakeNet::Control final : public NetControl {
  public:
    Control(FakeNet& net, std::uint32_t rank, std::uint32_t ranks)
        : net_(net), rank_(rank), ranks_(ranks) {}

    std::uint32_t rank() const override { return rank_; }
    std::uint32_t ranks() const override { return ranks_; }
    void began(const OperationHead&) override {}
    void finished(ContextId, std::uint64_t) override {}
    void waits_for(ContextId, const std::string&) override {}
    void raise(const Alarm&) override {}
    std::uint64_t alarms() const override { return 0; }
    std::optional<Alarm> alarm(ContextId, std::span<const std::uint32_t>) const override {
        return std::nullopt;
    }
    void inquire(const OperationHead&, std::span<const std::uint32_t>) override {}
    std::vector<Absent> absent(const OperationHead&,
                               std::span<const std::uint32_t>) const override {
        return {};
    }
    void on_alarm(std::function<void()>) override {}
    void publish(const std::string& name, std::vector<std::byte> card) override {
        cards_[name] = std::move(card);
    }
    Status meet(Clock::time_point) override { return Done{}; }
    Status meet(Store&, Clock::time_point) override { return Done{}; }
    std::span<const std::byte> card(std::uint32_t peer, const std::string& name) const override {
        return net_.controls_[peer]->cards_[name];
    }
    const std::vector<Port>& ports(std::uint32_t) const override { return net_.ports_; }
    bool same_host(std::uint32_t) const override { return true; }
    void on_connection(Purpose, std::function<void(Connection)> take) override {
        const std::lock_guard lock(net_.mutex_);
        take_ = std::move(take);
    }
    Outcome<Connection> dial(std::uint32_t peer, Purpose purpose, std::uint64_t tag, int, int,
                             Clock::time_point) override {
        const std::lock_guard lock(net_.mutex_);
        const auto& take = net_.controls_[peer]->take_;
        if (!take || net_.refuses_) return LiveError{.what = "nobody answers"};
        int fds[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
            return LiveError{.what = "no socket"};
        int& watched =
            net_.watched_.try_emplace({rank_, peer, static_cast<std::uint32_t>(tag >> 32)}, -1)
                .first->second;
        if (watched >= 0) ::close(watched);
        watched = ::fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
        take({.fd = fds[1], .peer = rank_, .purpose = purpose, .tag = tag});
        return Connection{.fd = fds[0], .peer = peer, .purpose = purpose, .tag = tag};
    }
    Survivors survivors(const Group&, Clock::time_point, const std::function<void()>&) override {
        return {};
    }
    void leave() override {}

  private:
    FakeNet& net_;
    std::uint32_t rank_;
    std::uint32_t ranks_;
    std::map<std::string, std::vector<std::byte>> cards_;
    std::function<void(Connection)> take_;
};

inline FakeNet::FakeNet(std::uint32_t ranks, std::int32_t rails, std::int32_t planes) {
    for (std::int32_t rail = 0; rail < rails; ++rail)
        for (std::int32_t plane = 0; plane < planes; ++plane)
            ports_.push_back(
                {.interface = "", .address = "127.0.0.1", .rail = rail, .plane = plane});
    for (std::uint32_t r = 0; r < ranks; ++r)
        controls_.push_back(std::make_unique<Control>(*this, r, ranks));
}

}  // namespace weft::live
