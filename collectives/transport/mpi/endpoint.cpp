#include "collectives/transport/mpi/endpoint.hpp"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <thread>
#include <unistd.h>

#include "collectives/transport/tcp/bytes.hpp"

namespace weft::live::mpi {

using namespace std::chrono_literals;

namespace {

constexpr const char* kCard = "mpi";
constexpr auto kShortestNap = 50us;
constexpr auto kLongestNap = 1000us;
// Frames that MPI has in hand: to a peer, and from all of them.
constexpr std::size_t kMostLeaving = 16;
constexpr std::uint32_t kMostArriving = 64;
// For MPI to let go of the last frames when the endpoint ends.
constexpr auto kFarewell = 1s;

std::uint32_t read_card(std::span<const std::byte> card) {
    return card.size() == 4 ? tcp::load<std::uint32_t>(card.data()) : ~std::uint32_t{0};
}

}  // namespace

Mailbox::Mailbox(NetControl& control, const MpiOptions& options, const weft_mpi_module& mpi)
    : control_(control),
      options_(options),
      mpi_(mpi),
      rank_(control.rank()),
      ranks_(control.ranks()),
      lanes_(options.lanes),
      fds_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
           ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)},
      nap_(kShortestNap),
      peers_(control.ranks()) {
    WEFT_CHECK(fds_[0] >= 0 && fds_[1] >= 0, "no descriptors to wait on: {}", std::strerror(errno));
    WEFT_CHECK(options.eager <= kLongestPayload, "{} bytes at once", options.eager);
    for (std::uint32_t i = 0; i < lanes_.size(); ++i) lanes_[i].path = i;
    std::vector<std::byte> card(4);
    tcp::store<std::uint32_t>(card.data(), static_cast<std::uint32_t>(mpi_.rank()));
    control_.publish(kCard, std::move(card));
}

Mailbox::~Mailbox() {
    if (world_ != nullptr) flush();  // acknowledgements of what was released last
    const auto until = Clock::now() + kFarewell;
    const auto busy = [&] {
        return std::any_of(peers_.begin(), peers_.end(),
                           [](const Peer& p) { return !p.leaving.empty() || !p.arriving.empty(); });
    };
    while (world_ != nullptr && busy() && Clock::now() < until) {
        retire();
        for (std::uint32_t p = 0; p < ranks_; ++p) (void)take_arrived(p);
        std::this_thread::sleep_for(kShortestNap);
    }
    // What MPI still holds stays where it is, for ever: it may be read or written.
    for (Peer& p : peers_)
        for (auto* frames : {&p.leaving, &p.arriving})
            for (Frame& f : *frames) (void)f.buffer.data.release();
    if (world_ != nullptr) mpi_.leave(world_);
    for (const int fd : fds_) ::close(fd);
}

Status Mailbox::assemble() {
    if (options_.threads) {
        world_ = mpi_.join_threads(*options_.threads, static_cast<int>(rank_));
        return Done{};
    }
    std::vector<int> ranks;
    for (std::uint32_t r = 0; r < ranks_; ++r) {
        const std::uint32_t number = r == rank_ ? static_cast<std::uint32_t>(mpi_.rank())
                                                : read_card(control_.card(r, kCard));
        const bool twice =
            std::find(ranks.begin(), ranks.end(), static_cast<int>(number)) != ranks.end();
        if (number > std::uint32_t{1} << 30 || twice)
            return LiveError{
                .what = fmt::format("rank {} {} in the MPI job of this rank", r,
                                    twice ? "has the number of another rank" : "is not"),
                .rank = static_cast<int>(rank_),
                .peer = static_cast<int>(r)};
        ranks.push_back(static_cast<int>(number));
    }
    world_ = mpi_.join(ranks.data(), static_cast<int>(ranks_));
    if (world_ != nullptr) return Done{};
    return LiveError{.what = mpi_.last_error(), .rank = static_cast<int>(rank_)};
}

