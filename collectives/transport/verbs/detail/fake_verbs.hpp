#pragma once
// For tests: RDMA devices in memory, joined by a network that can lose a plane, hold packets back
// and deliver them late. Queue pairs obey the state machine (RESET, INIT, RTR, RTS, ERR), every
// access is checked against registrations, and a failed queue pair flushes what was posted.
// Leaves out: time. What cannot be delivered fails at once.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <sys/eventfd.h>
#include <unistd.h>

#include "collectives/transport/verbs/device.hpp"
#include "collectives/transport/verbs/verbs_api.hpp"

namespace weft::live::verbs {

class FakeVerbs final : public Api {
  public:
    /// One device for each address.
    explicit FakeVerbs(std::vector<std::string> addresses) : addresses_(std::move(addresses)) {}
    ~FakeVerbs() override {
        for (const auto& [fd, open] : fds_) ::close(fd);
    }

    // What tests do to the network.
    void cut(const std::string& prefix) {
        const std::lock_guard lock(mutex_);
        cut_.insert(prefix);
    }
    void mend(const std::string& prefix) {
        const std::lock_guard lock(mutex_);
        cut_.erase(prefix);
    }
    /// From now on writes stay in the network.
    void hold_writes(bool hold) {
        const std::lock_guard lock(mutex_);
        hold_ = hold;
    }
    /// What the network holds arrives now; the number of writes that landed.
    std::size_t deliver_late() {
        const std::lock_guard lock(mutex_);
        std::size_t landed = 0;
        for (const Held& h : held_) {
            const auto qp = qps_.find(h.to);
            if (qp == qps_.end() || qp->second->state != IBV_QPS_RTS) continue;
            std::memcpy(reinterpret_cast<void*>(h.address), h.data.data(), h.data.size());
            ++landed;
        }
        held_.clear();
        return landed;
    }
    [[nodiscard]] std::size_t held() {
        const std::lock_guard lock(mutex_);
        return held_.size();
    }
    void port_event(const std::string& address, ibv_event_type type) {
        const std::lock_guard lock(mutex_);
        for (auto& d : contexts_)
            if (addresses_[d->index] == address && d->open) {
                d->events.push_back({.type = type});
                ring(d->base.async_fd);
            }
    }
    /// Bytes that may be registered in all.
    void limit_memory(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        lockable_ = bytes;
    }
    [[nodiscard]] std::size_t registered() {
        const std::lock_guard lock(mutex_);
        return locked_;
    }
    [[nodiscard]] std::vector<std::string> transitions() {
        const std::lock_guard lock(mutex_);
        return transitions_;
    }

    [[nodiscard]] std::vector<ibv_context*> open_devices() override {
        const std::lock_guard lock(mutex_);
        std::vector<ibv_context*> all;
        for (std::size_t i = 0; i < addresses_.size(); ++i) {
            auto& d = contexts_.emplace_back(std::make_unique<Context>());
            d->index = i;
            d->base.async_fd = new_fd();
            all.push_back(&d->base);
        }
        return all;
    }
    void close(ibv_context* device) override {
        const std::lock_guard lock(mutex_);
        of(device).open = false;
    }
    [[nodiscard]] std::string name(ibv_context* device) const override {
        return "fake" + std::to_string(reinterpret_cast<const Context*>(device)->index);
    }
    [[nodiscard]] std::vector<ibv_gid_entry> gids(ibv_context* device) override {
        ibv_gid_entry e{};
        const Gid gid = *gid_of(addresses_[of(device).index]);
        std::copy(gid.begin(), gid.end(), std::begin(e.gid.raw));
        e.gid_index = 1;
        e.port_num = 1;
        e.gid_type = IBV_GID_TYPE_ROCE_V2;
        return {e};
    }
    int query_device(ibv_context*, ibv_device_attr& out) override {
        out.max_sge = 4;
        out.max_cqe = 32767;
        return 0;
    }
    int query_port(ibv_context*, std::uint8_t, ibv_port_attr& out) override {
        out.active_mtu = IBV_MTU_4096;
        return 0;
    }
    [[nodiscard]] int async_fd(ibv_context* device) override { return device->async_fd; }
    [[nodiscard]] std::optional<AsyncEvent> take_async(ibv_context* device) override {
        const std::lock_guard lock(mutex_);
        auto& events = of(device).events;
        if (events.empty()) {
            silence(device->async_fd);
            return std::nullopt;
        }
        const AsyncEvent e = events.front();
        events.pop_front();
        return e;
    }

    ibv_pd* alloc_pd(ibv_context* device) override {
        auto* pd = new ibv_pd{};
        pd->context = device;
        return pd;
    }
    void dealloc_pd(ibv_pd* pd) override { delete pd; }
    ibv_mr* reg_mr(ibv_pd* pd, std::span<std::byte> memory, int) override {
        const std::lock_guard lock(mutex_);
        if (locked_ + memory.size() > lockable_) {
            errno = ENOMEM;
            return nullptr;
        }
        locked_ += memory.size();
        auto* mr = new ibv_mr{};
        mr->context = pd->context;
        mr->addr = memory.data();
        mr->length = memory.size();
        mr->lkey = mr->rkey = ++keys_;
        mrs_[mr->rkey] = mr;
        return mr;
    }
    void dereg_mr(ibv_mr* mr) override {
        const std::lock_guard lock(mutex_);
        locked_ -= mr->length;
        mrs_.erase(mr->rkey);
        delete mr;
    }

