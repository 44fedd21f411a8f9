#include "collectives/transport/shm/meeting.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace weft::live::shm {

namespace {

constexpr std::size_t kSegmentMost = std::size_t{1} << 32;
constexpr int kNapMs = 20;

enum class Verdict : std::uint32_t { kWelcome = 1, kRefused = 2, kOffer = 3 };

struct Hello {
    std::uint32_t magic = kMagic;
    Verdict verdict = Verdict::kWelcome;
    std::uint32_t rank = 0;
    std::uint32_t lanes = 0;
    std::uint64_t segment_bytes = 0;
    std::uint64_t word_address = 0;  // 0: its memory is not to be read
    std::uint64_t word = 0;
};

std::array<std::byte, sizeof(Hello)> bytes_of(const Hello& h) {
    std::array<std::byte, sizeof(Hello)> bytes;
    std::memcpy(bytes.data(), &h, sizeof h);
    return bytes;
}

LiveError broken(std::uint32_t peer, const std::string& why) {
    return {.what = "shared memory with the peer: " + why, .peer = static_cast<int>(peer)};
}

Outcome<Mapping> open_rank_segment(const Hello& h, std::uint32_t peer, File file) {
    if (h.magic != kMagic) return broken(peer, "it is of another version");
    if (h.rank != peer) return broken(peer, fmt::format("rank {} answered", h.rank));
    if (h.segment_bytes <= sizeof(RankPage) || h.segment_bytes > kSegmentMost)
        return broken(peer, fmt::format("a segment of {} bytes", h.segment_bytes));
    auto opened = Mapping::open(std::move(file), h.segment_bytes, Access::kRead);
    if (!opened.ok()) return broken(peer, opened.error().what);
    return opened;
}

Hello my_hello(std::uint32_t rank, const MeetingPlace::Mine& mine) {
    Hello h;
    h.rank = rank;
    h.lanes = mine.lanes;
    h.segment_bytes = mine.segment_bytes;
    if (mine.word != nullptr) {
        h.word_address = reinterpret_cast<std::uintptr_t>(mine.word);
        h.word = *mine.word;
    }
    return h;
}

/// Tells the peer, in the pair's page, whether this rank reads its memory.
void learn_to_read(Meeting& m, const Hello& peer, std::uint32_t rank) {
    if (peer.word_address != 0)
        m.memory = RemoteMemory::open(m.socket.get(), peer.word_address, peer.word);
    auto* page = reinterpret_cast<PairPage*>(m.pair.data());
    store(page->can_read[rank < m.peer ? 0 : 1], std::uint32_t{m.memory ? 1u : 0u});
}

File bell_of(File file) {
    // Ringing never blocks, whatever the peer has sent.
    const int flags = ::fcntl(file.get(), F_GETFL);
    if (flags < 0 || ::fcntl(file.get(), F_SETFL, flags | O_NONBLOCK) != 0) return {};
    return file;
}

}  // namespace

MeetingPlace::MeetingPlace(NetControl& control, const Mine& mine, int poller)
    : control_(control), mine_(mine), poller_(poller), stages_(control.ranks(), Stage::kNone) {
    control_.on_connection(Purpose::kShm, [this](Connection c) { take(c); });
}

MeetingPlace::~MeetingPlace() {
    // A child of the process has no thread that could call take(), and perhaps a held lock.
    if (owner_ != ::getpid()) return;
    control_.on_connection(Purpose::kShm, {});
}

void MeetingPlace::take(const Connection& connection) {
    const std::uint32_t peer = connection.peer;
    File socket(connection.fd);
    const std::lock_guard lock(mutex_);
    if (peer >= stages_.size() || peer == control_.rank()) return;
    Stage& stage = stages_[peer];
    const bool mine_counts = stage == Stage::kDialling && control_.rank() < peer;
    Hello hello = my_hello(control_.rank(), mine_);
    if (stage == Stage::kMet || mine_counts) {
        hello.verdict = Verdict::kRefused;
        (void)send_files(socket.get(), bytes_of(hello), {});
        return;
    }
    const std::array files{mine_.segment, mine_.bell};
    if (!send_files(socket.get(), bytes_of(hello), files)) return;
    // A peer that dials again has given up the first time.
    expected_.erase(std::remove_if(expected_.begin(), expected_.end(),
                                   [&](const Expected& e) { return e.peer == peer; }),
                    expected_.end());
    epoll_event event{.events = EPOLLIN, .data = {}};
    if (::epoll_ctl(poller_, EPOLL_CTL_ADD, socket.get(), &event) != 0) return;
    stage = Stage::kExpecting;
    expected_.push_back({peer, std::move(socket)});
    note();
}

Outcome<Meeting> MeetingPlace::complete(Expected& e, const std::byte* bytes,
                                        std::span<File> files) {
    Hello hello;
    std::memcpy(&hello, bytes, sizeof hello);
    if (hello.verdict != Verdict::kOffer || !files[2]) return broken(e.peer, "half an offer");
    if (hello.lanes != mine_.lanes)
        return broken(e.peer,
                      fmt::format("it has {} lanes, this rank has {}", hello.lanes, mine_.lanes));
    Meeting m;
    m.peer = e.peer;
    auto rank = open_rank_segment(hello, e.peer, std::move(files[0]));
    if (!rank.ok()) return rank.error();
    m.rank = std::move(rank.value());
    m.bell = bell_of(std::move(files[1]));
    if (!m.bell) return broken(e.peer, "no eventfd");
    auto pair = Mapping::open(std::move(files[2]), pair_bytes(mine_.lanes), Access::kWrite);
    if (!pair.ok()) return broken(e.peer, pair.error().what);
    m.pair = std::move(pair.value());
    m.socket = std::move(e.socket);
    learn_to_read(m, hello, control_.rank());
    return m;
}

