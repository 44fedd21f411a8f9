#include "collectives/transport/verbs/endpoint.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace weft::live::verbs {

namespace {

// What epoll reports: the two below, or a device's channel or events, by number.
enum Source : std::uint64_t { kInbox = 1, kTimer = 2, kChannels = 1000, kEvents = 2000 };

constexpr std::size_t kMostInOnePoll = 256;  // completions of a device
constexpr std::uint32_t kLookEach = 16;      // polls between looks at the descriptors
constexpr std::size_t kMostOrphans = 4 * kSlots;
// A lane is usable with the others missing for so long.
constexpr auto kStragglers = std::chrono::seconds(2);
constexpr auto kCall = std::chrono::seconds(2);  // one attempt to open a connection
constexpr auto kTick = std::chrono::milliseconds(20);
constexpr auto kFarewell = std::chrono::milliseconds(1000);

void watch(int epoll, int fd, std::uint64_t data) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = data;
    WEFT_CHECK(fd >= 0 && ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0,
               "cannot wait on a descriptor");
}

std::vector<ibv_pd*> domains_of(const std::vector<std::unique_ptr<Device>>& devices) {
    std::vector<ibv_pd*> all;
    for (const auto& d : devices) all.push_back(d ? d->domain() : nullptr);
    return all;
}

}  // namespace

VerbsEndpoint::VerbsEndpoint(NetControl& control, const VerbsOptions& options,
                             std::shared_ptr<Api> api, std::vector<std::unique_ptr<Device>> devices)
    : control_(control),
      options_(options),
      rank_(control.rank()),
      ranks_(control.ranks()),
      api_(std::move(api)),
      devices_(std::move(devices)),
      memory_(std::make_unique<Memory>(*api_, domains_of(devices_))),
      peers_(control.ranks()),
      next_tick_(Clock::now() + kTick) {
    options_.paths = std::clamp<std::uint32_t>(options_.paths, 1, kMostPaths);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    watch(epoll_, inbox_.fd(), kInbox);
    watch(epoll_, timer_, kTimer);
    Card card{.paths = options_.paths, .devices = {}};
    std::vector<Device*> plain;
    for (std::size_t i = 0; i < devices_.size(); ++i) {
        Device* device = devices_[i].get();
        card.devices.push_back(device != nullptr);
        plain.push_back(device);
        if (device == nullptr) continue;
        watch(epoll_, device->channel()->fd, kChannels + i);
        watch(epoll_, api_->async_fd(device->context()), kEvents + i);
    }
    control.publish("verbs", encode_card(card));
    const auto lanes = [this, card](std::uint32_t peer) -> std::vector<Lane> {
        const auto theirs = parse_card(control_.card(peer, "verbs"));
        if (!theirs) return {};
        return derive_lanes({.rank = rank_, .ports = control_.ports(rank_), .card = card},
                            {.rank = peer, .ports = control_.ports(peer), .card = *theirs});
    };
    introducer_ = std::make_unique<Introducer>(Introducer::World{
        .control = control,
        .devices = plain,
        .lanes = lanes,
        .done = [this](Introducer::Result result) { inbox_.put(std::move(result)); }});
}

VerbsEndpoint::~VerbsEndpoint() {
    introducer_.reset();
    flush();  // the last acknowledgements
    for (const auto& peer : peers_) {
        if (!peer) continue;
        for (LaneState& lane : peer->state) {
            if (!lane.link) continue;
            lane.link->out.push_back(
                {.header = {.kind = Kind::kBye}, .payload = {}, .targets = {}});
            mark(*lane.link);
        }
    }
    const auto quiet = [&] {
        return std::all_of(links_.begin(), links_.end(), [](const auto& l) {
            return l.second->state() == Link::State::kFailed ||
                   (l.second->out.empty() && l.second->request_done(l.second->last_request()));
        });
    };
    for (const auto until = Clock::now() + kFarewell; !quiet() && Clock::now() < until;) progress();
    links_.clear();
    peers_.clear();
    scrap_.clear();
    graveyard_.clear();
    (void)inbox_.take();
    memory_.reset();
    devices_.clear();
    ::close(timer_);
    ::close(epoll_);
}

void VerbsEndpoint::start() {
    if (started_ || !introducer_) return;
    started_ = true;
    introducer_->start();
}

Outcome<VerbsEndpoint::Peer*> VerbsEndpoint::know(std::uint32_t rank) {
    if (peers_[rank]) return peers_[rank].get();
    const auto failed = [&](std::string what) {
        return LiveError{.what = std::move(what),
                         .rank = static_cast<int>(rank_),
                         .peer = static_cast<int>(rank)};
    };
    const auto mine = parse_card(control_.card(rank_, "verbs"));
    const auto theirs = parse_card(control_.card(rank, "verbs"));
    if (!mine || !theirs)
        return failed("cannot connect: the peer shows no verbs card of this version");
    auto peer = std::make_unique<Peer>();
    peer->rank = rank;
    peer->card = *theirs;
    peer->lanes = derive_lanes({.rank = rank_, .ports = control_.ports(rank_), .card = *mine},
                               {.rank = rank, .ports = control_.ports(rank), .card = *theirs});
    if (peer->lanes.empty())
        return failed("cannot connect: no two RDMA ports are of one rail and plane");
    peer->state.resize(peer->lanes.size());
    peers_[rank] = std::move(peer);
    return peers_[rank].get();
}

