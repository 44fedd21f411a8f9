#include "tests/support/sequential_plan.hpp"

#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "base/check.hpp"

namespace weft::test {

namespace {

using Values = std::vector<Element>;
using Order = std::pair<std::uint32_t, std::uint32_t>;  // (stage, step)

bool touch(const UnitSet& a, const UnitSet& b) {
    for (std::uint32_t i = 0; i < a.count; ++i)
        for (std::uint32_t k = 0; k < b.count; ++k)
            if (a.first + i * a.stride == b.first + k * b.stride) return true;
    return false;
}

struct Pending {
    Order order;
    Transfer transfer;
    bool done = false;
};

/// One rank's share of one channel: units that this rank has, per buffer, and what is left to do.
struct Party {
    std::uint32_t rank = 0;
    std::vector<Values> input;                  // by unit; empty where the rank holds none
    std::vector<std::optional<Values>> output;  // by unit; absent = not written
    std::vector<std::optional<Values>> scratch;
    std::vector<Pending> sends;
    std::vector<Pending> recvs;
};

class ChannelRun {
  public:
    ChannelRun(const PlanTemplate& p, std::size_t channel, const SequentialRun& math)
        : plan_(p), channel_(channel), math_(math) {}

    void add(Party party) {
        const auto& stages = plan_.channels[channel_].stages;
        for (std::uint32_t s = 0; s < stages.size(); ++s) {
            for (std::uint32_t i = 0; i < send_count(plan_, channel_, s, party.rank); ++i) {
                const Transfer t = send_at(plan_, channel_, s, party.rank, i);
                party.sends.push_back({{s, t.step}, t});
            }
            for (std::uint32_t i = 0; i < recv_count(plan_, channel_, s, party.rank); ++i) {
                const Transfer t = recv_at(plan_, channel_, s, party.rank, i);
                party.recvs.push_back({{s, t.step}, t});
            }
        }
        parties_.push_back(std::move(party));
    }
    void run() {
        for (bool moved = true; moved;) {
            moved = false;
            for (Party& p : parties_) {
                for (Pending& send : p.sends) moved = try_send(p, send) || moved;
                for (Pending& recv : p.recvs) moved = try_recv(p, recv) || moved;
            }
        }
        for (const Party& p : parties_) {
            for (const Pending& x : p.sends) WEFT_CHECK(x.done, "rank {} still sends", p.rank);
            for (const Pending& x : p.recvs) WEFT_CHECK(x.done, "rank {} still receives", p.rank);
        }
    }
    [[nodiscard]] std::vector<Party>& parties() { return parties_; }

  private:
    using Connection = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>;