    ibv_comp_channel* create_channel(ibv_context* device) override {
        const std::lock_guard lock(mutex_);
        auto* channel = new ibv_comp_channel{};
        channel->context = device;
        channel->fd = new_fd();
        return channel;
    }
    void destroy_channel(ibv_comp_channel* channel) override { delete channel; }
    ibv_cq* create_cq(ibv_context*, int entries, ibv_comp_channel* channel) override {
        auto* cq = new Queue{};
        cq->base.channel = channel;
        cq->base.cqe = entries;
        return &cq->base;
    }
    void destroy_cq(ibv_cq* cq) override { delete reinterpret_cast<Queue*>(cq); }
    void take_cq_events(ibv_comp_channel* channel) override { silence(channel->fd); }
    int request_notify(ibv_cq* cq) override {
        const std::lock_guard lock(mutex_);
        reinterpret_cast<Queue*>(cq)->armed = true;
        return 0;
    }
    [[nodiscard]] int poll_cq(ibv_cq* cq, std::span<ibv_wc> out) override {
        const std::lock_guard lock(mutex_);
        auto& all = reinterpret_cast<Queue*>(cq)->all;
        std::size_t n = 0;
        for (; n < out.size() && !all.empty(); ++n, all.pop_front()) out[n] = all.front();
        return static_cast<int>(n);
    }

    ibv_qp* create_qp(ibv_pd* pd, ibv_qp_init_attr& attributes) override {
        const std::lock_guard lock(mutex_);
        auto qp = std::make_unique<Pair>();
        qp->base.qp_num = ++numbers_;
        qp->base.context = pd->context;
        qp->base.send_cq = attributes.send_cq;
        qp->base.recv_cq = attributes.recv_cq;
        ibv_qp* base = &qp->base;
        qps_[base->qp_num] = std::move(qp);
        return base;
    }
    int modify_qp(ibv_qp* base, ibv_qp_attr& a, int mask) override {
        const std::lock_guard lock(mutex_);
        Pair& qp = *qps_.at(base->qp_num);
        const std::map<ibv_qp_state, ibv_qp_state> next{
            {IBV_QPS_RESET, IBV_QPS_INIT}, {IBV_QPS_INIT, IBV_QPS_RTR}, {IBV_QPS_RTR, IBV_QPS_RTS}};
        const auto legal = next.find(qp.state);
        if (a.qp_state != IBV_QPS_ERR && (legal == next.end() || legal->second != a.qp_state))
            return EINVAL;
        transitions_.push_back(
            fmt::format("{}>{}", static_cast<int>(qp.state), static_cast<int>(a.qp_state)));
        if ((mask & IBV_QP_DEST_QPN) != 0) {
            qp.to = a.dest_qp_num;
            qp.label = a.ah_attr.grh.flow_label;
        }
        qp.state = a.qp_state;
        if (qp.state == IBV_QPS_ERR) flush(qp);
        return 0;
    }
    void destroy_qp(ibv_qp* base) override {
        const std::lock_guard lock(mutex_);
        qps_.erase(base->qp_num);
    }
    int post_recv(ibv_qp* base, ibv_recv_wr& work) override {
        const std::lock_guard lock(mutex_);
        Pair& qp = *qps_.at(base->qp_num);
        if (qp.state == IBV_QPS_RESET) return EINVAL;
        qp.receives.push_back({work.wr_id, work.sg_list[0]});
        if (qp.state == IBV_QPS_ERR) flush(qp);
        return 0;
    }
    int post_send(ibv_qp* base, ibv_send_wr& work) override {
        const std::lock_guard lock(mutex_);
        Pair& qp = *qps_.at(base->qp_num);
        if (qp.state != IBV_QPS_RTS && qp.state != IBV_QPS_ERR) return EINVAL;
        Request request{.id = work.wr_id,
                        .write = work.opcode == IBV_WR_RDMA_WRITE,
                        .signaled = (work.send_flags & IBV_SEND_SIGNALED) != 0,
                        .address = work.wr.rdma.remote_addr,
                        .key = work.wr.rdma.rkey,
                        .data = {}};
        for (int i = 0; i < work.num_sge; ++i) {
            check(work.sg_list[i].lkey, work.sg_list[i].addr, work.sg_list[i].length);
            const auto* from = reinterpret_cast<const std::byte*>(work.sg_list[i].addr);
            request.data.insert(request.data.end(), from, from + work.sg_list[i].length);
        }
        if (qp.state == IBV_QPS_ERR)
            complete(qp.base.send_cq, request.id, IBV_WC_WR_FLUSH_ERR, 0);
        else
            carry(qp, request);
        return 0;
    }
    [[nodiscard]] std::string words_of(ibv_wc_status status) const override {
        return "status " + std::to_string(status);
    }

