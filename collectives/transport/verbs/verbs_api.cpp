#include "collectives/transport/verbs/verbs_api.hpp"

#include <array>
#include <cerrno>
#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>

namespace weft::live::verbs {

namespace {

/// The functions that are called by name; what the header has inline goes through the device.
struct Table {
    ibv_device** (*get_device_list)(int*) = nullptr;
    void (*free_device_list)(ibv_device**) = nullptr;
    const char* (*get_device_name)(ibv_device*) = nullptr;
    ibv_context* (*open_device)(ibv_device*) = nullptr;
    int (*close_device)(ibv_context*) = nullptr;
    ssize_t (*query_gid_table)(ibv_context*, ibv_gid_entry*, std::size_t, std::uint32_t,
                               std::size_t) = nullptr;
    int (*query_device)(ibv_context*, ibv_device_attr*) = nullptr;
    int (*query_port)(ibv_context*, std::uint8_t, _compat_ibv_port_attr*) = nullptr;
    int (*get_async_event)(ibv_context*, ibv_async_event*) = nullptr;
    void (*ack_async_event)(ibv_async_event*) = nullptr;
    ibv_pd* (*alloc_pd)(ibv_context*) = nullptr;
    int (*dealloc_pd)(ibv_pd*) = nullptr;
    ibv_mr* (*reg_mr)(ibv_pd*, void*, std::size_t, int) = nullptr;
    int (*dereg_mr)(ibv_mr*) = nullptr;
    ibv_comp_channel* (*create_comp_channel)(ibv_context*) = nullptr;
    int (*destroy_comp_channel)(ibv_comp_channel*) = nullptr;
    ibv_cq* (*create_cq)(ibv_context*, int, void*, ibv_comp_channel*, int) = nullptr;
    int (*destroy_cq)(ibv_cq*) = nullptr;
    int (*get_cq_event)(ibv_comp_channel*, ibv_cq**, void**) = nullptr;
    void (*ack_cq_events)(ibv_cq*, unsigned) = nullptr;
    ibv_qp* (*create_qp)(ibv_pd*, ibv_qp_init_attr*) = nullptr;
    int (*modify_qp)(ibv_qp*, ibv_qp_attr*, int) = nullptr;
    int (*destroy_qp)(ibv_qp*) = nullptr;
    const char* (*wc_status_str)(ibv_wc_status) = nullptr;
};

void no_blocking(int fd) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

class LoadedApi final : public Api {
  public:
    /// Empty, or the function that the library lacks.
    std::string fill(void* library) {
        std::string missing;
        const auto find = [&](auto& function, const char* name) {
            function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
                ::dlsym(library, name));
            if (function == nullptr) missing = name;
        };
        find(t_.get_device_list, "ibv_get_device_list");
        find(t_.free_device_list, "ibv_free_device_list");
        find(t_.get_device_name, "ibv_get_device_name");
        find(t_.open_device, "ibv_open_device");
        find(t_.close_device, "ibv_close_device");
        find(t_.query_gid_table, "_ibv_query_gid_table");
        find(t_.query_device, "ibv_query_device");
        find(t_.query_port, "ibv_query_port");
        find(t_.get_async_event, "ibv_get_async_event");
        find(t_.ack_async_event, "ibv_ack_async_event");
        find(t_.alloc_pd, "ibv_alloc_pd");
        find(t_.dealloc_pd, "ibv_dealloc_pd");
        find(t_.reg_mr, "ibv_reg_mr");
        find(t_.dereg_mr, "ibv_dereg_mr");
        find(t_.create_comp_channel, "ibv_create_comp_channel");
        find(t_.destroy_comp_channel, "ibv_destroy_comp_channel");
        find(t_.create_cq, "ibv_create_cq");
        find(t_.destroy_cq, "ibv_destroy_cq");
        find(t_.get_cq_event, "ibv_get_cq_event");
        find(t_.ack_cq_events, "ibv_ack_cq_events");
        find(t_.create_qp, "ibv_create_qp");
        find(t_.modify_qp, "ibv_modify_qp");
        find(t_.destroy_qp, "ibv_destroy_qp");
        find(t_.wc_status_str, "ibv_wc_status_str");
        return missing;
    }

