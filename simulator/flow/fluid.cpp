#include "simulator/flow/fluid.hpp"

#include <algorithm>
#include <limits>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace weft::flow {
namespace {

constexpr Int128 kPsPerSecond = 1'000'000'000'000;
constexpr std::size_t kKnownLimit = 20'000'000;  // numbers kept of solved patterns

}  // namespace

std::size_t Fluid::KeyHash::operator()(const std::vector<ClassId>& key) const {
    std::uint64_t h = key.size();
    for (const ClassId c : key) h = mix64(h ^ c);
    return h;
}

Fluid::Fluid(const Universe& u, const Quotient& q, Sharing sharing)
    : u_(&u),
      q_(&q),
      sharing_(sharing),
      streams_(q.streams.size()),
      on_link_(q.links.size()),
      link_seen_(q.links.size(), 0),
      carried_(q.links.size(), 0),
      busy_(q.links.size()),
      busy_since_(q.links.size()) {
    for (const Incidence& in : q.loads) {
        solvers_.emplace_back(in, q.links.size());
        row_rate_.emplace_back(in.rows(), 0);
    }
    set_epoch(0, SimTime{});
}

std::span<const std::uint32_t> Fluid::links(ClassId s) const {
    const Incidence& in = q_->loads[lanes_];
    const StreamClass::Rows& r = rows(s);
    const std::uint32_t begin = in.first[r.first];
    return std::span{in.link}.subspan(begin, in.first[r.first + r.count] - begin);
}

void Fluid::set_epoch(std::size_t epoch, SimTime now) {
    const std::size_t before = lanes_;
    const std::size_t after = u_->lanes_of_epoch[epoch];
    std::vector<ClassId> active;
    for (ClassId s = 0; s < streams_.size(); ++s)
        if (streams_[s].active) active.push_back(s);
    for (const ClassId s : active) {
        close_segment(s, now);
        leave(s, now);
    }
    epoch_ = epoch;
    lanes_ = after;
    for (const ClassId s : active) {
        const StreamClass& c = q_->streams[s];
        if (before != after && c.num[before] != c.num[after])
            streams_[s].left =
                static_cast<std::int64_t>(ceil_div(streams_[s].left * c.num[after], c.num[before]));
        const StreamClass::Rows& r = rows(s);
        for (std::uint32_t i = r.first; i < r.first + r.count; ++i) row_rate_[lanes_][i] = 0;
        streams_[s].rate = 0;
        streams_[s].end = SimTime::never();
        enter(s, now);
    }
    std::vector<std::int64_t> capacity;
    for (const LinkClass& l : q_->links) capacity.push_back(u_->capacity[epoch][l.first.index()]);
    solvers_[lanes_].set_capacity(capacity);
}

void Fluid::enter(ClassId s, SimTime now) {
    streams_[s].active = true;
    ++active_count_;
    for (const std::uint32_t l : links(s)) {
        if (!on_link_[l].empty() && on_link_[l].back() == s) continue;
        if (on_link_[l].empty()) busy_since_[l] = now;
        on_link_[l].push_back(s);
        dirty_.push_back(l);
    }
}

void Fluid::leave(ClassId s, SimTime now) {
    streams_[s].active = false;
    --active_count_;
    for (const std::uint32_t l : links(s)) {
        std::vector<ClassId>& on = on_link_[l];
        const auto at = std::find(on.begin(), on.end(), s);
        if (at == on.end()) continue;
        *at = on.back();
        on.pop_back();
        dirty_.push_back(l);
        if (on.empty()) busy_[l] += now - busy_since_[l];
    }
}

void Fluid::start(ClassId s, Bytes size, std::int64_t overhead_per_mille, SimTime now) {
    const StreamClass& c = q_->streams[s];
    Stream& st = streams_[s];
    WEFT_CHECK(!st.active, "stream {} is active already", s);
    const Int128 bits = ceil_div(Int128{8} * size.count() * c.num[lanes_], c.den);
    st.left = static_cast<std::int64_t>(ceil_div(bits * overhead_per_mille, 1000));
    st.rate = 0;
    st.since = now;
    st.end = SimTime::never();
    const StreamClass::Rows& r = rows(s);
    for (std::uint32_t i = r.first; i < r.first + r.count; ++i) row_rate_[lanes_][i] = 0;
    enter(s, now);
}

/// Bits of one stream of a class that have left, to the links of its lanes by their rates.
void Fluid::account(ClassId s, std::int64_t bits) {
    const Incidence& in = q_->loads[lanes_];
    const StreamClass::Rows& r = rows(s);
    for (std::uint32_t row = r.first; row < r.first + r.count; ++row) {
        Int128 mine = bits;
        if (streams_[s].rate > 0) mine = mine * row_rate_[lanes_][row] / streams_[s].rate;
        for (std::uint32_t i = in.first[row]; i < in.first[row + 1]; ++i)
            carried_[in.link[i]] += mine * in.weight[i];
    }
}

