#include "collectives/transport/verbs/link.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>

#include "base/rng.hpp"
#include "collectives/transport/verbs/memory.hpp"

namespace weft::live::verbs {

namespace {
constexpr std::uint32_t kMost24 = 0xffffff;
constexpr std::size_t kCompletions = kSlots + kMostRequests;
constexpr std::uint8_t kNotReadyTimer = 12;  // 0.64 ms; credits keep it from being used
constexpr std::uint8_t kForEver = 7;
constexpr std::uint8_t kHops = 64;
constexpr std::uint32_t kInline = 192;  // a header and a few words go with the request itself
}  // namespace

std::uint64_t encode(const RequestId& id) {
    return static_cast<std::uint64_t>(id.what) << 62 | std::uint64_t{id.link & 0x3fffffff} << 32 |
           id.number;
}

RequestId decode_request(std::uint64_t id) {
    return {.what = static_cast<RequestId::What>(id >> 62),
            .link = static_cast<std::uint32_t>(id >> 32) & 0x3fffffff,
            .number = static_cast<std::uint32_t>(id)};
}

Outcome<std::unique_ptr<Link>> Link::make(Device& device, std::uint32_t id, const Place& place,
                                          std::uint32_t flow_label) {
    std::unique_ptr<Link> link(new Link(device, id, place, flow_label));
    WEFT_TRY(link->set_up());
    return link;
}

Status Link::set_up() {
    Api& api = device_.api();
    const auto failed = [&](const char* what, int error) {
        return LiveError{.what = fmt::format("RDMA device {}: cannot {}: {}", device_.name(), what,
                                             std::strerror(error))};
    };
    reserved_ = device_.reserve(kCompletions);
    if (!reserved_)
        return LiveError{
            .what = fmt::format("RDMA device {}: its completion queue is full", device_.name())};
    slots_.resize(2 * kSlots * kSlotSize);
    key_ = api.reg_mr(device_.domain(), slots_, IBV_ACCESS_LOCAL_WRITE);
    if (key_ == nullptr)
        return LiveError{.what = registration_failed(slots_.size(), errno, memlock_limit())};
    ibv_qp_init_attr make{};
    make.send_cq = make.recv_cq = device_.queue();
    make.qp_type = IBV_QPT_RC;
    make.cap = {.max_send_wr = kMostRequests,
                .max_recv_wr = kSlots,
                .max_send_sge = device_.most_pieces(),
                .max_recv_sge = 1,
                .max_inline_data = kInline};
    qp_ = api.create_qp(device_.domain(), make);
    if (qp_ == nullptr) {  // a device without inline data
        make.cap.max_inline_data = 0;
        qp_ = api.create_qp(device_.domain(), make);
    }
    if (qp_ == nullptr) return failed("make a queue pair", errno);
    ibv_qp_attr init{};
    init.qp_state = IBV_QPS_INIT;
    init.port_num = device_.port();
    init.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
    most_inline_ = make.cap.max_inline_data;
    const int error = api.modify_qp(
        qp_, init, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
    if (error != 0) return failed("initialise a queue pair", error);
    for (std::uint32_t n = 0; n < kSlots; ++n)
        if (!post_receive(n)) return failed("post a receive", errno);
    mine_ = {.lane = place_.lane,
             .epoch = place_.epoch,
             .number = qp_->qp_num,
             .first_packet = static_cast<std::uint32_t>(
                 mix64(qp_->qp_num, std::uint64_t{place_.epoch} << 32 | id_) & kMost24),
             .slots = kDataSlots,
             .mtu = static_cast<std::uint8_t>(device_.mtu()),
             .address = device_.gid()};
    return Done{};
}

Link::~Link() {
    drop_queue_pair();
    if (key_ != nullptr) device_.api().dereg_mr(key_);
    if (reserved_) device_.release(kCompletions);
}

void Link::drop_queue_pair() {
    if (qp_ != nullptr) device_.api().destroy_qp(qp_);
    qp_ = nullptr;
    receives_ = 0;
    done_ = posted_;
}

Status Link::connect(const QpRecord& theirs) {
    ibv_qp_attr a{};
    a.qp_state = IBV_QPS_RTR;
    a.path_mtu = std::min(device_.mtu(), static_cast<ibv_mtu>(theirs.mtu));
    a.dest_qp_num = theirs.number;
    a.rq_psn = theirs.first_packet;
    a.max_dest_rd_atomic = 1;
    a.min_rnr_timer = kNotReadyTimer;
    a.ah_attr.is_global = 1;
    std::memcpy(a.ah_attr.grh.dgid.raw, theirs.address.data(), theirs.address.size());
    a.ah_attr.grh.sgid_index = device_.gid_index();
    a.ah_attr.grh.flow_label = label_;
    a.ah_attr.grh.hop_limit = kHops;
    a.ah_attr.port_num = device_.port();
    int error = device_.api().modify_qp(qp_, a,
                                        IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
                                            IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                                            IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
    if (error == 0) {
        a.qp_state = IBV_QPS_RTS;
        a.timeout = kTimeout;
        a.retry_cnt = kRetries;
        a.rnr_retry = kForEver;
        a.sq_psn = mine_.first_packet;
        a.max_rd_atomic = 1;
        error =
            device_.api().modify_qp(qp_, a,
                                    IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
                                        IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
    }
    if (error != 0)
        return LiveError{.what = fmt::format("RDMA device {}: cannot connect a queue pair: {}",
                                             device_.name(), std::strerror(error))};
    their_slots_ = theirs.slots;
    state_ = State::kReady;
    return Done{};
}

void Link::fail(const std::string& why) {
    if (state_ == State::kFailed) return;
    state_ = State::kFailed;
    why_ = why;
    out.clear();
    acks.clear();
    ibv_qp_attr a{};
    a.qp_state = IBV_QPS_ERR;
    if (qp_ != nullptr && device_.api().modify_qp(qp_, a, IBV_QP_STATE) != 0) drop_queue_pair();
}

bool Link::post_receive(std::uint32_t n) {
    ibv_sge sge{.addr = reinterpret_cast<std::uint64_t>(slot(n)),
                .length = static_cast<std::uint32_t>(kSlotSize),
                .lkey = key_->lkey};
    ibv_recv_wr work{};
    work.wr_id = encode({.what = RequestId::What::kReceive, .link = id_, .number = n});
    work.sg_list = &sge;
    work.num_sge = 1;
    if (device_.api().post_recv(qp_, work) != 0) return false;
    ++receives_;
    return true;
}

bool Link::room(std::size_t writes, bool spare) const {
    if (state_ != State::kReady) return false;
    if (posted_ - done_ + writes + 1 > kMostRequests || sends_ - sends_done_ >= kSlots)
        return false;
    return spare || used_ - freed_ < their_slots_;
}

std::span<std::byte, kMostPayload> Link::payload() {
    return std::span<std::byte, kMostPayload>(slot(kSlots + sends_ % kSlots) + kHeaderSize,
                                              kMostPayload);
}

bool Link::send(Header header) {
    std::byte* at = slot(kSlots + sends_ % kSlots);
    header.credits = taken_;
    encode_header(header, std::span<std::byte, kHeaderSize>(at, kHeaderSize));
    ibv_sge sge{.addr = reinterpret_cast<std::uint64_t>(at),
                .length = static_cast<std::uint32_t>(kHeaderSize + header.length),
                .lkey = key_->lkey};
    ibv_send_wr work{};
    work.wr_id = encode({.what = RequestId::What::kSend, .link = id_, .number = posted_ + 1});
    work.sg_list = &sge;
    work.num_sge = 1;
    work.opcode = IBV_WR_SEND;
    work.send_flags = IBV_SEND_SIGNALED;
    if (sge.length <= most_inline_) work.send_flags |= IBV_SEND_INLINE;
    if (device_.api().post_send(qp_, work) != 0) return false;
    reported_ = taken_;
    ++posted_;
    ++sends_;
    if (header.kind != Kind::kCredits) ++used_;
    return true;
}

bool Link::write(std::span<ibv_sge> from, std::uint64_t address, std::uint32_t key) {
    ibv_send_wr work{};
    work.wr_id = encode({.what = RequestId::What::kWrite, .link = id_, .number = posted_ + 1});
    work.sg_list = from.data();
    work.num_sge = static_cast<int>(from.size());
    work.opcode = IBV_WR_RDMA_WRITE;
    work.wr.rdma.remote_addr = address;
    work.wr.rdma.rkey = key;
    if (device_.api().post_send(qp_, work) != 0) return false;
    ++posted_;
    return true;
}

void Link::sent(const RequestId& id) {
    done_ = id.number;  // in order: it stands for the writes before it
    if (id.what == RequestId::What::kSend) ++sends_done_;
}

std::span<const std::byte> Link::received(std::uint32_t n, std::size_t size) {
    --receives_;
    return {slot(n), std::min(size, kSlotSize)};
}

void Link::again(std::uint32_t n, const Header& header) {
    // Only what is possible: a peer cannot free more than it was sent.
    if (header.credits - freed_ <= used_ - freed_) freed_ = header.credits;
    if (header.kind != Kind::kCredits) ++taken_;
    if (state_ == State::kReady && !post_receive(n)) fail("cannot post a receive");
}

}  // namespace weft::live::verbs
