#pragma once
// How processes become a world: a unique id made by one of them, a meeting at a store, and from
// then on control connections between them (net_control.hpp).
//
// Rendezvous. Rank r brings its cards (what its endpoints publish: addresses, ports, host), the
// store gives everybody everybody's cards, and the meeting is over: the store closes its port. A
// deadline names the ranks that have not come; a rank that comes twice, of another world, version
// or environment, or with a wrong rank count is refused with a line that names both sides.
// Stores: TCP (the process that made the id serves it), a directory, MPI (transport/mpi).
// Safety. The id holds a secret of 32 bytes. No connection is told anything before it has proved
// that it knows the secret (handshake.hpp). Listens only on the addresses asked for.
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "collectives/transport/message.hpp"

namespace weft::live {

/// 128 bytes, to be carried to the other ranks by whatever means the job has (as ncclUniqueId).
struct UniqueId {
    static constexpr std::size_t kSize = 128;
    std::array<std::byte, kSize> bytes{};
    bool operator==(const UniqueId&) const = default;
};
[[nodiscard]] std::string to_text(const UniqueId& id);          // printable, one word
[[nodiscard]] UniqueId parse_unique_id(std::string_view text);  // ConfigError otherwise

/// Where ranks meet. exchange() blocks until all ranks have come or the deadline has passed. What
/// one rank brings has at most 64 KiB. Once for each store.
class Store {
  public:
    virtual ~Store() = default;
    /// All ranks bring one blob each, and get all of them in order of rank.
    virtual Outcome<std::vector<std::vector<std::byte>>> exchange(std::uint32_t rank,
                                                                  std::uint32_t ranks,
                                                                  std::span<const std::byte> mine,
                                                                  Clock::time_point deadline) = 0;
};

/// Serves the TCP store of an id from a thread of this process, until every rank has met, the
/// object ends, or `lifetime` is over. `address`: where to listen, "127.0.0.1", "10.40.0.1",
/// "eth0"; empty: the loopback address.
class StoreServer {
  public:
    struct Options {
        std::string address;
        std::uint16_t port = 0;  // 0: any free one
        std::chrono::milliseconds lifetime{600'000};
    };
    [[nodiscard]] static Outcome<std::unique_ptr<StoreServer>> start(const Options& options);
    virtual ~StoreServer() = default;
    [[nodiscard]] virtual const UniqueId& id() const = 0;
};
/// An id whose store is a directory that all ranks can write (job scratch space).
[[nodiscard]] Outcome<UniqueId> unique_id_in_directory(const std::string& directory);
/// An id for ranks that meet by other means (MPI): its store is given to NetControl::meet().
[[nodiscard]] UniqueId unique_id_without_store();
/// The store that an id names; LiveError when it names none, or is no id.
[[nodiscard]] Outcome<std::unique_ptr<Store>> open_store(const UniqueId& id);

}  // namespace weft::live
