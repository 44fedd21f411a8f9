#pragma once
// Victims: flows that wait behind pauses whose cause lies at a port that they do not use.
//
// Models: the cause of a pause is the port with the deepest queue of the switch that sent it, at
// that time; if that port is itself paused, or what waits there has waited through its last pause,
// the cause of that pause, and so on: the root of the congestion tree. A port paused by a NIC is
// its own root. A flow is held while a packet of it waits at a paused port, or while it could send
// at a NIC's paused port; it is a victim for that time if no port of its path is the root of a
// pause meanwhile, be it of this one or of another. (Zhu et al., DCQCN, SIGCOMM 2015, section 2.2:
// a victim flow has no congested link on its path; Zhang et al., Congestion Detection in Lossless
// Networks, SIGCOMM 2021: a port is congested by itself only where it is not held by a pause.) Time
// is counted once a flow, however many of its packets are held. Leaves out: what a victim loses
// beyond waiting (the queue that built up meanwhile). Bounded: of a port its last four pauses, of a
// flow the last four spans counted; what is older is not told apart. Cost: 88 B a flow, 120 B a
// paused port.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace weft::packet {

/// The last spans counted of one flow, apart from each other.
class CountedSpans {
  public:
    /// How much of a span is new; from then on it is counted.
    std::int64_t add(std::int64_t from, std::int64_t to);
    /// How much would be.
    [[nodiscard]] std::int64_t fresh(std::int64_t from, std::int64_t to) const;

  private:
    struct Span {
        std::int64_t from = 0;
        std::int64_t to = 0;
    };
    std::array<Span, 4> spans_{};
};

struct Victim {
    CountedSpans counted;
    std::int64_t waited = 0;      // ps
    std::int64_t longest = 0;     // new time counted at once
    std::uint32_t held_at = ~0U;  // the port then
    std::uint32_t root = ~0U;     // and the cause
};

/// Recent pauses of one port, the oldest first; and those that go back to it.
struct PortPauses {
    struct Pause {
        std::int64_t from = 0;
        std::int64_t to = 0;
        std::uint32_t root = ~0U;
    };
    std::array<Pause, 4> pauses{};
    std::uint32_t next_root = ~0U;  // of the pause that is to come
    std::uint32_t root = ~0U;       // of the pause in force, or of the last
    bool paused = false;
    std::uint32_t holds = 0;      // ports paused now whose root it is
    std::int64_t held_until = 0;  // when the last such pause ended
};

class Victims {
  public:
    explicit Victims(std::size_t links) : place_(links, ~0U) {}

    /// The next pause of a port will be because of `root`.
    void will_pause(std::uint32_t link, std::uint32_t root) { port(link).next_root = root; }
    void pause(std::uint32_t link);
    void resume(std::uint32_t link, std::int64_t from, std::int64_t to);
    /// Of the pause in force of a port, or of its last; ~0: none is known.
    [[nodiscard]] std::uint32_t root_of(std::uint32_t link) const;
    /// A pause whose root this port is was in force after `since`.
    [[nodiscard]] bool is_root(std::uint32_t link, std::int64_t since) const {
        if (place_[link] == ~0U) return false;
        const PortPauses& p = ports_[place_[link]];
        const bool now = p.holds > 0 && (!p.paused || p.root == link);
        return now || p.held_until > since;
    }

    /// A flow has waited at a port from `from` until now; the port has been paused since
    /// `paused_at`, or it is now. `shares(root, since)`: the flow has part in the congestion; asked
    /// only when needed.
    template <class Shares>
    void held(std::uint32_t flow, std::uint32_t link, std::int64_t from, std::int64_t paused_at,
              std::int64_t now, Shares shares) {
        if (place_[link] == ~0U) return;
        const PortPauses& p = ports_[place_[link]];
        if (flow >= flows_.size()) flows_.resize(flow + std::size_t{1});
        const auto count = [&](std::int64_t begin, std::int64_t end, std::uint32_t root) {
            begin = std::max(begin, from);
            if (begin >= end || root == ~0U || flows_[flow].counted.fresh(begin, end) == 0) return;
            if (!shares(root, begin)) add(flows_[flow], link, root, begin, end);
        };
        for (const PortPauses::Pause& x : p.pauses) count(x.from, x.to, x.root);
        count(paused_at, now, root_of(link));
    }
    /// By flow, up to the last that was ever held.
    [[nodiscard]] const std::vector<Victim>& flows() const { return flows_; }
    [[nodiscard]] std::size_t bytes() const {
        return flows_.capacity() * sizeof(Victim) + ports_.capacity() * sizeof(PortPauses) +
               place_.capacity() * sizeof(std::uint32_t);
    }

  private:
    [[nodiscard]] PortPauses& port(std::uint32_t link);
    static void add(Victim& v, std::uint32_t port, std::uint32_t root, std::int64_t from,
                    std::int64_t to);

    std::vector<Victim> flows_;
    std::vector<PortPauses> ports_;
    std::vector<std::uint32_t> place_;  // by link
};

}  // namespace weft::packet
