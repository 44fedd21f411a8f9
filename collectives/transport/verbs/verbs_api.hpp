#pragma once
// What Weft uses of libibverbs, behind an interface, so that one program runs with and without
// RDMA: the library is loaded when the transport is first asked for. Tests put a network of their
// own behind it. One object for any number of devices; calls are as thread-safe as the library's.
#include <infiniband/verbs.h>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace weft::live::verbs {

struct AsyncEvent {
    ibv_event_type type = IBV_EVENT_DEVICE_FATAL;
    ibv_qp* qp = nullptr;  // of events of queue pairs
};

class Api {
  public:
    virtual ~Api() = default;
    /// Every device of this machine, opened; close() each.
    [[nodiscard]] virtual std::vector<ibv_context*> open_devices() = 0;
    virtual void close(ibv_context* device) = 0;
    [[nodiscard]] virtual std::string name(ibv_context* device) const = 0;
    [[nodiscard]] virtual std::vector<ibv_gid_entry> gids(ibv_context* device) = 0;
    virtual int query_device(ibv_context* device, ibv_device_attr& out) = 0;
    virtual int query_port(ibv_context* device, std::uint8_t port, ibv_port_attr& out) = 0;
    /// The descriptor is non-blocking from here on.
    [[nodiscard]] virtual int async_fd(ibv_context* device) = 0;
    [[nodiscard]] virtual std::optional<AsyncEvent> take_async(ibv_context* device) = 0;

    virtual ibv_pd* alloc_pd(ibv_context* device) = 0;
    virtual void dealloc_pd(ibv_pd* pd) = 0;
    /// nullptr: errno says why.
    virtual ibv_mr* reg_mr(ibv_pd* pd, std::span<std::byte> memory, int access) = 0;
    virtual void dereg_mr(ibv_mr* mr) = 0;

    /// The channel's descriptor is non-blocking.
    virtual ibv_comp_channel* create_channel(ibv_context* device) = 0;
    virtual void destroy_channel(ibv_comp_channel* channel) = 0;
    virtual ibv_cq* create_cq(ibv_context* device, int entries, ibv_comp_channel* channel) = 0;
    virtual void destroy_cq(ibv_cq* cq) = 0;
    /// Takes the events that have come; completions are polled for.
    virtual void take_cq_events(ibv_comp_channel* channel) = 0;
    virtual int request_notify(ibv_cq* cq) = 0;
    [[nodiscard]] virtual int poll_cq(ibv_cq* cq, std::span<ibv_wc> out) = 0;

    virtual ibv_qp* create_qp(ibv_pd* pd, ibv_qp_init_attr& attributes) = 0;
    virtual int modify_qp(ibv_qp* qp, ibv_qp_attr& attributes, int mask) = 0;
    virtual void destroy_qp(ibv_qp* qp) = 0;
    virtual int post_send(ibv_qp* qp, ibv_send_wr& work) = 0;
    virtual int post_recv(ibv_qp* qp, ibv_recv_wr& work) = 0;
    [[nodiscard]] virtual std::string words_of(ibv_wc_status status) const = 0;
};

/// libibverbs of this machine; the error is one line that says why there is none.
[[nodiscard]] Outcome<std::shared_ptr<Api>> load_api();

}  // namespace weft::live::verbs
