#pragma once
// SharedBuffer: the packet memory of one switch, and what it decides: store or drop, pause or
// resume.
//
// Models: one memory shared by all ports, in bytes or in whole cells; a reserve per (ingress port,
// class); a dynamic threshold (Choudhury, Hahne, ToN 1998): alpha x free shared bytes, or a fixed
// one; headroom per (ingress port, lossless class), behind one pool where that is smaller than the
// sum; a limit per egress queue. A lossless class is limited per ingress: above its threshold a
// packet takes headroom and the sender is to be paused; it is dropped only when the headroom is
// full. A lossy class is limited per egress queue and dropped above its threshold.
//     pause   when headroom is in use, or shared bytes of the ingress >= threshold
//     resume  when no headroom is in use and shared bytes + resume offset <= threshold, or none
// Packets leave headroom first, then shared, then reserve. Sources: HPCC-ns3's SwitchMmu (facts
// C3), htsim's lossless_input. Leaves out: reserves per egress queue, several pools, multicast,
// time. Cost: two records an event, one multiplication, no loop, no division. Memory: bytes() =
// sizeof + ports x classes x (sizeof Ingress + sizeof Egress) = 72 per pair.
#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/check.hpp"
#include "base/units.hpp"

namespace weft {

constexpr std::size_t kMostClasses = 8;
/// More than any switch holds: the limit is elsewhere.
constexpr Bytes kUnlimitedBuffer{std::int64_t{1} << 46};

/// How one traffic class uses the memory.
struct ClassBuffer {
    bool lossless = false;
    Bytes reserve;                          // of each ingress port, never shared
    std::int32_t alpha_1024 = 128;          // threshold = alpha x free shared; 128 is 1/8
    Bytes fixed_threshold;                  // instead of alpha, where positive
    Bytes resume_offset;                    // resume this far below the threshold
    Bytes egress_limit = kUnlimitedBuffer;  // of each egress queue
};

struct BufferProfile {
    Bytes total = kUnlimitedBuffer;
    Bytes cell;           // zero: bytes are counted exactly
    Bytes headroom_pool;  // shared by all ports; zero: the sum of the ports' headroom
    std::size_t class_count = 1;
    std::array<ClassBuffer, kMostClasses> classes{};
};

/// What differs from port to port.
struct PortBuffer {
    Bytes headroom;           // of each lossless class
    int alpha_doublings = 0;  // a faster port gets a larger share: alpha x 2^this
};

enum class Admission : std::uint8_t { kStore, kDrop };

class SharedBuffer {
  public:
    /// ConfigError when reserves and headroom leave nothing to share.
    SharedBuffer(const BufferProfile& profile, std::span<const PortBuffer> ports);

    /// A packet of `bytes` on the wire came in by port `in` and waits for port `out`; counts it.
    /// At most 2^20 bytes when there are cells.
    Admission arrive(std::size_t in, std::size_t cls, std::size_t out, Bytes bytes);
    /// A stored packet is gone: the same arguments as when it arrived.
    void leave(std::size_t in, std::size_t cls, std::size_t out, Bytes bytes);

    /// After an arrival: whether to send a pause now. True once; then resume() is awaited.
    bool pause(std::size_t in, std::size_t cls);
    /// After a departure: whether to send a resume now.
    bool resume(std::size_t in, std::size_t cls);

    [[nodiscard]] bool paused(std::size_t in, std::size_t cls) const {
        return ingress_[at(in, cls)].paused;
    }
    /// Bytes (or whole cells) of a packet in the memory.
    [[nodiscard]] Bytes footprint(Bytes bytes) const;

