#include <fmt/format.h>
#include <map>
#include <optional>
#include <thread>
#include <unistd.h>

#include "collectives/transport/net/caller.hpp"
#include "collectives/transport/net/card.hpp"
#include "collectives/transport/net/channel.hpp"
#include "collectives/transport/net/doorman.hpp"
#include "collectives/transport/net/store.hpp"

namespace weft::live {

namespace net {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kQueue = 512 << 10;  // bytes that wait for one client

// A rank is told before its own patience ends, so that it learns who is missing.
milliseconds margin_of(milliseconds budget) {
    return std::min(milliseconds(200), budget / 5);
}

// How long a rank waits for that beyond its deadline: the answer says more than "no answer".
constexpr milliseconds kGrace{300};

class TcpStoreServer final : public StoreServer {
  public:
    TcpStoreServer(Fd listener, const UniqueId& id, const Secret& secret, milliseconds lifetime)
        : id_(id) {
        if (!ok()) return;
        doorman_.emplace(loop_, std::move(listener), secret, kStoreRank,
                         [this](const Connection& c, const Hello& hello) { welcome(c, hello); });
        loop_.after(lifetime, [this] {
            fail("the store's lifetime is over; " + meeting_.missing());
            loop_.after(milliseconds(100), [this] { loop_.stop(); });
        });
        thread_ = std::thread([this] { loop_.run(); });
    }
    ~TcpStoreServer() override {
        if (!thread_.joinable()) return;
        loop_.stop();
        thread_.join();
    }
    [[nodiscard]] const UniqueId& id() const override { return id_; }
    [[nodiscard]] bool ok() const { return loop_.ok(); }

  private:
    struct Client {
        std::uint32_t rank = 0;
        std::uint32_t ranks = 0;
        std::uint16_t protocol = 0;
        std::vector<std::byte> blob;
        bool brought = false;
        std::uint32_t given = 0;  // blobs
        std::uint64_t timer = 0;
        std::unique_ptr<Channel> channel;
    };

    void welcome(const Connection& connection, const Hello& hello) {
        if (hello.purpose != Purpose::kStore) {
            const Fd closing(connection.fd);
            return;
        }
        const std::uint64_t number = next_++;
        Client& client = clients_[number];
        client.rank = hello.caller;
        client.protocol = hello.version;
        client.ranks = static_cast<std::uint32_t>(std::min<std::uint64_t>(hello.tag, kMaxRanks));
        client.channel = std::make_unique<Channel>(
            loop_, connection, Side::kCallee, 4 * kQueue,
            Channel::Calls{[this, number](ByteSpan payload) { hear(number, payload); },
                           [this, number](const std::string&) { gone(number); },
                           [this, number] {
                               if (complete_) give(clients_.at(number));
                           }});
    }

    void hear(std::uint64_t number, ByteSpan payload) {
        Client& client = clients_.at(number);
        const auto message = parse_store_message(payload);
        if (!message || message->kind != StoreMessage::Kind::kBring || client.brought) return;
        client.brought = true;
        client.blob.assign(message->bytes.begin(), message->bytes.end());
        if (!failure_.empty()) return refuse(client);
        std::string why = meeting_.arrive(client.rank, client.ranks, client.blob);
        if (why.empty() && client.protocol != kProtocol)
            why = fmt::format("rank {} speaks protocol {}, the store {}", client.rank,
                              client.protocol, kProtocol);
        if (!why.empty()) return fail(why);
        const milliseconds budget(message->number);
        client.timer = loop_.after(budget - margin_of(budget), [this, number] {
            fail(fmt::format("the time of rank {} to wait is over; {}", clients_.at(number).rank,
                             meeting_.missing()));
        });
        if (meeting_.complete()) give_all();
    }

    void give_all() {
        by_rank_.resize(meeting_.ranks());
        for (auto& [number, client] : clients_)
            if (client.brought) by_rank_[client.rank] = std::move(client.blob);
        complete_ = true;
        doorman_.reset();  // whoever comes now is refused by the system
        for (auto& [number, client] : clients_) {
            loop_.cancel(client.timer);
            if (client.brought) give(client);
        }
    }

    // As much as the client's queue takes: all blobs for all ranks are many bytes.
    void give(Client& client) {
        while (client.given < by_rank_.size() && client.channel->queued() < kQueue) {
            const std::uint32_t rank = client.given++;
            client.channel->send(encode({StoreMessage::Kind::kBlob, rank, by_rank_[rank]}));
            if (client.channel->queued() >= kQueue) client.channel->flush();
        }
        client.channel->flush();
    }

    void refuse(Client& client) {
        const ByteSpan text = std::as_bytes(std::span(failure_.data(), failure_.size()));
        client.channel->send(encode({StoreMessage::Kind::kRefusal, 0, text}));
        client.channel->flush();
    }

    // Everybody is told, those that are still to come too.
    void fail(const std::string& why) {
        if (complete_ || !failure_.empty()) return;
        failure_ = why.substr(0, 4096);
        for (auto& [number, client] : clients_) {
            loop_.cancel(client.timer);
            if (client.brought) refuse(client);
        }
    }

    void gone(std::uint64_t number) {
        const Client& client = clients_.at(number);
        loop_.cancel(client.timer);
        if (client.brought)
            fail(fmt::format("rank {} went away before all had come; {}", client.rank,
                             meeting_.missing()));
        clients_.erase(number);
        if (complete_ && clients_.empty()) loop_.stop();
    }