  private:
    struct Context {
        ibv_context base{};  // first: contexts are known by it
        std::size_t index = 0;
        bool open = true;
        std::deque<AsyncEvent> events;
    };
    struct Queue {
        ibv_cq base{};
        std::deque<ibv_wc> all;
        bool armed = false;
    };
    struct Pair {
        ibv_qp base{};
        ibv_qp_state state = IBV_QPS_RESET;
        std::uint32_t to = 0;
        std::uint32_t label = 0;
        std::deque<std::pair<std::uint64_t, ibv_sge>> receives;
        std::deque<std::uint64_t> stuck;  // requests behind a held one
    };
    struct Request {
        std::uint64_t id = 0;
        bool write = false;
        bool signaled = false;
        std::uint64_t address = 0;
        std::uint32_t key = 0;
        std::vector<std::byte> data;
    };
    struct Held {
        std::uint32_t to = 0;
        std::uint64_t address = 0;
        std::vector<std::byte> data;
    };

    static Context& of(ibv_context* c) { return *reinterpret_cast<Context*>(c); }
    int new_fd() {
        const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        fds_[fd] = true;
        return fd;
    }
    static void ring(int fd) {
        const std::uint64_t one = 1;
        (void)!::write(fd, &one, sizeof one);
    }
    static void silence(int fd) {
        std::uint64_t count = 0;
        (void)!::read(fd, &count, sizeof count);
    }
    void check(std::uint32_t key, std::uint64_t address, std::uint64_t size) const {
        const auto mr = mrs_.find(key);
        const auto begin = mr == mrs_.end() ? 0 : reinterpret_cast<std::uint64_t>(mr->second->addr);
        if (mr == mrs_.end() || address < begin || address + size > begin + mr->second->length)
            throw std::logic_error("access to memory that is not registered");
    }
    void complete(ibv_cq* cq, std::uint64_t id, ibv_wc_status status, std::size_t size) {
        auto& queue = *reinterpret_cast<Queue*>(cq);
        ibv_wc wc{};
        wc.wr_id = id;
        wc.status = status;
        wc.byte_len = static_cast<std::uint32_t>(size);
        queue.all.push_back(wc);
        if (std::exchange(queue.armed, false)) ring(queue.base.channel->fd);
    }
    void flush(Pair& qp) {
        for (const std::uint64_t id : qp.stuck)
            complete(qp.base.send_cq, id, IBV_WC_WR_FLUSH_ERR, 0);
        qp.stuck.clear();
        for (const auto& r : qp.receives)
            complete(qp.base.recv_cq, r.first, IBV_WC_WR_FLUSH_ERR, 0);
        qp.receives.clear();
    }
    [[nodiscard]] bool is_cut(const ibv_qp& qp) const {
        const std::string& address = addresses_[of(qp.context).index];
        return std::any_of(cut_.begin(), cut_.end(),
                           [&](const std::string& p) { return address.rfind(p, 0) == 0; });
    }
    void carry(Pair& qp, const Request& r) {
        const auto peer = qps_.find(qp.to);
        Pair* to = peer == qps_.end() ? nullptr : peer->second.get();
        if (to == nullptr || is_cut(qp.base) || is_cut(to->base) ||
            (to->state != IBV_QPS_RTR && to->state != IBV_QPS_RTS)) {
            qp.state = IBV_QPS_ERR;  // in order: the oldest request is the one that fails
            qp.stuck.push_back(r.id);
            complete(qp.base.send_cq, qp.stuck.front(), IBV_WC_RETRY_EXC_ERR, 0);
            qp.stuck.pop_front();
            flush(qp);
            return;
        }
        if (r.write) check(r.key, r.address, r.data.size());
        if ((r.write && hold_) || !qp.stuck.empty()) {
            if (r.write) held_.push_back({.to = qp.to, .address = r.address, .data = r.data});
            qp.stuck.push_back(r.id);
            return;
        }
        if (r.write) {
            std::memcpy(reinterpret_cast<void*>(r.address), r.data.data(), r.data.size());
        } else {
            if (to->receives.empty()) throw std::logic_error("a message finds no slot");
            const auto [id, at] = to->receives.front();
            to->receives.pop_front();
            if (r.data.size() > at.length) throw std::logic_error("a message is too long");
            std::memcpy(reinterpret_cast<void*>(at.addr), r.data.data(), r.data.size());
            complete(to->base.recv_cq, id, IBV_WC_SUCCESS, r.data.size());
        }
        if (r.signaled) complete(qp.base.send_cq, r.id, IBV_WC_SUCCESS, 0);
    }

    std::vector<std::string> addresses_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Context>> contexts_;
    std::map<int, bool> fds_;
    std::map<std::uint32_t, ibv_mr*> mrs_;
    std::map<std::uint32_t, std::unique_ptr<Pair>> qps_;
    std::set<std::string> cut_;
    bool hold_ = false;
    std::deque<Held> held_;
    std::size_t lockable_ = ~std::size_t{0} >> 1;
    std::size_t locked_ = 0;
    std::uint32_t keys_ = 0;
    std::uint32_t numbers_ = 0;
    std::vector<std::string> transitions_;
};

}  // namespace weft::live::verbs
