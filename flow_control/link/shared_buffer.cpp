#include "flow_control/link/shared_buffer.hpp"

#include "base/result.hpp"
#include "flow_control/link/pfc.hpp"

namespace weft {

namespace {

void require(bool ok, const char* key, Bytes found, const std::string& expected,
             const char* example) {
    if (!ok) throw ConfigError({"", 0, key, to_string(found), expected, example});
}

void check(const BufferProfile& p) {
    require(p.total.count() > 0 && p.total <= kUnlimitedBuffer, "buffer.total", p.total,
            "a positive size of at most 64 TiB", "64MiB");
    require(p.cell.count() >= 0 && p.cell.count() <= 65536, "buffer.cell", p.cell,
            "0 (exact bytes) to 64 KiB", "256B");
    WEFT_CHECK(p.class_count >= 1 && p.class_count <= kMostClasses, "{} classes", p.class_count);
    for (std::size_t k = 0; k < p.class_count; ++k) {
        const ClassBuffer& c = p.classes[k];
        require(c.reserve.count() >= 0, "buffer.reserve", c.reserve, "0 or more", "4KiB");
        require(c.resume_offset.count() >= 0, "buffer.resume_offset", c.resume_offset, "0 or more",
                "3KiB");
        WEFT_CHECK(c.alpha_1024 >= 0 && c.alpha_1024 <= 8192, "alpha {}/1024", c.alpha_1024);
    }
}

std::int32_t doubled(std::int32_t alpha_1024, int times) {
    const std::int64_t scaled =
        times >= 0 ? std::int64_t{alpha_1024} << std::min(times, 13) : alpha_1024 >> -times;
    return static_cast<std::int32_t>(std::min<std::int64_t>(scaled, 8192));
}

}  // namespace

SharedBuffer::SharedBuffer(const BufferProfile& profile, std::span<const PortBuffer> ports)
    : class_count_(profile.class_count), cell_(profile.cell.count()), classes_(profile.classes) {
    check(profile);
    if (cell_ > 0)
        cell_inverse_ = ((std::uint64_t{1} << 40) + static_cast<std::uint64_t>(cell_) - 1) /
                        static_cast<std::uint64_t>(cell_);
    Bytes reserved;
    for (const PortBuffer& port : ports)
        for (std::size_t k = 0; k < class_count_; ++k) {
            const ClassBuffer& c = classes_[k];
            const std::int32_t alpha = doubled(c.alpha_1024, port.alpha_doublings);
            Ingress i;
            i.alpha_1024 = alpha;
            if (c.lossless) i.headroom_limit = port.headroom;
            Egress e;
            e.alpha_1024 = alpha;
            ingress_.push_back(i);
            egress_.push_back(e);
            reserved += c.reserve;
            pool_total_ += i.headroom_limit;
        }
    if (profile.headroom_pool.count() > 0) pool_total_ = profile.headroom_pool;
    shared_total_ = profile.total - pool_total_ - reserved;
    require(shared_total_.count() > 0, "buffer.total", profile.total,
            "more than reserves and headroom of all ports, which take " +
                to_string(pool_total_ + reserved),
            "64MiB");
    ingress_.shrink_to_fit();
    egress_.shrink_to_fit();
}

BufferProfile hpcc_ns3_buffer(Bytes total) {
    BufferProfile p;
    p.total = total;
    p.class_count = 2;
    p.classes[0].alpha_1024 = 8192;
    p.classes[1].lossless = true;
    p.classes[1].reserve = Bytes{4096};
    p.classes[1].resume_offset = Bytes{3072};
    return p;
}

Bytes hpcc_ns3_total(Bandwidth fastest) {
    return Bytes{
        static_cast<std::int64_t>(Int128{16 << 20} * fastest.bits_per_second() / 50'000'000'000)};
}

PortBuffer hpcc_ns3_port(Bandwidth rate, Bandwidth slowest, SimDuration delay) {
    PortBuffer port;
    port.headroom = hpcc_ns3_headroom(rate, delay);
    for (Bandwidth r = slowest; r < rate; r = r * 2) ++port.alpha_doublings;
    return port;
}

BufferProfile htsim_lossless_input(int low, int high, Bytes mtu) {
    BufferProfile p;
    ClassBuffer& c = p.classes[0];
    c.lossless = true;
    // Strictly above `high` pauses, strictly below `low` resumes.
    c.fixed_threshold = mtu * high + Bytes{1};
    c.resume_offset = c.fixed_threshold - (mtu * low - Bytes{1});
    p.headroom_pool = kUnlimitedBuffer / 2;
    return p;
}

BufferProfile output_queues(Bytes queue) {
    BufferProfile p;
    p.class_count = 2;
    for (std::size_t k = 0; k < 2; ++k) p.classes[k].fixed_threshold = queue;
    return p;
}

}  // namespace weft
