#include "collectives/transport/net/net_control.hpp"

#include <unistd.h>

#include "collectives/transport/net/ledger.hpp"
#include "collectives/transport/net/store.hpp"
#include "collectives/transport/net/switchboard.hpp"

namespace weft::live {

namespace net {

namespace {

class NetControlImpl final : public NetControl {
  public:
    NetControlImpl(const UniqueId& id, const IdParts& parts, const NetOptions& options)
        : id_(id), board_(parts, options) {}
    Status listen() { return board_.listen(); }

    [[nodiscard]] std::uint32_t rank() const override { return board_.rank(); }
    [[nodiscard]] std::uint32_t ranks() const override { return board_.ranks(); }

    void publish(const std::string& name, std::vector<std::byte> card) override {
        board_.publish(name, std::move(card));
    }
    Status meet(Clock::time_point deadline) override {
        auto store = open_store(id_);
        if (!store) return store.error();
        return meet(*store.value(), deadline);
    }
    Status meet(Store& store, Clock::time_point deadline) override {
        return board_.meet(store, deadline);
    }
    [[nodiscard]] std::span<const std::byte> card(std::uint32_t peer,
                                                  const std::string& name) const override {
        const auto& shown = board_.card(peer).shown;
        const auto found = shown.find(name);
        return found == shown.end() ? ByteSpan() : ByteSpan(found->second);
    }
    [[nodiscard]] const std::vector<Port>& ports(std::uint32_t peer) const override {
        return board_.card(peer).ports;
    }
    [[nodiscard]] bool same_host(std::uint32_t peer) const override {
        return board_.same_host(peer);
    }
    void on_connection(Purpose purpose, std::function<void(Connection)> take) override {
        WEFT_CHECK(purpose != Purpose::kControl && purpose != Purpose::kStore,
                   "that purpose is this room's own");
        board_.on_connection(purpose, std::move(take));
    }
    Outcome<Connection> dial(std::uint32_t peer, Purpose purpose, std::uint64_t tag, int local_port,
                             int remote_port, Clock::time_point deadline) override {
        return board_.dial(peer, purpose, tag, local_port, remote_port, deadline);
    }

    void began(const OperationHead& head) override { static_cast<void>(ledger_.began(head)); }
    void finished(ContextId context, std::uint64_t operation) override {
        ledger_.finished(context, operation);
    }
    void waits_for(ContextId context, const std::string& what) override {
        ledger_.waits_for(context, what);
    }
    void raise(const Alarm&) override { missing(); }
    [[nodiscard]] std::uint64_t alarms() const override { return 0; }
    [[nodiscard]] std::optional<Alarm> alarm(ContextId,
                                             std::span<const std::uint32_t>) const override {
        return std::nullopt;
    }
    void inquire(const OperationHead&, std::span<const std::uint32_t>) override { missing(); }
    [[nodiscard]] std::vector<Absent> absent(const OperationHead&,
                                             std::span<const std::uint32_t>) const override {
        missing();
    }
    void on_alarm(std::function<void()>) override {}
    void leave() override { left_ = true; }

  private:
    [[noreturn]] static void missing() {
        check_failed(__FILE__, __LINE__, "alarms", "not written yet");
    }
    UniqueId id_;
    Switchboard board_;
    Ledger ledger_;
    bool left_ = false;
};

}  // namespace

}  // namespace net

Outcome<std::unique_ptr<NetControl>> NetControl::start(const UniqueId& id,
                                                       const NetOptions& options) {
    auto parts = net::unpack(id);
    if (!parts) return parts.error();
    if (options.ranks == 0 || options.rank >= options.ranks || options.ranks > net::kMaxRanks)
        return LiveError{
            .what = fmt::format("rank {} of {} ranks does not exist", options.rank, options.ranks)};
    auto out = std::make_unique<net::NetControlImpl>(id, parts.value(), options);
    WEFT_TRY(out->listen());
    return std::unique_ptr<NetControl>(std::move(out));
}

}  // namespace weft::live