    // What is stored, for telemetry, marking and adaptive routing.
    [[nodiscard]] Bytes ingress(std::size_t in, std::size_t cls) const {
        const Ingress& i = ingress_[at(in, cls)];
        return i.used + i.headroom;
    }
    [[nodiscard]] Bytes headroom(std::size_t in, std::size_t cls) const {
        return ingress_[at(in, cls)].headroom;
    }
    [[nodiscard]] Bytes headroom_peak(std::size_t in, std::size_t cls) const {
        return ingress_[at(in, cls)].headroom_peak;
    }
    [[nodiscard]] Bytes egress(std::size_t out, std::size_t cls) const {
        return egress_[at(out, cls)].used;
    }
    [[nodiscard]] Bytes egress_peak(std::size_t out, std::size_t cls) const {
        return egress_[at(out, cls)].peak;
    }
    [[nodiscard]] Bytes stored() const { return stored_; }
    [[nodiscard]] Bytes peak() const { return peak_; }
    [[nodiscard]] Bytes shared_used() const { return shared_used_; }
    [[nodiscard]] Bytes shared_total() const { return shared_total_; }
    /// The ingress threshold of a lossless class now, beyond the reserve.
    [[nodiscard]] Bytes ingress_threshold(std::size_t in, std::size_t cls) const {
        return threshold(classes_[cls], ingress_[at(in, cls)].alpha_1024);
    }

    /// Of each class since the start.
    struct Counts {
        std::int64_t stored_packets = 0, dropped_packets = 0, pauses = 0, resumes = 0;
        Bytes stored, dropped;  // on the wire
    };
    [[nodiscard]] const Counts& counts(std::size_t cls) const { return counts_[cls]; }

    [[nodiscard]] std::size_t bytes() const {
        return sizeof *this + ingress_.capacity() * sizeof(Ingress) +
               egress_.capacity() * sizeof(Egress);
    }

  private:
    struct Ingress {
        Bytes used;  // of reserve and shared
        Bytes headroom;
        Bytes headroom_limit;
        Bytes headroom_peak;
        std::int32_t alpha_1024 = 0;
        bool paused = false;
    };
    struct Egress {
        Bytes used;
        Bytes peak;
        std::int64_t alpha_1024 = 0;
    };

    [[nodiscard]] std::size_t at(std::size_t port, std::size_t cls) const {
        return port * class_count_ + cls;
    }
    [[nodiscard]] Bytes threshold(const ClassBuffer& c, std::int64_t alpha_1024) const {
        if (c.fixed_threshold.count() > 0) return c.fixed_threshold;
        return Bytes{((shared_total_ - shared_used_).count() * alpha_1024) >> 10};
    }
    bool charge_ingress(const ClassBuffer& c, Ingress& i, Bytes n);

