#include "collectives/transport/net/card.hpp"

#include <fmt/format.h>
#include <fstream>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/result.hpp"

namespace weft::live::net {

namespace {

constexpr std::uint32_t kCardMagic = 0x64726377;  // "wcrd"
constexpr std::size_t kMaxItems = 4096;

void write_port(Writer& w, const Port& port, std::uint16_t listening) {
    w.text(port.interface);
    w.text(port.address);
    w.u32(static_cast<std::uint32_t>(port.rail));
    w.u32(static_cast<std::uint32_t>(port.plane));
    w.u32(static_cast<std::uint32_t>(port.numa));
    w.u64(port.bits_per_second);
    w.u16(listening);
}

void read_port(Reader& r, Card& card) {
    Port port;
    port.interface = r.text();
    port.address = r.text();
    port.rail = static_cast<std::int32_t>(r.u32());
    port.plane = static_cast<std::int32_t>(r.u32());
    port.numa = static_cast<std::int32_t>(r.u32());
    port.bits_per_second = r.u64();
    card.ports.push_back(std::move(port));
    card.listening.push_back(r.u16());
}

// Counts are believed only as far as the bytes reach: each item has two bytes at least.
std::size_t count_of(Reader& r) {
    const std::size_t n = r.u32();
    if (n > kMaxItems || n > r.left()) r.fail();
    return r.ok() ? n : 0;
}

std::string value_in(const Card& card, const std::string& key) {
    for (const auto& [k, v] : card.environment)
        if (k == key) return fmt::format("{}={}", printable(key), printable(v));
    return fmt::format("{} unset", printable(key));
}

}  // namespace

std::vector<std::byte> encode(const Card& card) {
    Writer w;
    w.u32(kCardMagic);
    w.u16(card.protocol);
    w.text(card.version);
    w.u32(card.rank);
    w.u32(card.ranks);
    w.text(card.host_name);
    w.u32(static_cast<std::uint32_t>(card.process));
    w.raw(card.host);
    w.text(card.unix_name);
    w.u32(static_cast<std::uint32_t>(card.environment.size()));
    for (const auto& [key, value] : card.environment) {
        w.text(key);
        w.text(value);
    }
    w.u32(static_cast<std::uint32_t>(card.ports.size()));
    for (std::size_t i = 0; i < card.ports.size(); ++i)
        write_port(w, card.ports[i], card.listening.at(i));
    w.u32(static_cast<std::uint32_t>(card.shown.size()));
    for (const auto& [name, bytes] : card.shown) {
        w.text(name);
        w.block(bytes);
    }
    return w.take();
}

std::optional<Card> parse_card(ByteSpan bytes) {
    Reader r(bytes);
    if (r.u32() != kCardMagic) return std::nullopt;
    Card card;
    card.protocol = r.u16();
    card.version = r.text();
    card.rank = r.u32();
    card.ranks = r.u32();
    card.host_name = r.text();
    card.process = static_cast<std::int32_t>(r.u32());
    if (!r.ok()) return std::nullopt;
    if (card.protocol != kProtocol) return card;
    const ByteSpan host = r.raw(card.host.size());
    std::copy(host.begin(), host.end(), card.host.begin());
    card.unix_name = r.text(100);
    for (std::size_t n = count_of(r); n > 0 && r.ok(); --n) {
        std::string key = r.text();
        card.environment.emplace_back(std::move(key), r.text());
    }
    for (std::size_t n = count_of(r); n > 0 && r.ok(); --n) read_port(r, card);
    for (std::size_t n = count_of(r); n > 0 && r.ok(); --n) {
        const std::string name = r.text();
        const ByteSpan shown = r.block();
        card.shown[name].assign(shown.begin(), shown.end());
    }
    if (!r.done()) return std::nullopt;
    return card;
}

std::string name_of(const Card& card) {
    return fmt::format("rank {} ({}, process {})", card.rank, printable(card.host_name),
                       card.process);
}

std::string difference(const Card& a, const Card& b) {
    if (a.protocol != b.protocol || a.version != b.version)
        return fmt::format("{} runs weft {} (protocol {}), {} runs weft {} (protocol {})",
                           name_of(a), printable(a.version), a.protocol, name_of(b),
                           printable(b.version), b.protocol);
    if (a.ranks != b.ranks)
        return fmt::format("{} believes in {} ranks, {} in {}", name_of(a), a.ranks, name_of(b),
                           b.ranks);
    for (const Card* side : {&a, &b}) {
        for (const auto& [key, value] : side->environment) {
            const std::string here = value_in(a, key);
            const std::string there = value_in(b, key);
            if (here != there)
                return fmt::format("the environments differ: {} has {}, {} has {}", name_of(a),
                                   here, name_of(b), there);
        }
    }
    return {};
}

std::string Meeting::arrive(std::uint32_t rank, std::uint32_t ranks, ByteSpan blob) {
    const std::optional<Card> card = parse_card(blob);
    const std::string name = card ? name_of(*card) : fmt::format("rank {}", rank);
    if (card && card->rank != rank)
        return fmt::format("{} brought the card of rank {}", fmt::format("rank {}", rank),
                           card->rank);
    if (ranks == 0 || rank >= ranks)
        return fmt::format("{} is not in 0..{}", name, static_cast<std::int64_t>(ranks) - 1);
    if (ranks_ == 0) ranks_ = ranks;
    if (card && first_)
        if (const std::string why = difference(*first_, *card); !why.empty()) return why;
    if (ranks != ranks_)
        return fmt::format("{} believes in {} ranks, {} in {}", names_.begin()->second, ranks_,
                           name, ranks);
    const auto [at, fresh] = names_.emplace(rank, name);
    if (!fresh) return fmt::format("rank {} came twice: {} and {}", rank, at->second, name);
    if (!first_) first_ = card;
    return {};
}

std::string Meeting::missing() const {
    constexpr int kNamed = 32;
    std::string out;
    int left = 0;
    int named = 0;
    for (std::uint32_t r = 0; r < ranks_; ++r) {
        if (names_.count(r) > 0) continue;
        if (named < kNamed)
            out += fmt::format("{}{}", named++ > 0 ? ", " : "not arrived: rank ", r);
        else
            ++left;
    }
    if (left > 0) out += fmt::format(" and {} more", left);
    return out.empty() ? "nobody has arrived" : out;
}

std::array<std::byte, 32> host_identity(const std::string& word) {
    Writer w;
    std::string boot;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
    w.text(boot);
    struct stat ns {};
    if (::stat("/proc/self/ns/net", &ns) == 0) {
        w.u64(ns.st_dev);
        w.u64(ns.st_ino);
    }
    utsname uts{};
    if (::uname(&uts) == 0) w.text(uts.nodename);
    w.text(word);
    std::array<std::byte, 32> out;
    crypto_generichash(reinterpret_cast<unsigned char*>(out.data()), out.size(),
                       reinterpret_cast<const unsigned char*>(w.bytes().data()), w.size(), nullptr,
                       0);
    return out;
}

}  // namespace weft::live::net