bool VerbsEndpoint::settled(const Peer& peer, Clock::time_point give_up) const {
    const auto up = std::count_if(peer.state.begin(), peer.state.end(),
                                  [](const LaneState& l) { return l.proven; });
    return up == static_cast<long>(peer.state.size()) || (up > 0 && Clock::now() >= give_up);
}

Status VerbsEndpoint::connect(std::uint32_t rank, Clock::time_point deadline) {
    WEFT_CHECK(rank < ranks_ && rank != rank_, "rank {} connects to {}", rank_, rank);
    start();
    const auto known = know(rank);
    if (!known) return known.error();
    Peer& peer = *known.value();
    if (peer.connected) return Done{};
    const Clock::time_point began = Clock::now();
    auto next_try = began;
    while (!settled(peer, began + kStragglers)) {
        const auto now = Clock::now();
        if (now >= next_try) {
            next_try = now + std::chrono::milliseconds(50);
            for (std::uint32_t l = 0; l < peer.state.size(); ++l)
                if (!peer.state[l].link) dial(peer, l, std::min(deadline, now + kCall));
        }
        if (now >= deadline || peer.left)
            return LiveError{
                .what = fmt::format("cannot connect: rank {} answers on none of {} lanes ({})",
                                    rank, peer.lanes.size(),
                                    peer.last_error.empty() ? "no answer" : peer.last_error),
                .rank = static_cast<int>(rank_),
                .peer = static_cast<int>(rank),
                .elapsed_s = std::chrono::duration<double>(now - began).count()};
        const auto nap = std::min<Clock::duration>(deadline - now, std::chrono::milliseconds(10));
        pollfd ready{.fd = inbox_.fd(), .events = POLLIN, .revents = 0};
        (void)::poll(&ready, 1,
                     static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(nap).count()));
        progress();
    }
    peer.connected = true;
    for (std::uint32_t l = 0; l < peer.state.size(); ++l) {
        LaneState& lane = peer.state[l];
        lane.known_up = lane.proven;
        if (lane.known_up) continue;
        ++lanes_down_;  // not there yet: it comes with kLaneUp
        completions_.push_back(
            {.kind = Completion::Kind::kLaneDown, .peer = rank, .lane = l, .key = {}, .data = {}});
    }
    return Done{};
}

std::span<const Lane> VerbsEndpoint::lanes(std::uint32_t peer) const {
    WEFT_CHECK(peer < ranks_ && peers_[peer], "rank {} is not connected to {}", rank_, peer);
    return peers_[peer]->lanes;
}

std::uint32_t VerbsEndpoint::register_region(std::span<std::byte> memory) {
    return memory_->add(memory);
}

void VerbsEndpoint::deregister_region(std::uint32_t region) {
    memory_->remove(region);
}

Link* VerbsEndpoint::link_of(std::uint32_t id) const {
    const auto found = links_.find(id);
    return found == links_.end() ? nullptr : found->second;
}

std::size_t VerbsEndpoint::device_of(const Link& link) const {
    return static_cast<std::size_t>(peers_[link.place().peer]->lanes[link.place().lane].local_port);
}

std::size_t VerbsEndpoint::poll(std::span<Completion> out) {
    if (completions_.size() < out.size()) progress();
    const std::size_t n = std::min(out.size(), completions_.size());
    const auto end = completions_.begin() + static_cast<std::ptrdiff_t>(n);
    std::move(completions_.begin(), end, out.begin());
    completions_.erase(completions_.begin(), end);
    return n;
}

std::optional<Fault> VerbsEndpoint::fault() {
    if (faults_.empty()) return std::nullopt;
    Fault f = std::move(faults_.front());
    faults_.pop_front();
    return f;
}

void VerbsEndpoint::progress() {
    start();
    if (!inbox_.empty()) take_inbox();
    for (const auto& device : devices_)
        if (device) drain_queue(*device, kMostInOnePoll);
    if (++polls_ % kLookEach == 0) look_at_descriptors();
    if (const auto now = Clock::now(); needs_ticks() && now >= next_tick_) {
        next_tick_ = now + kTick;
        tick(now);
    }
    flush();
    graveyard_.clear();
}

void VerbsEndpoint::drain_queue(Device& device, std::size_t most) {
    std::array<ibv_wc, 32> some;
    for (std::size_t seen = 0; seen < most;) {
        const int n = api_->poll_cq(device.queue(), some);
        if (n <= 0) return;
        for (int i = 0; i < n; ++i) on_completion(some[static_cast<std::size_t>(i)]);
        if (static_cast<std::size_t>(n) < some.size()) return;
        seen += static_cast<std::size_t>(n);
    }
}