    std::size_t class_count_;
    Bytes shared_total_, shared_used_;
    Bytes pool_total_, pool_used_;
    Bytes stored_, peak_;
    std::int64_t cell_ = 0;
    std::uint64_t cell_inverse_ = 0;  // ceil(2^40 / cell)
    std::array<ClassBuffer, kMostClasses> classes_;
    std::array<Counts, kMostClasses> counts_{};
    std::vector<Ingress> ingress_;
    std::vector<Egress> egress_;
};

inline Bytes SharedBuffer::footprint(Bytes bytes) const {
    if (cell_ == 0) return bytes;
    // Exact for up to 2^20 bytes: the error of the inverse is below cell / 2^40.
    WEFT_DCHECK(bytes.count() < (1 << 20), "{} bytes", bytes.count());
    const auto padded = static_cast<std::uint64_t>(bytes.count() + cell_ - 1);
    return Bytes{static_cast<std::int64_t>((padded * cell_inverse_) >> 40) * cell_};
}

/// Takes the bytes from reserve and shared, else from headroom; false: neither has room.
inline bool SharedBuffer::charge_ingress(const ClassBuffer& c, Ingress& i, Bytes n) {
    const Bytes over = i.used + n - c.reserve;  // shared bytes of this ingress, with the packet
    if (over.count() <= 0) {
        i.used += n;
        return true;
    }
    const Bytes from_shared = std::min(over, n);
    const bool fits = from_shared <= shared_total_ - shared_used_;
    if (fits && (!c.lossless || over <= threshold(c, i.alpha_1024))) {
        i.used += n;
        shared_used_ += from_shared;
        return true;
    }
    if (i.headroom + n > i.headroom_limit || pool_used_ + n > pool_total_) return false;
    i.headroom += n;
    pool_used_ += n;
    i.headroom_peak = std::max(i.headroom_peak, i.headroom);
    return true;
}

inline Admission SharedBuffer::arrive(std::size_t in, std::size_t cls, std::size_t out,
                                      Bytes bytes) {
    const Bytes n = footprint(bytes);
    const ClassBuffer& c = classes_[cls];
    Counts& count = counts_[cls];
    Egress& e = egress_[at(out, cls)];
    Bytes limit = c.egress_limit;
    if (!c.lossless) limit = std::min(limit, threshold(c, e.alpha_1024));
    if (e.used + n > limit || !charge_ingress(c, ingress_[at(in, cls)], n)) {
        ++count.dropped_packets;
        count.dropped += bytes;
        return Admission::kDrop;
    }
    e.used += n;
    e.peak = std::max(e.peak, e.used);
    stored_ += n;
    peak_ = std::max(peak_, stored_);
    ++count.stored_packets;
    count.stored += bytes;
    return Admission::kStore;
}

inline void SharedBuffer::leave(std::size_t in, std::size_t cls, std::size_t out, Bytes bytes) {
    const Bytes n = footprint(bytes);
    Ingress& i = ingress_[at(in, cls)];
    const Bytes from_headroom = std::min(i.headroom, n);
    const Bytes rest = n - from_headroom;
    const Bytes from_shared = std::min(rest, std::max(Bytes{}, i.used - classes_[cls].reserve));
    i.headroom -= from_headroom;
    pool_used_ -= from_headroom;
    i.used -= rest;
    shared_used_ -= from_shared;
    egress_[at(out, cls)].used -= n;
    stored_ -= n;
    WEFT_DCHECK(i.used.count() >= 0 && egress_[at(out, cls)].used.count() >= 0,
                "more left by port {} class {} than arrived", in, cls);
}

inline bool SharedBuffer::pause(std::size_t in, std::size_t cls) {
    const ClassBuffer& c = classes_[cls];
    Ingress& i = ingress_[at(in, cls)];
    if (!c.lossless || i.paused) return false;
    // An ingress that holds nothing would never see the departure that resumes it.
    if ((i.used + i.headroom).count() == 0) return false;
    const Bytes shared = std::max(Bytes{}, i.used - c.reserve);
    if (i.headroom.count() == 0 && shared < threshold(c, i.alpha_1024)) return false;
    ++counts_[cls].pauses;
    return i.paused = true;
}

inline bool SharedBuffer::resume(std::size_t in, std::size_t cls) {
    const ClassBuffer& c = classes_[cls];
    Ingress& i = ingress_[at(in, cls)];
    if (!i.paused || i.headroom.count() > 0) return false;
    const Bytes shared = i.used - c.reserve;
    if (shared.count() > 0 && shared + c.resume_offset > threshold(c, i.alpha_1024)) return false;
    ++counts_[cls].resumes;
    i.paused = false;
    return true;
}

// Published settings: class 0 is control (acknowledgements, trimmed headers), class 1 is data.

/// HPCC-ns3: alpha 1/8, reserve 4 KiB, resume 3 KiB below; `total` 16 MB x rate / 50 Gbit/s in its
/// runs, 32 MiB in SimAI's. A port of more than `slowest` doubles alpha with each doubling.
[[nodiscard]] BufferProfile hpcc_ns3_buffer(Bytes total);
[[nodiscard]] Bytes hpcc_ns3_total(Bandwidth fastest);
[[nodiscard]] PortBuffer hpcc_ns3_port(Bandwidth rate, Bandwidth slowest, SimDuration delay);
/// htsim's lossless_input: pause above `high` data packets of `mtu` bytes of one ingress, resume
/// below `low`; no end of memory. One class.
[[nodiscard]] BufferProfile htsim_lossless_input(int low, int high, Bytes mtu);
/// An output queue without sharing, as in htsim's UEC switches: `queue` bytes of data per egress,
/// and as much again of control.
[[nodiscard]] BufferProfile output_queues(Bytes queue);

}  // namespace weft