    [[nodiscard]] std::vector<ibv_context*> open_devices() override {
        std::vector<ibv_context*> all;
        int count = 0;
        ibv_device** list = t_.get_device_list(&count);
        for (int i = 0; list != nullptr && i < count; ++i)
            if (ibv_context* device = t_.open_device(list[i]); device != nullptr)
                all.push_back(device);
        if (list != nullptr) t_.free_device_list(list);
        return all;
    }
    void close(ibv_context* device) override { t_.close_device(device); }
    [[nodiscard]] std::string name(ibv_context* device) const override {
        return t_.get_device_name(device->device);
    }
    [[nodiscard]] std::vector<ibv_gid_entry> gids(ibv_context* device) override {
        std::vector<ibv_gid_entry> all(256);
        const ssize_t n =
            t_.query_gid_table(device, all.data(), all.size(), 0, sizeof(ibv_gid_entry));
        all.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
        return all;
    }
    int query_device(ibv_context* device, ibv_device_attr& out) override {
        return t_.query_device(device, &out);
    }
    int query_port(ibv_context* device, std::uint8_t port, ibv_port_attr& out) override {
        // The function by this name fills an older, shorter record, which the new one begins with.
        out = {};
        return t_.query_port(device, port, reinterpret_cast<_compat_ibv_port_attr*>(&out));
    }
    [[nodiscard]] int async_fd(ibv_context* device) override {
        no_blocking(device->async_fd);
        return device->async_fd;
    }
    [[nodiscard]] std::optional<AsyncEvent> take_async(ibv_context* device) override {
        ibv_async_event event;
        if (t_.get_async_event(device, &event) != 0) return std::nullopt;
        AsyncEvent out{.type = event.event_type};
        const bool of_qp = out.type == IBV_EVENT_QP_FATAL || out.type == IBV_EVENT_QP_REQ_ERR ||
                           out.type == IBV_EVENT_QP_ACCESS_ERR;
        if (of_qp) out.qp = event.element.qp;
        t_.ack_async_event(&event);
        return out;
    }

    ibv_pd* alloc_pd(ibv_context* device) override { return t_.alloc_pd(device); }
    void dealloc_pd(ibv_pd* pd) override { t_.dealloc_pd(pd); }
    ibv_mr* reg_mr(ibv_pd* pd, std::span<std::byte> memory, int access) override {
        return t_.reg_mr(pd, memory.data(), memory.size(), access);
    }
    void dereg_mr(ibv_mr* mr) override { t_.dereg_mr(mr); }

    ibv_comp_channel* create_channel(ibv_context* device) override {
        ibv_comp_channel* channel = t_.create_comp_channel(device);
        if (channel != nullptr) no_blocking(channel->fd);
        return channel;
    }
    void destroy_channel(ibv_comp_channel* channel) override { t_.destroy_comp_channel(channel); }
    ibv_cq* create_cq(ibv_context* device, int entries, ibv_comp_channel* channel) override {
        return t_.create_cq(device, entries, nullptr, channel, 0);
    }
    void destroy_cq(ibv_cq* cq) override { t_.destroy_cq(cq); }
    void take_cq_events(ibv_comp_channel* channel) override {
        ibv_cq* cq = nullptr;
        void* context = nullptr;
        while (t_.get_cq_event(channel, &cq, &context) == 0) t_.ack_cq_events(cq, 1);
    }
    int request_notify(ibv_cq* cq) override { return ibv_req_notify_cq(cq, 0); }
    [[nodiscard]] int poll_cq(ibv_cq* cq, std::span<ibv_wc> out) override {
        return ibv_poll_cq(cq, static_cast<int>(out.size()), out.data());
    }

    ibv_qp* create_qp(ibv_pd* pd, ibv_qp_init_attr& attributes) override {
        return t_.create_qp(pd, &attributes);
    }
    int modify_qp(ibv_qp* qp, ibv_qp_attr& attributes, int mask) override {
        return t_.modify_qp(qp, &attributes, mask);
    }
    void destroy_qp(ibv_qp* qp) override { t_.destroy_qp(qp); }
    int post_send(ibv_qp* qp, ibv_send_wr& work) override {
        ibv_send_wr* bad = nullptr;
        return ibv_post_send(qp, &work, &bad);
    }
    int post_recv(ibv_qp* qp, ibv_recv_wr& work) override {
        ibv_recv_wr* bad = nullptr;
        return ibv_post_recv(qp, &work, &bad);
    }
    [[nodiscard]] std::string words_of(ibv_wc_status status) const override {
        return t_.wc_status_str(status);
    }

  private:
    Table t_;
};

}  // namespace

Outcome<std::shared_ptr<Api>> load_api() {
    // Never unloaded: its providers keep threads and state of their own.
    void* library = ::dlopen("libibverbs.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr)
        return LiveError{.what = fmt::format("no RDMA: {} (package libibverbs1)", ::dlerror())};
    // Where the kernel does not copy registered pages for a child, the library must keep children
    // off them; where it does, this does nothing.
    if (auto* fork_safe = reinterpret_cast<int (*)()>(::dlsym(library, "ibv_fork_init")))
        (void)fork_safe();
    auto api = std::make_shared<LoadedApi>();
    if (const std::string missing = api->fill(library); !missing.empty())
        return LiveError{.what =
                             fmt::format("no RDMA: libibverbs.so.1 has no {}: too old", missing)};
    return std::shared_ptr<Api>(std::move(api));
}

}  // namespace weft::live::verbs