std::vector<Meeting> MeetingPlace::collect() {
    const std::lock_guard lock(mutex_);
    std::vector<Meeting> met = std::exchange(arrived_, {});
    for (Expected& e : expected_) {
        std::array<std::byte, sizeof(Hello)> hello;
        std::array<File, 3> files;
        const Came came = receive_files(e.socket.get(), hello, files);
        if (came == Came::kNothing) continue;
        (void)::epoll_ctl(poller_, EPOLL_CTL_DEL, e.socket.get(), nullptr);
        stages_[e.peer] = Stage::kNone;
        if (came == Came::kMessage) {
            auto m = complete(e, hello.data(), files);
            if (m.ok()) {
                stages_[e.peer] = Stage::kMet;
                met.push_back(std::move(m.value()));
            } else {
                refused_.push_back(m.error());
            }
        }
        e.socket.close();
    }
    expected_.erase(std::remove_if(expected_.begin(), expected_.end(),
                                   [](const Expected& e) { return !e.socket; }),
                    expected_.end());
    note();
    return met;
}

std::optional<LiveError> MeetingPlace::refused() {
    const std::lock_guard lock(mutex_);
    if (refused_.empty()) return std::nullopt;
    LiveError first = std::move(refused_.front());
    refused_.erase(refused_.begin());
    note();
    return first;
}

/// Whoever holds the mutex says what there is to others, who look without it.
void MeetingPlace::note() {
    const bool settled = !arrived_.empty() || !refused_.empty();
    settled_.store(settled, std::memory_order_release);
    expecting_.store(settled || !expected_.empty(), std::memory_order_release);
}

void MeetingPlace::wait(std::uint32_t ms) const {
    pollfd p{poller_, POLLIN, 0};
    (void)::poll(&p, 1, static_cast<int>(ms));
}

Outcome<Meeting> MeetingPlace::meet(std::uint32_t peer, Clock::time_point deadline) {
    while (true) {
        std::vector<Meeting> met = collect();
        Stage stage = Stage::kNone;
        std::optional<Meeting> wanted;
        {
            const std::lock_guard lock(mutex_);
            for (Meeting& m : met)
                if (m.peer == peer)
                    wanted = std::move(m);
                else
                    arrived_.push_back(std::move(m));
            note();
            if (stages_[peer] == Stage::kNone) stages_[peer] = Stage::kDialling;
            stage = stages_[peer];
        }
        if (wanted) return std::move(*wanted);
        if (stage == Stage::kDialling) {
            auto dialled = dial(peer, deadline);
            const std::lock_guard lock(mutex_);
            if (dialled.ok() && dialled.value()) {
                stages_[peer] = Stage::kMet;
                return std::move(*dialled.value());
            }
            if (stages_[peer] == Stage::kDialling) stages_[peer] = Stage::kNone;
            if (!dialled.ok() && stages_[peer] == Stage::kNone) return dialled.error();
        }
        if (Clock::now() >= deadline)
            return broken(peer, "it has not answered before the deadline");
        wait(kNapMs);
    }
}

/// Absent: refused, because the peer dials as well.
Outcome<std::optional<Meeting>> MeetingPlace::dial(std::uint32_t peer, Clock::time_point deadline) {
    auto dialled = control_.dial(peer, Purpose::kShm, 0, -1, -1, deadline);
    if (!dialled.ok()) return dialled.error();
    Meeting m;
    m.peer = peer;
    m.dialled = true;
    m.socket = File(dialled.value().fd);
    std::array<std::byte, sizeof(Hello)> bytes;
    std::array<File, 3> files;
    while (true) {
        const Came came = receive_files(m.socket.get(), bytes, files);
        if (came == Came::kGone) return broken(peer, "it has hung up");
        if (came == Came::kMessage) break;
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) return broken(peer, "it has not answered before the deadline");
        pollfd p{m.socket.get(), POLLIN, 0};
        (void)::poll(&p, 1, static_cast<int>(std::min<long>(left.count(), kNapMs)));
    }
    Hello hello;
    std::memcpy(&hello, bytes.data(), sizeof hello);
    if (hello.verdict == Verdict::kRefused) return std::optional<Meeting>{};
    auto rank = open_rank_segment(hello, peer, std::move(files[0]));
    if (!rank.ok()) return rank.error();
    if (hello.lanes != mine_.lanes)
        return broken(peer,
                      fmt::format("it has {} lanes, this rank has {}", hello.lanes, mine_.lanes));
    m.rank = std::move(rank.value());
    m.bell = bell_of(std::move(files[1]));
    if (!m.bell) return broken(peer, "no eventfd");
    auto pair = Mapping::create(pair_bytes(mine_.lanes), Access::kWrite);
    if (!pair.ok()) return pair.error();
    m.pair = std::move(pair.value());
    auto* page = reinterpret_cast<PairPage*>(m.pair.data());
    page->magic = kMagic;
    page->lanes = mine_.lanes;
    learn_to_read(m, hello, control_.rank());
    Hello offer = my_hello(control_.rank(), mine_);
    offer.verdict = Verdict::kOffer;
    const std::array sent{mine_.segment, mine_.bell, m.pair.file()};
    if (!send_files(m.socket.get(), bytes_of(offer), sent)) return broken(peer, "it has hung up");
    m.pair.close_file();
    return std::optional<Meeting>(std::move(m));
}

}  // namespace weft::live::shm
