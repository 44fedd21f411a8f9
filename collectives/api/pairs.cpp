#include "collectives/api/pairs.hpp"

#include <cstring>
#include <fmt/format.h>
#include <tuple>

#include "collectives/select/live.hpp"

namespace weft::live {

namespace {

[[noreturn]] void refuse(const char* key, const std::string& found, const std::string& expected,
                         const char* example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = found,
                       .expected = expected,
                       .example = example});
}

bool sends(const PairMessage& m) {
    return m.way == PairMessage::Way::kSend;
}

std::string text(const PairMessage& m) {
    return fmt::format("{} of {} {}", sends(m) ? "a send" : "a receive", m.count, name_of(m.dtype));
}

/// The rank's messages to itself, of one way, in order.
std::vector<const PairMessage*> own(std::span<const PairMessage> group, std::uint32_t rank,
                                    PairMessage::Way way) {
    std::vector<const PairMessage*> found;
    for (const PairMessage& m : group)
        if (m.peer == rank && m.way == way) found.push_back(&m);
    return found;
}

}  // namespace

void Pairs::check(std::span<const PairMessage> group) const {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 56;
    for (const PairMessage& m : group) {
        if (m.peer >= whole_.ranks())
            refuse("peer", std::to_string(m.peer), fmt::format("a rank below {}", whole_.ranks()),
                   "0");
        if (m.count > 0 && m.data == nullptr)
            refuse("buffer", "a null pointer", "memory of the message's size", "malloc(4 * count)");
        if (m.count > kMost / size_of(m.dtype))
            refuse("count", std::to_string(m.count), "less than 64 PiB in all", "1048576");
    }
    const auto out = own(group, whole_.rank(), PairMessage::Way::kSend);
    const auto in = own(group, whole_.rank(), PairMessage::Way::kReceive);
    for (std::size_t i = 0; i < std::max(out.size(), in.size()); ++i) {
        if (i >= out.size() || i >= in.size())
            refuse("peer",
                   fmt::format("{} with rank {} itself", text(i < out.size() ? *out[i] : *in[i]),
                               whole_.rank()),
                   "its other end in the same group", "weft_group_start()");
        if (out[i]->count != in[i]->count || out[i]->dtype != in[i]->dtype)
            refuse("count",
                   fmt::format("{} and {} of rank {} with itself", text(*out[i]), text(*in[i]),
                               whole_.rank()),
                   "the same count and type at both ends", "1024");
    }
}

Pairs::Pair& Pairs::pair(std::uint32_t source, std::uint32_t destination) {
    Pair& p = pairs_[{source, destination}];
    if (p.communicator) return p;
    const std::vector<std::uint32_t> ends{whole_.members()[source], whole_.members()[destination]};
    p.shape = world_.shape(ends);
    p.communicator = std::make_unique<Communicator>(
        whole_, pair_context(whole_.context(), whole_.ranks(), source, destination), ends);
    return p;
}

const PreparedPlan& Pairs::plan(const Pair& p, std::uint64_t bytes) {
    const LiveChoice choice =
        choose_live(Collective::kSendRecv, Bytes{static_cast<std::int64_t>(bytes)}, p.shape, 0);
    const std::uint32_t end = p.communicator->rank();
    auto& known = plans_[{end, p.shape.hosts == 1, choice.bucket}];
    if (!known)
        known =
            std::make_unique<PreparedPlan>(build_live(Collective::kSendRecv, choice, p.shape), end);
    return *known;
}

std::vector<Handle> Pairs::start(std::span<const PairMessage> group) {
    const std::uint32_t me = whole_.rank();
    const auto out = own(group, me, PairMessage::Way::kSend);
    const auto in = own(group, me, PairMessage::Way::kReceive);
    for (std::size_t i = 0; i < out.size(); ++i)
        if (out[i]->count > 0 && in[i]->data != out[i]->data)
            std::memmove(in[i]->data, out[i]->data, out[i]->count * size_of(out[i]->dtype));
    std::vector<Handle> started;
    const std::lock_guard lock(mutex_);
    for (const PairMessage& m : group) {
        if (m.peer == me) continue;
        const bool sender = sends(m);
        Pair& p = sender ? pair(me, m.peer) : pair(m.peer, me);
        const bool nothing = m.count == 0;
        Call call{.count = m.count, .dtype = m.dtype, .token = nothing};
        if (sender)
            call.buffers.input = nothing ? &sent_for_nothing_ : m.data;
        else
            call.buffers.output = nothing ? &received_for_nothing_ : m.data;
        started.push_back(p.communicator->start(plan(p, m.count * size_of(m.dtype)), call));
    }
    return started;
}

}  // namespace weft::live