    static bool all_done(const std::vector<Pending>& list, const UnitSet& units, Order before,
                         bool inclusive) {
        for (const Pending& x : list) {
            const bool earlier = x.order < before || (inclusive && x.order == before);
            if (!x.done && earlier && touch(x.transfer.units, units)) return false;
        }
        return true;
    }
    std::vector<std::optional<Values>>& written(Party& p, Buffer b) const {
        return b == Buffer::kScratch ? p.scratch : p.output;
    }
    const Values& read(Party& p, Buffer b, std::uint32_t unit) const {
        if (b == Buffer::kInput) return p.input[unit];
        if (written(p, b)[unit]) return *written(p, b)[unit];
        if (p.scratch[unit]) return *p.scratch[unit];
        return p.input[unit];
    }
    bool try_send(Party& p, Pending& send) {
        if (send.done || !all_done(p.recvs, send.transfer.units, send.order, false)) return false;
        const Stage& stage = plan_.channels[channel_].stages[send.order.first];
        std::vector<Values> message;
        for (std::uint32_t k = 0; k < send.transfer.units.count; ++k) {
            const std::uint32_t unit = send.transfer.units.first + k * send.transfer.units.stride;
            message.push_back(read(p, stage.source, unit));
        }
        const Connection to{send.order.first, p.rank, send.transfer.peer, send.transfer.ordinal};
        WEFT_CHECK(wire_.emplace(to, std::move(message)).second, "a transfer sent twice");
        return send.done = true;
    }
    bool try_recv(Party& p, Pending& recv) {
        if (recv.done || !all_done(p.sends, recv.transfer.units, recv.order, true) ||
            !all_done(p.recvs, recv.transfer.units, recv.order, false) || !next_in_stage(p, recv))
            return false;
        const auto found =
            wire_.find({recv.order.first, recv.transfer.peer, p.rank, recv.transfer.ordinal});
        if (found == wire_.end()) return false;
        const Stage& stage = plan_.channels[channel_].stages[recv.order.first];
        for (std::uint32_t k = 0; k < recv.transfer.units.count; ++k) {
            const std::uint32_t unit = recv.transfer.units.first + k * recv.transfer.units.stride;
            Values& incoming = found->second.at(k);
            if (stage.arrival == Arrival::kReduce) {
                const Values& local = read(p, stage.destination, unit);
                WEFT_CHECK(local.size() == incoming.size(), "sizes differ");
                for (std::size_t i = 0; i < incoming.size(); ++i)
                    incoming[i] = math_.combine(incoming[i], local[i]);
            }
            written(p, stage.destination)[unit] = std::move(incoming);
        }
        wire_.erase(found);
        return recv.done = true;
    }
    /// Receives of a stage happen in the order in which the Plan lists them.
    static bool next_in_stage(const Party& p, const Pending& recv) {
        for (const Pending& x : p.recvs) {
            if (&x == &recv) return true;
            if (!x.done && x.order.first == recv.order.first) return false;
        }
        return true;
    }

    const PlanTemplate& plan_;
    std::size_t channel_;
    const SequentialRun& math_;
    std::vector<Party> parties_;
    std::map<Connection, std::vector<Values>> wire_;
};

}  // namespace

std::vector<std::vector<Element>> SequentialRun::operator()(
    const PlanTemplate& plan, const Binding& b, const std::vector<std::vector<Element>>& in) const {
    std::vector<std::vector<Element>> out(plan.n);
    for (std::uint32_t r = 0; r < plan.n; ++r)
        out[r].resize(buffer_elements(plan, b, Buffer::kOutput, r));
    for (std::size_t c = 0; c < plan.channels.size(); ++c) {
        const std::uint32_t units = plan.channels[c].units;
        ChannelRun run(plan, c, *this);
        for (std::uint32_t r = 0; r < plan.n; ++r) {
            Party p{.rank = r,
                    .input = std::vector<Values>(units),
                    .output = {},
                    .scratch = {},
                    .sends = {},
                    .recvs = {}};
            p.output.resize(units);
            p.scratch.resize(units);
            for (std::uint32_t u = 0; u < units; ++u) {
                if (!holds(plan, Buffer::kInput, r, u)) continue;
                const ElementRange at = place(plan, b, Buffer::kInput, r, c, u);
                p.input[u].assign(in[r].begin() + static_cast<std::ptrdiff_t>(at.begin),
                                  in[r].begin() + static_cast<std::ptrdiff_t>(at.end));
            }
            run.add(std::move(p));
        }
        run.run();
        for (Party& p : run.parties())
            for (std::uint32_t u = 0; u < units; ++u) {
                if (!holds(plan, Buffer::kOutput, p.rank, u)) continue;
                const ElementRange at = place(plan, b, Buffer::kOutput, p.rank, c, u);
                const Values& from = p.output[u]    ? *p.output[u]
                                     : p.scratch[u] ? *p.scratch[u]
                                                    : p.input[u];
                WEFT_CHECK(from.size() == at.size(), "unit {} of rank {} is missing", u, p.rank);
                for (std::size_t i = 0; i < from.size(); ++i)
                    out[p.rank][at.begin + i] = finish ? finish(from[i]) : from[i];
            }
    }
    return out;
}

}  // namespace weft::test
