#include "collectives/transport/composite.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace weft::live {

namespace {

class Composite final : public Endpoint {
  public:
    Composite(std::vector<std::unique_ptr<Endpoint>> parts, std::vector<std::uint8_t> route)
        : parts_(std::move(parts)), route_(std::move(route)) {
        WEFT_CHECK(!parts_.empty(), "an endpoint of no parts");
        for (const auto& p : parts_) fds_.insert(fds_.end(), p->fds().begin(), p->fds().end());
    }

    [[nodiscard]] std::uint32_t rank() const override { return parts_[0]->rank(); }
    [[nodiscard]] std::uint32_t ranks() const override { return parts_[0]->ranks(); }
    Status connect(std::uint32_t peer, Clock::time_point deadline) override {
        return to(peer).connect(peer, deadline);
    }
    [[nodiscard]] std::span<const Lane> lanes(std::uint32_t peer) const override {
        return parts_[route_[peer]]->lanes(peer);
    }
    [[nodiscard]] std::uint32_t register_region(std::span<std::byte> memory) override {
        const std::uint32_t region = parts_[0]->register_region(memory);
        // Every part numbers its regions by the first free one, and they see the same calls.
        for (std::size_t i = 1; i < parts_.size(); ++i) {
            const std::uint32_t other = parts_[i]->register_region(memory);
            WEFT_CHECK(other == region, "region {} of one part is {} of another", region, other);
        }
        return region;
    }
    void deregister_region(std::uint32_t region) override {
        for (const auto& p : parts_) p->deregister_region(region);
    }
    void begin(const OperationHead& head) override {
        for (const auto& p : parts_) p->begin(head);
    }
    void end(ContextId context, std::uint64_t operation) override {
        for (const auto& p : parts_) p->end(context, operation);
    }
    void cancel(ContextId context, std::uint64_t operation) override {
        for (const auto& p : parts_) p->cancel(context, operation);
    }
    [[nodiscard]] bool post_send(std::uint32_t peer, std::uint32_t lane, const MessageKey& key,
                                 Segments data) override {
        return to(peer).post_send(peer, lane, key, data);
    }
    void post_recv(std::uint32_t peer, const MessageKey& key, Segments into) override {
        to(peer).post_recv(peer, key, into);
    }
    void post_view(std::uint32_t peer, const MessageKey& key, std::size_t size) override {
        to(peer).post_view(peer, key, size);
    }
    void release(const Completion& received) override { to(received.peer).release(received); }

    [[nodiscard]] std::size_t poll(std::span<Completion> out) override {
        std::size_t n = 0;
        // Whoever was first last time is last now, so that none starves when `out` is short.
        for (std::size_t i = 0; i < parts_.size() && n < out.size(); ++i)
            n += parts_[(first_ + i) % parts_.size()]->poll(out.subspan(n));
        first_ = (first_ + 1) % parts_.size();
        return n;
    }
    [[nodiscard]] std::optional<Fault> fault() override {
        for (const auto& p : parts_)
            if (auto f = p->fault()) return f;
        return std::nullopt;
    }
    [[nodiscard]] bool arm() override {
        bool quiet = true;
        for (const auto& p : parts_) quiet = p->arm() && quiet;
        return quiet;
    }
    void disarm() override {
        for (const auto& p : parts_) p->disarm();
    }
    [[nodiscard]] std::span<const int> fds() const override { return fds_; }
    void wake() override { parts_[0]->wake(); }
    [[nodiscard]] bool restless() const override {
        return std::any_of(parts_.begin(), parts_.end(),
                           [](const auto& p) { return p->restless(); });
    }
    bool cut_lane(std::uint32_t peer, std::uint32_t lane) override {
        return to(peer).cut_lane(peer, lane);
    }
    bool mend_lane(std::uint32_t peer, std::uint32_t lane) override {
        return to(peer).mend_lane(peer, lane);
    }
    bool corrupt_lane(std::uint32_t peer, std::uint32_t lane) override {
        return to(peer).corrupt_lane(peer, lane);
    }

  private:
    [[nodiscard]] Endpoint& to(std::uint32_t peer) const { return *parts_[route_[peer]]; }

    std::vector<std::unique_ptr<Endpoint>> parts_;
    std::vector<std::uint8_t> route_;
    std::vector<int> fds_;
    std::size_t first_ = 0;
};

}  // namespace

std::unique_ptr<Endpoint> combine(std::vector<std::unique_ptr<Endpoint>> parts,
                                  std::vector<std::uint8_t> route) {
    return std::make_unique<Composite>(std::move(parts), std::move(route));
}

}  // namespace weft::live