void Fluid::close_segment(ClassId s, SimTime now) {
    Stream& st = streams_[s];
    const Int128 gone = Int128{st.rate} * (now - st.since).ps() / kPsPerSecond;
    const auto bits = static_cast<std::int64_t>(std::min<Int128>(gone, st.left));
    if (bits > 0) account(s, bits);
    st.left -= bits;
    st.since = now;
}

void Fluid::end_streams(SimTime now, std::vector<ClassId>& ended) {
    while (!ends_.empty() && ends_.top().at <= now) {
        const End e = ends_.top();
        ends_.pop();
        Stream& st = streams_[e.stream];
        if (!st.active || st.end != e.at) continue;
        account(e.stream, st.left);
        st.left = 0;
        leave(e.stream, now);
        ended.push_back(e.stream);
    }
}

SimTime Fluid::next_end() {
    while (!ends_.empty()) {
        const End& e = ends_.top();
        if (streams_[e.stream].active && streams_[e.stream].end == e.at) return e.at;
        ends_.pop();
    }
    return SimTime::never();
}

/// The active streams that are connected with a link, into component_.
void Fluid::collect(ClassId link) {
    component_.clear();
    std::vector<ClassId> open{link};
    link_seen_[link] = 1;
    seen_links_.push_back(link);
    while (!open.empty()) {
        const ClassId l = open.back();
        open.pop_back();
        for (const ClassId s : on_link_[l]) {
            if (streams_[s].seen) continue;
            streams_[s].seen = true;
            component_.push_back(s);
            for (const std::uint32_t m : links(s)) {
                if (link_seen_[m] != 0) continue;
                link_seen_[m] = 1;
                seen_links_.push_back(m);
                open.push_back(m);
            }
        }
    }
    for (const ClassId s : component_) streams_[s].seen = false;
}

void Fluid::settle(SimTime now) {
    std::vector<ClassId> dirty;
    dirty.swap(dirty_);
    for (const ClassId l : dirty) {
        if (link_seen_[l] != 0) continue;
        collect(l);
        if (!component_.empty()) solve(now);
    }
    for (const ClassId l : seen_links_) link_seen_[l] = 0;
    seen_links_.clear();
}

void Fluid::solve(SimTime now) {
    std::sort(component_.begin(), component_.end());
    std::vector<ClassId> key = component_;
    key.push_back(static_cast<ClassId>(epoch_));
    auto found = known_.find(key);
    if (found == known_.end()) {
        solve_rows_.clear();
        for (const ClassId s : component_)
            for (std::uint32_t i = 0; i < rows(s).count; ++i)
                solve_rows_.push_back(rows(s).first + i);
        MaxMin& solver = solvers_[lanes_];
        if (sharing_ == Sharing::kMaxMin) solver.solve(solve_rows_, solve_rates_);
        if (sharing_ == Sharing::kEqual) solver.share_equally(solve_rows_, solve_rates_);
        known_size_ += key.size() + solve_rates_.size();
        if (known_size_ > kKnownLimit) {
            known_.clear();
            known_size_ = 0;
        }
        found = known_.emplace(std::move(key), solve_rates_).first;
    }
    const std::int64_t* rates = found->second.data();
    for (const ClassId s : component_) {
        apply(s, rates, now);
        rates += rows(s).count;
    }
}

void Fluid::apply(ClassId s, const std::int64_t* row_rates, SimTime now) {
    Stream& st = streams_[s];
    const StreamClass::Rows& r = rows(s);
    std::int64_t* mine = row_rate_[lanes_].data() + r.first;
    if (st.end != SimTime::never() && std::equal(mine, mine + r.count, row_rates)) return;
    close_segment(s, now);
    Int128 rate = 0;
    for (std::uint32_t i = 0; i < r.count; ++i) {
        mine[i] = row_rates[i];
        rate += Int128{row_rates[i]} * q_->lanes_in_row[lanes_][r.first + i];
    }
    st.rate = static_cast<std::int64_t>(rate);
    st.end = SimTime::never();
    if (st.rate == 0) return;
    const Int128 ps = ceil_div(st.left * kPsPerSecond, st.rate);
    WEFT_CHECK(ps < std::numeric_limits<std::int64_t>::max() - now.ps(), "beyond 106 days");
    st.end = now + SimDuration{static_cast<std::int64_t>(ps)};
    ends_.push({st.end, s});
}

}  // namespace weft::flow
