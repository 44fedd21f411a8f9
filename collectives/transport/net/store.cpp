#include "collectives/transport/net/store.hpp"

namespace weft::live {

namespace net {

std::vector<std::byte> encode(const StoreMessage& message) {
    Writer w;
    w.u8(static_cast<std::uint8_t>(message.kind));
    w.u32(message.number);
    w.raw(message.bytes);
    return w.take();
}

std::optional<StoreMessage> parse_store_message(ByteSpan payload) {
    Reader r(payload);
    const std::uint8_t kind = r.u8();
    StoreMessage out;
    out.number = r.u32();
    if (!r.ok() || kind > 2 || r.left() > kMaxBlob) return std::nullopt;
    out.kind = static_cast<StoreMessage::Kind>(kind);
    out.bytes = r.raw(r.left());
    return out;
}

}  // namespace net

Outcome<std::unique_ptr<Store>> open_store(const UniqueId& id) {
    auto parts = net::unpack(id);
    if (!parts) return parts.error();
    switch (parts.value().kind) {
        case net::IdParts::Kind::kTcp:
            return net::open_tcp_store(parts.value());
        case net::IdParts::Kind::kDirectory:
            return net::open_directory_store(parts.value());
        case net::IdParts::Kind::kNone:
            break;
    }
    return LiveError{.what = "this unique id names no store: its ranks meet by other means"};
}

}  // namespace weft::live