void VerbsEndpoint::on_completion(const ibv_wc& wc) {
    const RequestId id = decode_request(wc.wr_id);
    Link* link = link_of(id.link);
    if (link == nullptr) {
        auto& waiting = orphans_[id.link];
        if (waiting.size() < kMostOrphans) waiting.push_back(wc);
        return;
    }
    const bool receive = id.what == RequestId::What::kReceive;
    if (wc.status != IBV_WC_SUCCESS) {
        if (receive)
            link->flushed();
        else
            link->sent(id);
        fail_link(*link, api_->words_of(wc.status));
    } else if (!receive) {
        link->sent(id);
        prove(*link);
        if (!link->out.empty() || link->owes_credits()) mark(*link);
    } else {
        const auto message = link->received(id.number, wc.byte_len);
        const auto header = parse_header(message);
        if (header) {
            prove(*link);
            on_message(*link, *header, message.subspan(kHeaderSize));
            link->again(id.number, *header);
            if (!link->out.empty() || link->owes_credits()) mark(*link);
        } else {
            fail_link(*link, "what came is no message of this version");
        }
    }
    if (link->state() == Link::State::kFailed && link->drained()) on_drained(*link);
}

void VerbsEndpoint::on_message(Link& link, const Header& header,
                               std::span<const std::byte> payload) {
    switch (header.kind) {
        case Kind::kEager:
            return on_eager(link, header, payload);
        case Kind::kOffer:
            return on_offer(link, header);
        case Kind::kGrant:
            return on_grant(link, header, payload);
        case Kind::kWritten:
            return on_written(link, header);
        case Kind::kAcks:
            return on_acks(link, payload);
        case Kind::kFenced:
            return on_fenced(link, header);
        case Kind::kCredits:
            return;
        case Kind::kBye:
            return on_bye(link);
    }
}

void VerbsEndpoint::take_inbox() {
    inbox_.silence();
    for (Introducer::Result& result : inbox_.take()) adopt(std::move(result));
}

void VerbsEndpoint::look_at_descriptors() {
    std::array<epoll_event, 32> events;
    const int n = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < n; ++i) {
        const std::uint64_t source = events[static_cast<std::size_t>(i)].data.u64;
        std::uint64_t count = 0;
        if (source == kInbox)
            take_inbox();
        else if (source == kTimer)
            (void)!::read(timer_, &count, sizeof count);
        else if (source >= kEvents)
            on_async(*devices_[source - kEvents]);
        else
            api_->take_cq_events(devices_[source - kChannels]->channel());
    }
}

void VerbsEndpoint::mark(Link& link) {
    dirty_.push_back(link.id());
}

void VerbsEndpoint::flush() {
    while (!dirty_.empty()) {
        auto now = std::exchange(dirty_, {});
        std::sort(now.begin(), now.end());
        now.erase(std::unique(now.begin(), now.end()), now.end());
        for (const std::uint32_t id : now)
            if (Link* link = link_of(id); link != nullptr) flush_link(*link);
    }
}

void VerbsEndpoint::flush_link(Link& link) {
    if (link.state() != Link::State::kReady) return;
    for (std::size_t at = 0; at < link.acks.size();) {
        Link::Out out{.header = {.kind = Kind::kAcks}, .payload = {}, .targets = {}};
        for (std::size_t i = 0; i < kMostAcks && at < link.acks.size(); ++i)
            append_ack(link.acks[at++], out.payload);
        link.out.push_back(std::move(out));
    }
    link.acks.clear();
    while (!link.out.empty() && leave(link, link.out.front())) link.out.pop_front();
    if (link.state() != Link::State::kReady) return;
    if (link.owes_credits() && link.room(0, true) && !link.send({.kind = Kind::kCredits}))
        fail_link(link, "the queue pair takes nothing");
}

bool VerbsEndpoint::arm() {
    if (!completions_.empty() || !faults_.empty()) return false;
    look_at_descriptors();
    for (const auto& device : devices_)
        if (device) (void)api_->request_notify(device->queue());
    progress();  // what came before the request makes no event
    if (!completions_.empty() || !faults_.empty()) return false;
    set_timer();
    return true;
}

void VerbsEndpoint::set_timer() {
    const bool wanted = needs_ticks();
    if (!wanted && !timer_runs_) return;
    itimerspec spec{};
    if (wanted) {
        const auto left = std::max<std::chrono::nanoseconds>(next_tick_ - Clock::now(),
                                                             std::chrono::microseconds(10));
        spec.it_value.tv_nsec = static_cast<long>(left.count());
    }
    (void)::timerfd_settime(timer_, 0, &spec, nullptr);
    timer_runs_ = wanted;
}

}  // namespace weft::live::verbs
