#pragma once
// Registered memory of one rank: its regions, each made known to a device when that device first
// needs it, and bounce buffers for what has no place of its own.
//
// Registration and addresses that are used again: a registration lives exactly as long as its
// region, and regions end before their memory does (the contract). Nothing is remembered of memory
// that the caller has taken back, so that free and reuse of an address can never meet an old
// registration; whoever wants to pay once registers once (a long-lived region). Bounce buffers are
// the transport's own and stay registered.
#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "collectives/transport/verbs/verbs_api.hpp"

namespace weft::live::verbs {

/// "RDMA cannot lock 1048576 bytes: the limit of locked memory is 65536 bytes (ulimit -l ...)".
[[nodiscard]] std::string registration_failed(std::size_t bytes, int error_number,
                                              std::uint64_t limit);
[[nodiscard]] std::uint64_t memlock_limit();

class Memory {
  public:
    Memory(Api& api, std::vector<ibv_pd*> domains) : api_(api), domains_(std::move(domains)) {}
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    [[nodiscard]] std::uint32_t add(std::span<std::byte> memory);
    void remove(std::uint32_t region);
    [[nodiscard]] bool contains(std::uint32_t region, const std::byte* data,
                                std::size_t size) const;
    /// The region as device `device` knows it, registered now if need be; nullptr: error() says
    /// why not.
    [[nodiscard]] const ibv_mr* known_to(std::size_t device, std::uint32_t region);
    [[nodiscard]] const std::string& error() const { return error_; }

    /// A piece of memory of its own, a region too; power-of-two sizes, kept for the next use.
    struct Bounce {
        std::byte* data = nullptr;
        std::uint32_t region = 0;
        unsigned order = 0;
    };
    [[nodiscard]] Bounce take(std::size_t size);
    void give(Bounce& bounce);

  private:
    struct Free {
        void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{4096}); }
    };
    struct Region {
        std::span<std::byte> memory;
        std::vector<ibv_mr*> keys;  // by device
        std::unique_ptr<std::byte, Free> owned;
    };
    void forget(Region& region);

    Api& api_;
    std::vector<ibv_pd*> domains_;
    std::vector<std::optional<Region>> regions_;
    std::vector<std::uint32_t> free_;
    std::array<std::vector<Bounce>, 64> shelves_;
    std::size_t kept_ = 0;
    std::string error_;
};

}  // namespace weft::live::verbs