    UniqueId id_;
    Loop loop_;
    Meeting meeting_;
    std::string failure_;
    bool complete_ = false;
    std::vector<std::vector<std::byte>> by_rank_;
    std::uint64_t next_ = 0;
    std::map<std::uint64_t, Client> clients_;
    std::optional<Doorman> doorman_;
    std::thread thread_;
};

// In a child of fork() the thread does not exist and the descriptors are the parent's: there
// nothing is ended.
class ForkSafeServer final : public StoreServer {
  public:
    explicit ForkSafeServer(std::unique_ptr<TcpStoreServer> server)
        : server_(std::move(server)), process_(::getpid()) {}
    ~ForkSafeServer() override {
        if (::getpid() != process_) static_cast<void>(server_.release());
    }
    [[nodiscard]] const UniqueId& id() const override { return server_->id(); }

  private:
    std::unique_ptr<TcpStoreServer> server_;
    pid_t process_;
};

class TcpStore final : public Store {
  public:
    TcpStore(const Address& address, const Secret& secret) : address_(address), secret_(secret) {}

    Outcome<std::vector<std::vector<std::byte>>> exchange(std::uint32_t rank, std::uint32_t ranks,
                                                          std::span<const std::byte> mine,
                                                          Clock::time_point deadline) override {
        const auto start = Clock::now();
        Visit visit(ranks);
        visit.error.rank = static_cast<int>(rank);
        visit.error.what =
            visit.loop.ok() ? "" : "no descriptors left: raise the limit (ulimit -n)";
        if (!visit.error.what.empty()) return visit.error;
        const Hello hello{
            .purpose = Purpose::kStore, .caller = rank, .callee = kStoreRank, .tag = ranks};
        Caller caller(visit.loop, {{}, address_, secret_, hello, deadline},
                      [&](const Called& called) { visit.enter(called, mine, deadline); });
        visit.loop.run(deadline + kGrace);
        if (visit.have == ranks && visit.error.what.empty()) return std::move(visit.blobs);
        if (visit.error.what.empty())
            visit.error.what = "the store at " + to_text(address_) + " does not answer";
        visit.error.elapsed_s = std::chrono::duration<double>(Clock::now() - start).count();
        return visit.error;
    }

  private:
    struct Visit {
        explicit Visit(std::uint32_t ranks) : blobs(ranks) {}
        Loop loop;
        std::unique_ptr<Channel> channel;
        std::vector<std::vector<std::byte>> blobs;
        std::vector<bool> known = std::vector<bool>(blobs.size());
        std::uint32_t have = 0;
        LiveError error;

        void fail(const std::string& why) {
            if (error.what.empty()) error.what = why;
            loop.stop();
        }
        void enter(const Called& called, ByteSpan mine, Clock::time_point deadline) {
            if (called.end == Called::End::kRefused)
                return fail("the store is gone (" + called.what +
                            "): the meeting is over, or the process that served it has ended");
            if (called.end != Called::End::kOpen) return fail("the store: " + called.what);
            channel = std::make_unique<Channel>(
                loop, called.connection, Side::kCaller, std::size_t{1} << 20,
                Channel::Calls{
                    [this](ByteSpan payload) { hear(payload); },
                    [this](const std::string& why) { fail("the store is gone: " + why); }});
            const auto left =
                std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
            const auto budget =
                static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, 1, 0x7fff'ffff));
            channel->send(encode({StoreMessage::Kind::kBring, budget, mine}));
            channel->flush();
        }
        void hear(ByteSpan payload) {
            const auto message = parse_store_message(payload);
            if (!message) return fail("the store sent what is no answer");
            const std::uint32_t rank = message->number;
            if (message->kind == StoreMessage::Kind::kRefusal)
                return fail(
                    {reinterpret_cast<const char*>(message->bytes.data()), message->bytes.size()});
            if (message->kind != StoreMessage::Kind::kBlob || rank >= blobs.size() || known[rank])
                return fail("the store sent what is no answer");
            known[rank] = true;
            blobs[rank].assign(message->bytes.begin(), message->bytes.end());
            if (++have == blobs.size()) loop.stop();
        }
    };

    Address address_;
    Secret secret_;
};

}  // namespace

Outcome<std::unique_ptr<Store>> open_tcp_store(const IdParts& parts) {
    auto address = tcp_address(parts.place, parts.port);
    if (!address) return address.error();
    return std::unique_ptr<Store>(std::make_unique<TcpStore>(address.value(), parts.secret));
}

}  // namespace net

Outcome<std::unique_ptr<StoreServer>> StoreServer::start(const Options& options) {
    const std::string address =
        options.address.empty() ? "127.0.0.1" : net::address_of_interface(options.address);
    auto at = net::tcp_address(address, options.port);
    if (!at)
        return LiveError{.what = fmt::format("no interface of this host is named \"{0}\", and {1}",
                                             printable(options.address), at.error().what)};
    if (address.size() > net::IdParts::kMaxPlace || address == "0.0.0.0" || address == "::")
        return LiveError{.what = fmt::format("\"{}\" is no address that others could connect to",
                                             printable(address))};
    auto listener = net::listen_on(at.value());
    if (!listener) return listener.error();
    const net::Secret secret = net::fresh_nonce();
    const UniqueId id = net::pack({.kind = net::IdParts::Kind::kTcp,
                                   .secret = secret,
                                   .port = net::port_of(listener.value()),
                                   .place = address});
    auto server = std::make_unique<net::TcpStoreServer>(std::move(listener.value()), id, secret,
                                                        options.lifetime);
    if (!server->ok()) return LiveError{.what = "no descriptors left: raise the limit (ulimit -n)"};
    return std::unique_ptr<StoreServer>(std::make_unique<net::ForkSafeServer>(std::move(server)));
}

}  // namespace weft::live
