#include "collectives/transport/net/threaded_world.hpp"

#include <utility>

namespace weft::live {

namespace {

/// A rank's control, which says farewell when the rank is done with it.
class LeavingControl final : public Control {
  public:
    explicit LeavingControl(std::unique_ptr<NetControl> net) : net_(std::move(net)) {}
    ~LeavingControl() override { net_->leave(); }

    [[nodiscard]] std::uint32_t rank() const override { return net_->rank(); }
    [[nodiscard]] std::uint32_t ranks() const override { return net_->ranks(); }
    void began(const OperationHead& head) override { net_->began(head); }
    void finished(ContextId context, std::uint64_t operation) override {
        net_->finished(context, operation);
    }
    void waits_for(ContextId context, const std::string& what) override {
        net_->waits_for(context, what);
    }
    void raise(const Alarm& alarm) override { net_->raise(alarm); }
    [[nodiscard]] std::uint64_t alarms() const override { return net_->alarms(); }
    [[nodiscard]] std::optional<Alarm> alarm(
        ContextId context, std::span<const std::uint32_t> members) const override {
        return net_->alarm(context, members);
    }
    void inquire(const OperationHead& head, std::span<const std::uint32_t> members) override {
        net_->inquire(head, members);
    }
    [[nodiscard]] std::vector<Absent> absent(
        const OperationHead& head, std::span<const std::uint32_t> members) const override {
        return net_->absent(head, members);
    }
    void on_alarm(std::function<void()> wake) override { net_->on_alarm(std::move(wake)); }

  private:
    std::unique_ptr<NetControl> net_;
};

class ThreadedWorld final : public Transport {
  public:
    explicit ThreadedWorld(ThreadedWorldOptions options) : options_(std::move(options)) {
        auto store = StoreServer::start({});
        if (store.ok())
            store_ = std::move(store.value());
        else
            failure_ = store.error();
    }
    [[nodiscard]] Outcome<Member> open(std::uint32_t rank, Clock::time_point deadline) override {
        WEFT_CHECK(rank < options_.ranks, "rank {} of {}", rank, options_.ranks);
        if (!store_) return failure_;
        NetOptions net = options_.net ? options_.net(rank) : NetOptions{};
        net.rank = rank;
        net.ranks = options_.ranks;
        auto control = NetControl::start(store_->id(), net);
        if (!control.ok()) return control.error();
        NetControl& shared = *control.value();
        Member member;
        member.control = std::make_unique<LeavingControl>(std::move(control.value()));
        auto endpoint = options_.make(shared);
        if (!endpoint.ok()) return endpoint.error();
        member.endpoint = std::move(endpoint.value());
        WEFT_TRY(shared.meet(deadline));
        return member;
    }
    [[nodiscard]] bool opens_alone() const override { return false; }

  private:
    ThreadedWorldOptions options_;
    std::unique_ptr<StoreServer> store_;
    LiveError failure_;
};

}  // namespace

std::unique_ptr<Transport> make_threaded_world(ThreadedWorldOptions options) {
    return std::make_unique<ThreadedWorld>(std::move(options));
}

}  // namespace weft::live