Status Mailbox::connect(std::uint32_t peer, Clock::time_point) {
    WEFT_CHECK(world_ != nullptr, "the world is not assembled");
    if (!peers_[peer].lost) return Done{};
    return LiveError{
        .what = "MPI has lost it", .rank = static_cast<int>(rank_), .peer = static_cast<int>(peer)};
}

std::size_t Mailbox::poll(std::span<Completion> out) {
    if (progress()) nap_ = kShortestNap;
    const std::size_t n = std::min(out.size(), completions_.size());
    std::copy_n(completions_.begin(), n, out.begin());
    completions_.erase(completions_.begin(), completions_.begin() + static_cast<std::ptrdiff_t>(n));
    return n;
}

std::optional<Fault> Mailbox::fault() {
    if (faults_.empty()) return std::nullopt;
    Fault oldest = std::move(faults_.front());
    faults_.pop_front();
    return oldest;
}

bool Mailbox::arm() {
    if (progress()) nap_ = kShortestNap;
    if (!completions_.empty() || !faults_.empty()) return false;
    const timespec time{.tv_sec = 0, .tv_nsec = static_cast<long>(nap_ / 1ns)};
    const itimerspec once{.it_interval = {}, .it_value = time};
    ::timerfd_settime(fds_[1], 0, &once, nullptr);
    nap_ = std::min<std::chrono::microseconds>(2 * nap_, kLongestNap);
    return true;
}

void Mailbox::disarm() {
    std::uint64_t count = 0;
    for (const int fd : fds_) (void)!::read(fd, &count, sizeof count);
}

void Mailbox::wake() {
    const std::uint64_t one = 1;
    (void)!::write(fds_[0], &one, sizeof one);
}

bool Mailbox::progress() {
    if (world_ == nullptr) return false;
    retire();
    const bool moved = receive_frames();
    flush();
    return moved;
}

/// Buffers that MPI has let go of.
void Mailbox::retire() {
    for (std::uint32_t p = 0; p < ranks_; ++p) {
        auto& leaving = peers_[p].leaving;
        while (!leaving.empty()) {
            const int done = mpi_.finished(leaving.front().request);
            if (done == 0) break;
            pool_.give(std::move(leaving.front().buffer));
            leaving.pop_front();
            if (done < 0) lose(p, mpi_.last_error());
        }
    }
}

bool Mailbox::receive_frames() {
    bool moved = false;
    for (int from = 0; arriving_ < kMostArriving;) {
        std::size_t size = 0;
        const int found = mpi_.probe(world_, &from, &size);
        if (found == 0) break;
        if (found < 0) {
            for (std::uint32_t p = 0; p < ranks_; ++p) lose(p, mpi_.last_error());
            return true;
        }
        // Threads of one process are told apart by the frame alone.
        const std::uint32_t index = from < 0 ? 0 : static_cast<std::uint32_t>(from);
        Frame f{.buffer = pool_.take(kHeaderAt + size), .size = size};
        f.request = mpi_.receive(world_, f.at(kHeaderAt));
        if (f.request == nullptr) {
            lose(index, mpi_.last_error());
            continue;
        }
        peers_[index].arriving.push_back(std::move(f));
        ++arriving_;
        moved = take_arrived(index) || moved;
    }
    for (std::uint32_t p = 0; arriving_ > 0 && p < ranks_; ++p) moved = take_arrived(p) || moved;
    return moved;
}

bool Mailbox::take_arrived(std::uint32_t index) {
    auto& arriving = peers_[index].arriving;
    bool moved = false;
    while (!arriving.empty()) {
        const int done = mpi_.finished(arriving.front().request);
        if (done == 0) break;
        Frame frame = std::move(arriving.front());
        arriving.pop_front();
        --arriving_;
        moved = true;
        if (done > 0)
            on_frame(index, std::move(frame));
        else
            lose(index, mpi_.last_error());
    }
    return moved;
}

