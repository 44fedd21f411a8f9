#pragma once
// shm: ranks are processes of one host. A message goes through memory that both map (layout.hpp):
// up to 216 bytes inside its descriptor, more through a small arena that stays in the cache, or
// not copied at all when it lies in a SharedHeap. The receiver reads it where it lies. No names in
// any file system; nothing is left after exit or crash. Memory: README.md.
//
// Connecting. Either side may begin, over a unix connection of NetControl; the lower rank's
// connection counts when both do. The other side needs not be in connect() for it.
// Waiting. A sleeper says so in its page; whoever has news for it then writes to its eventfd.
// Leaves out: other hosts; death of a process (NetControl says it; here messages just stay away).
#include <memory>

#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

class SharedHeap;
namespace shm {
struct BoardPlace;
class RemoteMemory;
struct RankPage;
}  // namespace shm

struct ShmOptions {
    /// Of a pair; all equal. Real runs need one, tests of dying lanes more.
    std::vector<Lane> lanes{Lane{}};
    std::size_t arena_bytes = std::size_t{9} << 19;  // 4.5 MiB
    const SharedHeap* heap = nullptr;                // outlives the endpoint
    /// Peers may read this process's plain memory where the system lets them.
    bool may_be_read = true;
    /// ... and do so for large messages.
    bool messages_are_read = true;
};

/// What collectives without messages (board.hpp) need of an endpoint.
class ShmEndpoint : public Endpoint {
  public:
    /// Own page; a connected peer's page; null before connect().
    [[nodiscard]] virtual shm::RankPage& page() = 0;
    [[nodiscard]] virtual const shm::RankPage* page_of(std::uint32_t peer) const = 0;
    /// Null: the system does not let this process read that of the connected peer.
    [[nodiscard]] virtual const shm::RemoteMemory* memory_of(std::uint32_t peer) const = 0;
    /// Wakes those of the connected peers that sleep. `surely`: also those that go to sleep at this
    /// very moment; costs waiting for all earlier stores.
    virtual void ring(std::span<const std::uint32_t> peers, bool surely) = 0;
    /// Whether every chunk of payload has come back; for tests of leaks.
    [[nodiscard]] virtual bool arena_is_free() const = 0;
};

/// The ranks of a world as threads of one process, rails x planes x paths lanes between two.
[[nodiscard]] std::unique_ptr<Transport> make_shm(const TransportOptions& options);

/// Before control.meet(). The control outlives the endpoint.
[[nodiscard]] Outcome<std::unique_ptr<ShmEndpoint>> make_shm_endpoint(NetControl& control,
                                                                      const ShmOptions& options);

}  // namespace weft::live
