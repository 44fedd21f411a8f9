#include "collectives/transport/net/unique_id.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <sodium.h>

#include "base/rng.hpp"

namespace weft::live {

namespace net {

namespace {

constexpr std::uint16_t kIdMagic = 0x4657;  // "WF"
constexpr std::uint8_t kIdFormat = 1;
constexpr std::size_t kHeader = 2 + 1 + 1 + 4 + 32 + 2 + 1;
static_assert(kHeader + IdParts::kMaxPlace == UniqueId::kSize);

// Against slips of the pen, not against enemies: those would need the secret.
std::uint32_t check_of(const IdParts& parts) {
    const auto* secret = reinterpret_cast<const char*>(parts.secret.data());
    std::uint64_t h = hash_text({secret, parts.secret.size()});
    h = mix64(h, hash_text(parts.place));
    h = mix64(h, (std::uint64_t{parts.port} << 8) | static_cast<std::uint8_t>(parts.kind));
    return static_cast<std::uint32_t>(h);
}

}  // namespace

UniqueId pack(const IdParts& parts) {
    WEFT_CHECK(parts.place.size() <= IdParts::kMaxPlace, "a place of {} bytes", parts.place.size());
    Writer w;
    w.u16(kIdMagic);
    w.u8(kIdFormat);
    w.u8(static_cast<std::uint8_t>(parts.kind));
    w.u32(check_of(parts));
    w.raw(parts.secret);
    w.u16(parts.port);
    w.u8(static_cast<std::uint8_t>(parts.place.size()));
    w.raw(std::as_bytes(std::span(parts.place.data(), parts.place.size())));
    UniqueId id;
    std::copy(w.bytes().begin(), w.bytes().end(), id.bytes.begin());
    return id;
}

Outcome<IdParts> unpack(const UniqueId& id) {
    Reader r(id.bytes);
    const LiveError foreign{.what = "this is not a unique id of weft, or it was damaged"};
    if (r.u16() != kIdMagic) return foreign;
    if (r.u8() != kIdFormat) return LiveError{.what = "this unique id is of another weft version"};
    IdParts parts;
    const std::uint8_t kind = r.u8();
    if (kind > 2) return foreign;
    parts.kind = static_cast<IdParts::Kind>(kind);
    const std::uint32_t check = r.u32();
    const ByteSpan secret = r.raw(parts.secret.size());
    std::copy(secret.begin(), secret.end(), parts.secret.begin());
    parts.port = r.u16();
    const ByteSpan place = r.raw(r.u8());
    if (!r.ok()) return foreign;
    parts.place.assign(reinterpret_cast<const char*>(place.data()), place.size());
    // Nothing else may be set: one world has one id.
    if (check != check_of(parts) || pack(parts) != id) return foreign;
    return parts;
}

}  // namespace net

namespace {

constexpr std::string_view kTextPrefix = "weft-";
constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

}  // namespace

std::string to_text(const UniqueId& id) {
    std::size_t size = id.bytes.size();
    while (size > 1 && id.bytes[size - 1] == std::byte{0}) --size;
    std::string out(sodium_base64_ENCODED_LEN(size, kVariant), '\0');
    sodium_bin2base64(out.data(), out.size(),
                      reinterpret_cast<const unsigned char*>(id.bytes.data()), size, kVariant);
    out.pop_back();  // the end of the C string
    return std::string(kTextPrefix) + out;
}

UniqueId parse_unique_id(std::string_view text) {
    UniqueId id;
    std::size_t size = 0;
    const bool prefixed = text.substr(0, kTextPrefix.size()) == kTextPrefix;
    const std::string_view body = prefixed ? text.substr(kTextPrefix.size()) : "";
    const char* end = nullptr;
    const bool decoded =
        prefixed &&
        sodium_base642bin(reinterpret_cast<unsigned char*>(id.bytes.data()), id.bytes.size(),
                          body.data(), body.size(), nullptr, &size, &end, kVariant) == 0 &&
        end == body.data() + body.size();
    std::string expected = "the text of a unique id";
    if (decoded) {
        const auto parts = net::unpack(id);
        if (parts) return id;
        expected += " (" + parts.error().what + ")";
    }
    throw ConfigError({.file = {},
                       .key = "unique id",
                       .found = printable(text, 24),
                       .expected = expected,
                       .example = "weft-V0YBAQ..., as the process that made it printed it"});
}

UniqueId unique_id_without_store() {
    return net::pack({.kind = net::IdParts::Kind::kNone, .secret = net::fresh_nonce()});
}

Outcome<UniqueId> unique_id_in_directory(const std::string& directory) {
    if (directory.empty() || directory.front() != '/')
        return LiveError{.what = fmt::format("\"{}\" is not an absolute path: all ranks need to "
                                             "find the same directory",
                                             printable(directory))};
    if (directory.size() > net::IdParts::kMaxPlace)
        return LiveError{.what = fmt::format("the directory's path has {} bytes, {} at most fit "
                                             "into a unique id",
                                             directory.size(), net::IdParts::kMaxPlace)};
    return net::pack(
        {.kind = net::IdParts::Kind::kDirectory, .secret = net::fresh_nonce(), .place = directory});
}

}  // namespace weft::live