/// Every operation that has begun and may need the peer finds out.
void Mailbox::lose(std::uint32_t peer, const std::string& why) {
    peers_[peer].lost = true;
    for (auto& [id, op] : ledger_.all())
        if (op.begun)
            raise(faults_, op,
                  {.kind = Fault::Kind::kUnreachable, .peer = peer, .what = "MPI: " + why});
}

void Mailbox::flush() {
    for (std::uint32_t p = 0; p < ranks_; ++p) {
        Peer& peer = peers_[p];
        if (!peer.to_grant.empty()) flush_grants(p);
        if (!peer.acks.empty()) flush_acks(p);
        if (!peer.ready.empty()) flush_sends(p);
    }
}

void Mailbox::flush_grants(std::uint32_t p) {
    auto& due = peers_[p].to_grant;
    std::vector<std::byte> entries;
    for (std::size_t i = 0; i < due.size();) {
        const auto id = due[i].operation;
        entries.clear();
        std::size_t n = 0;
        for (; i < due.size() && due[i].operation == id && n < tcp::kMostEntries; ++i, ++n)
            tcp::append_grant(due[i].entry, entries);
        const Operation* op = ledger_.find(id.first, id.second);
        if (op != nullptr) put(p, {.kind = FrameKind::kGrant, .head = op->head}, entries);
    }
    due.clear();
}

void Mailbox::flush_acks(std::uint32_t p) {
    auto& acks = peers_[p].acks;
    std::vector<std::byte> serials;
    for (std::size_t i = 0; i < acks.size();) {
        serials.clear();
        for (std::size_t n = 0; i < acks.size() && n < tcp::kMostEntries; ++i, ++n)
            tcp::append_ack(acks[i], serials);
        put(p, {.kind = FrameKind::kAck}, serials);
    }
    acks.clear();
}

/// With room for the payload.
Mailbox::Frame Mailbox::framed(const FrameHeader& header) {
    const std::size_t size = kHeaderSize + header.length;
    Frame f{.buffer = pool_.take(kHeaderAt + size), .size = size};
    tcp::encode_header(header, std::span<std::byte, kHeaderSize>(f.at(kHeaderAt), kHeaderSize));
    return f;
}

void Mailbox::put(std::uint32_t p, FrameHeader header, std::span<const std::byte> payload) {
    header.epoch = rank_;
    header.length = static_cast<std::uint32_t>(payload.size());
    Frame f = framed(header);
    if (!payload.empty()) std::memcpy(f.at(kPayloadAt), payload.data(), payload.size());
    dispatch(p, std::move(f));
}

void Mailbox::dispatch(std::uint32_t p, Frame f) {
    f.request = mpi_.send(world_, static_cast<int>(p), f.at(kHeaderAt), f.size);
    if (f.request != nullptr)
        peers_[p].leaving.push_back(std::move(f));
    else
        lose(p, mpi_.last_error());
}

void Mailbox::flush_sends(std::uint32_t p) {
    Peer& peer = peers_[p];
    while (!peer.ready.empty() && peer.leaving.size() < kMostLeaving && !peer.lost) {
        Send& send = *peer.ready.front();
        const auto length = static_cast<std::uint32_t>(
            send.header_only ? 0 : std::min<std::uint64_t>(send.size - send.sent, kLongestPayload));
        const FrameHeader header{
            .kind = FrameKind::kMessage,
            .flags = send.header_only ? std::uint8_t{tcp::kHeaderOnly} : std::uint8_t{0},
            .epoch = rank_,
            .length = length,
            .head = send.head,
            .stream = send.key.stream,
            .sequence = send.key.sequence,
            .serial = send.serial,
            .size = send.size,
            .offset = send.sent,
            .progress = send.lane};
        Frame f = framed(header);
        send.from.read({f.at(kPayloadAt), length});
        send.sent += length;
        if (send.header_only || send.sent == send.size) peer.ready.pop_front();
        dispatch(p, std::move(f));
    }
}

}  // namespace weft::live::mpi
