#include "collectives/transport/net/switchboard.hpp"

#include <condition_variable>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "collectives/transport/net/store.hpp"

namespace weft::live::net {

namespace {

std::string random_name() {
    const Nonce random = fresh_nonce();
    std::array<char, 33> hex{};
    sodium_bin2hex(hex.data(), hex.size(), reinterpret_cast<const unsigned char*>(random.data()),
                   16);
    return std::string("weft-") + hex.data();
}

std::uint64_t job_of(const Secret& secret) {
    constexpr std::string_view kLabel = "weft job name";
    std::array<unsigned char, crypto_generichash_BYTES> hash{};
    crypto_generichash(hash.data(), hash.size(),
                       reinterpret_cast<const unsigned char*>(kLabel.data()), kLabel.size(),
                       reinterpret_cast<const unsigned char*>(secret.data()), secret.size());
    std::uint64_t job = 0;
    for (std::size_t i = 0; i < sizeof job; ++i) job = job << 8 | hash[i];
    return job;
}

std::string host_name() {
    utsname uts{};
    return ::uname(&uts) == 0 ? uts.nodename : "unknown host";
}

}  // namespace

// A call of dial(): lives until both the caller and the loop have done with it.
struct Switchboard::Call {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Called> called;
    bool abandoned = false;
};

Switchboard::Switchboard(const IdParts& id, const NetOptions& options)
    : id_(id), job_(job_of(id.secret)) {
    mine_.version = options.version.empty() ? WEFT_VERSION : options.version;
    mine_.rank = options.rank;
    mine_.ranks = options.ranks;
    mine_.host_name = host_name();
    mine_.process = ::getpid();
    mine_.host = host_identity(options.host);
    mine_.environment = options.environment;
    mine_.ports = options.ports;
    if (mine_.ports.empty()) mine_.ports.push_back({.interface = "lo", .address = "127.0.0.1"});
}

Switchboard::~Switchboard() {
    stop();
}

void Switchboard::stop() {
    if (!thread_.joinable()) return;
    loop_.stop();
    thread_.join();
}

Status Switchboard::listen() {
    if (!loop_.ok()) return LiveError{.what = "no descriptors left: raise the limit (ulimit -n)"};
    WEFT_TRY(open_doors());
    thread_ = std::thread([this] { loop_.run(); });
    return Done{};
}

Status Switchboard::open_doors() {
    const auto open = [&](const Address& address) -> Outcome<std::uint16_t> {
        auto listener = listen_on(address);
        if (!listener) return listener.error();
        const std::uint16_t port = port_of(listener.value());
        doors_.push_back(std::make_unique<Doorman>(
            loop_, std::move(listener.value()), id_.secret, mine_.rank,
            [this](const Connection& c, const Hello& hello) { take(c, hello); }));
        return port;
    };
    for (const Port& port : mine_.ports) {
        const auto address = tcp_address(port.address, 0);
        if (!address) return address.error();
        const auto listening = open(address.value());
        if (!listening) return listening.error();
        mine_.listening.push_back(listening.value());
    }
    mine_.unix_name = random_name();
    const auto opened = open(unix_address(mine_.unix_name));
    if (!opened) return opened.error();
    return Done{};
}

void Switchboard::take(const Connection& connection, const Hello& hello) {
    const std::lock_guard lock(mutex_);
    const auto found = takes_.find(hello.purpose);
    const bool known = hello.caller < mine_.ranks;
    if (found == takes_.end() || hello.version != kProtocol || !known) {
        const Fd closing(connection.fd);
        return;
    }
    found->second(connection);
}

void Switchboard::on_connection(Purpose purpose, std::function<void(Connection)> take) {
    const std::lock_guard lock(mutex_);
    if (take)
        takes_[purpose] = std::move(take);
    else
        takes_.erase(purpose);
}

void Switchboard::publish(const std::string& name, std::vector<std::byte> card) {
    mine_.shown[name] = std::move(card);
}

Status Switchboard::meet(Store& store, Clock::time_point deadline) {
    const std::vector<std::byte> blob = encode(mine_);
    if (blob.size() > kMaxBlob)
        return LiveError{.what = fmt::format("the cards of this rank have {} bytes, {} are allowed",
                                             blob.size(), kMaxBlob),
                         .rank = static_cast<int>(mine_.rank)};
    const auto all = store.exchange(mine_.rank, mine_.ranks, blob, deadline);
    if (!all) return all.error();
    return learn(all.value());
}

// The store may have checked this already, but not every store can.
Status Switchboard::learn(const std::vector<std::vector<std::byte>>& blobs) {
    const auto failed = [&](const std::string& why) {
        return LiveError{.what = why, .rank = static_cast<int>(mine_.rank)};
    };
    if (blobs.size() != mine_.ranks)
        return failed(fmt::format("the store gave {} cards", blobs.size()));
    Meeting meeting;
    std::vector<Card> cards;
    for (std::uint32_t r = 0; r < mine_.ranks; ++r) {
        auto card = parse_card(blobs[r]);
        if (!card) return failed(fmt::format("what rank {} brought is no card", r));
        const std::string why = meeting.arrive(r, card->ranks, blobs[r]);
        if (!why.empty()) return failed(why);
        cards.push_back(std::move(*card));
    }
    cards_ = std::move(cards);
    met_.store(true, std::memory_order_release);
    return Done{};
}

const Card& Switchboard::card(std::uint32_t peer) const {
    WEFT_CHECK(peer < cards_.size(), "rank {} is not known: meet() comes first", peer);
    return cards_[peer];
}

std::vector<RankReport::Home> Switchboard::homes() const {
    std::vector<RankReport::Home> out;
    if (!met_.load(std::memory_order_acquire)) return out;
    for (const Card& c : cards_) out.push_back({c.host_name, c.process, c.host == mine_.host});
    return out;
}

bool Switchboard::same_host(std::uint32_t peer) const {
    return card(peer).host == mine_.host;
}

Outcome<Caller::Options> Switchboard::route(std::uint32_t peer, Purpose purpose, std::uint64_t tag,
                                            int local_port, int remote_port,
                                            Clock::time_point deadline) const {
    const auto failed = [&](const std::string& why) {
        return LiveError{
            .what = why, .rank = static_cast<int>(mine_.rank), .peer = static_cast<int>(peer)};
    };
    const Card& card = this->card(peer);
    Caller::Options out;
    out.secret = id_.secret;
    out.hello = {.purpose = purpose, .caller = mine_.rank, .callee = peer, .tag = tag};
    out.deadline = deadline;
    if (local_port < 0 && remote_port < 0) {
        if (!same_host(peer)) return failed(name_of(card) + " is on another host");
        out.to = unix_address(card.unix_name);
        return out;
    }
    const auto local = static_cast<std::size_t>(local_port);
    const auto remote = static_cast<std::size_t>(remote_port);
    if (local_port < 0 || local >= mine_.ports.size() || remote_port < 0 ||
        remote >= card.ports.size())
        return failed(fmt::format("there is no port {} here or no port {} at {}", local_port,
                                  remote_port, name_of(card)));
    auto from = tcp_address(mine_.ports[local].address, 0);
    auto to = tcp_address(card.ports[remote].address, card.listening[remote]);
    if (!from) return failed(from.error().what);
    if (!to) return failed(to.error().what);
    if (from.value().family() != to.value().family())
        return failed("one port is IPv4, the other IPv6");
    out.from = from.value();
    out.to = to.value();
    return out;
}

void Switchboard::begin(const std::shared_ptr<Call>& call, const Caller::Options& options) {
    const std::uint64_t number = next_call_++;
    callers_[number] =
        std::make_unique<Caller>(loop_, options, [this, number, call](Called called) {
            {
                const std::lock_guard lock(call->mutex);
                if (call->abandoned && called.connection.fd >= 0) {
                    const Fd closing(called.connection.fd);
                } else {
                    call->called = std::move(called);
                }
            }
            call->changed.notify_all();
            callers_.erase(number);
        });
}

Outcome<Connection> Switchboard::dial(std::uint32_t peer, Purpose purpose, std::uint64_t tag,
                                      int local_port, int remote_port, Clock::time_point deadline) {
    WEFT_CHECK(std::this_thread::get_id() != thread_.get_id(),
               "dial() from the thread that would answer it");
    const auto options = route(peer, purpose, tag, local_port, remote_port, deadline);
    if (!options) return options.error();
    const auto start = Clock::now();
    const auto call = std::make_shared<Call>();
    loop_.post([this, call, o = options.value()] { begin(call, o); });
    std::unique_lock lock(call->mutex);
    // The loop has a deadline too, and its answer says more.
    const bool answered = call->changed.wait_until(lock, deadline + std::chrono::milliseconds(20),
                                                   [&] { return call->called.has_value(); });
    call->abandoned = true;
    if (answered && call->called->end == Called::End::kOpen) return call->called->connection;
    const std::string why = answered ? call->called->what : "no answer";
    return LiveError{.what = fmt::format("no connection to {}: {}", name_of(card(peer)), why),
                     .rank = static_cast<int>(mine_.rank),
                     .peer = static_cast<int>(peer),
                     .elapsed_s = std::chrono::duration<double>(Clock::now() - start).count()};
}

}  // namespace weft::live::net
