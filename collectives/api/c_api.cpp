// The C functions of weft.h: arguments checked, exceptions turned into results. No logic of its
// own.
#include <algorithm>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <mutex>
#include <utility>
#include <vector>
#include <weft.h>

#include "collectives/api/detail/c_door.hpp"

namespace live = weft::live;
using live::c::at;
using live::c::at_root;
using live::c::broadcast;
using live::c::exchange;
using live::c::fail;
using live::c::guarded;
using live::c::last_error;
using live::c::of;
using live::c::reduction;
using live::c::refuse;
using live::c::scaled_sum;
using live::c::to_type;

/// One operation, or those of a group, one a communicator.
struct weft_request {
    std::vector<std::unique_ptr<live::Request>> parts;
    [[nodiscard]] bool test() const {
        return std::all_of(parts.begin(), parts.end(), [](const auto& p) { return p->test(); });
    }
    [[nodiscard]] bool wait(live::Clock::time_point until) const {
        return std::all_of(parts.begin(), parts.end(),
                           [&](const auto& p) { return p->wait(until); });
    }
    [[nodiscard]] weft::Status status() const {
        weft::Status all = weft::Done{};
        for (const auto& p : parts)
            if (const weft::Status s = p->status(); all && !s) all = s;
        return all;
    }
};

namespace {

live::UniqueId to_id(const weft_unique_id_t& id) {
    static_assert(sizeof id.internal == live::UniqueId::kSize);
    live::UniqueId out;
    std::memcpy(out.bytes.data(), id.internal, sizeof id.internal);
    return out;
}

void from_id(const live::UniqueId& id, weft_unique_id_t* out) {
    std::memcpy(out->internal, id.bytes.data(), sizeof out->internal);
}

std::chrono::milliseconds to_time(const char* key, double seconds,
                                  std::chrono::milliseconds otherwise) {
    if (seconds == 0) return otherwise;
    if (!(seconds >= 0.001 && seconds < 1e6)) refuse(key, std::to_string(seconds), "0.001 to 10^6");
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

live::WorldOptions to_options(const weft_options_t* o) {
    live::WorldOptions out = live::world_options_from_environment();
    if (!o) return out;
    // A caller built against an older header passes fewer fields.
    weft_options_t all{};
    std::memcpy(&all, o, std::min(o->size, sizeof all));
    if (o->size < offsetof(weft_options_t, interfaces))
        refuse("options.size", std::to_string(o->size), "sizeof(weft_options_t)");
    if (all.transport) out.transport = all.transport;
    if (all.interfaces) out.interfaces = all.interfaces;
    if (all.host) out.host = all.host;
    if (all.algorithm) out.algorithm = all.algorithm;
    if (all.fabric) out.fabric = all.fabric;
    if (all.paths > 0) out.paths = all.paths;
    if (all.verify) out.verify = true;
    if (all.no_background) out.background = false;
    out.meet_within =
        to_time("options.meet_within_seconds", all.meet_within_seconds, out.meet_within);
    out.patience = to_time("options.patience_seconds", all.patience_seconds, out.patience);
    return out;
}

/// Stores of ids that this process has made: each serves until its ranks have met. A process-wide
/// list, since an id is made before anything that could own the store.
struct Stores {
    std::mutex mutex;
    std::vector<std::pair<live::UniqueId, std::unique_ptr<live::StoreServer>>> served;
};
Stores& stores() {
    static Stores all;
    return all;
}
void close_store(const live::UniqueId& id) {
    const std::lock_guard lock(stores().mutex);
    std::erase_if(stores().served, [&](const auto& s) { return s.first == id; });
}

weft_result_t join(const weft_unique_id_t& id, int rank, int ranks, const live::WorldOptions& o,
                   weft_comm_t* out) {
    if (!out) refuse("comm", "a null pointer", "where to put the communicator");
    if (ranks < 1) refuse("ranks", std::to_string(ranks), "at least 1");
    if (rank < 0 || rank >= ranks) refuse("rank", std::to_string(rank), "0 to ranks - 1");
    const live::UniqueId unique = to_id(id);
    auto world = live::World::join(unique, static_cast<std::uint32_t>(rank),
                                   static_cast<std::uint32_t>(ranks), o);
    if (!world) return fail(world.error());
    close_store(unique);
    auto comm = std::make_unique<weft_comm>();
    comm->world = world.value();
    comm->comm = std::make_unique<live::Comm>(world.value());
    *out = comm.release();
    return WEFT_SUCCESS;
}

weft_result_t adopt(weft_comm& parent, weft::Outcome<std::unique_ptr<live::Comm>> made,
                    weft_comm_t* out) {
    if (!made) return fail(made.error());
    *out = nullptr;
    if (!made.value()) return WEFT_SUCCESS;
    *out = new weft_comm{parent.world, std::move(made.value())};
    return WEFT_SUCCESS;
}

weft_result_t give(weft_request_t* request, std::vector<std::unique_ptr<live::Request>> parts) {
    *request = new weft_request{std::move(parts)};
    return WEFT_SUCCESS;
}

weft_result_t run(weft_comm_t comm, weft_request_t* request, const live::CollectiveCall& call) {
    live::Comm& c = *at(comm).comm;
    if (!request) return of(c.run(call));
    std::vector<std::unique_ptr<live::Request>> parts;
    parts.push_back(c.start(call));
    return give(request, std::move(parts));
}

/// What this thread has noted since weft_group_start(), by communicator in order of first use.
struct Group {
    int depth = 0;
    std::vector<std::pair<live::Comm*, std::vector<live::PairMessage>>> messages;
};
Group& group() {
    // A group is of the thread that opened it, as in NCCL.
    static thread_local Group open;
    return open;
}

weft_result_t message(live::PairMessage::Way way, void* data, std::size_t count,
                      weft_datatype_t type, int peer, weft_comm_t comm, weft_request_t* request) {
    live::Comm& c = *at(comm).comm;
    if (peer < 0) refuse("peer", std::to_string(peer), "a rank");
    const live::PairMessage m{way, static_cast<std::uint32_t>(peer), data, count, to_type(type)};
    Group& open = group();
    if (open.depth == 0) {
        if (!request) return of(c.run({&m, 1}));
        std::vector<std::unique_ptr<live::Request>> parts;
        parts.push_back(c.start({&m, 1}));
        return give(request, std::move(parts));
    }
    if (request) refuse("request", "one in a group", "NULL: weft_group_end() gives the group's");
    auto found = std::find_if(open.messages.begin(), open.messages.end(),
                              [&](const auto& of) { return of.first == &c; });
    if (found == open.messages.end()) found = open.messages.insert(found, {&c, {}});
    found->second.push_back(m);
    return WEFT_SUCCESS;
}

weft_result_t copy_text(const std::string& text, char* out, std::size_t size) {
    if (!out || size == 0) refuse("text", "no room", "a buffer");
    if (text.size() >= size)
        refuse("size", std::to_string(size), fmt::format("more than {}", text.size()).c_str());
    std::memcpy(out, text.c_str(), text.size() + 1);
    return WEFT_SUCCESS;
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
    return out + "\"";
}

}  // namespace

const char* weft_version(void) {
    return WEFT_VERSION;
}

const char* weft_last_error(void) {
    return last_error().c_str();
}

const char* weft_result_name(weft_result_t result) {
    switch (result) {
        case WEFT_SUCCESS:
            return "success";
        case WEFT_IN_PROGRESS:
            return "in progress";
        case WEFT_INVALID_ARGUMENT:
            return "invalid argument";
        case WEFT_FAILED:
            return "failed";
        case WEFT_TIMED_OUT:
            return "timed out";
        case WEFT_INTERNAL_ERROR:
            return "internal error";
    }
    return "?";
}

weft_result_t weft_get_unique_id(weft_unique_id_t* id, const weft_store_options_t* options) {
    return guarded([&] {
        if (!id) refuse("id", "a null pointer", "where to put the id");
        weft_store_options_t o{};
        if (options) std::memcpy(&o, options, std::min(options->size, sizeof o));
        if (o.directory) {
            const auto made = live::unique_id_in_directory(o.directory);
            if (!made) return fail(made.error());
            from_id(made.value(), id);
            return WEFT_SUCCESS;
        }
        live::StoreServer::Options server;
        if (o.address) server.address = o.address;
        server.port = o.port;
        server.lifetime = to_time("options.lifetime_seconds", o.lifetime_seconds, server.lifetime);
        auto started = live::StoreServer::start(server);
        if (!started) return fail(started.error());
        from_id(started.value()->id(), id);
        const std::lock_guard lock(stores().mutex);
        stores().served.emplace_back(started.value()->id(), std::move(started.value()));
        return WEFT_SUCCESS;
    });
}

weft_result_t weft_unique_id_to_text(const weft_unique_id_t* id, char* text, size_t size) {
    return guarded([&] {
        if (!id) refuse("id", "a null pointer", "an id");
        return copy_text(to_text(to_id(*id)), text, size);
    });
}

weft_result_t weft_unique_id_from_text(weft_unique_id_t* id, const char* text) {
    return guarded([&] {
        if (!id || !text) refuse("id", "a null pointer", "an id and its text");
        from_id(live::parse_unique_id(text), id);
        return WEFT_SUCCESS;
    });
}

weft_result_t weft_comm_init(weft_comm_t* comm, int ranks, weft_unique_id_t id, int rank,
                             const weft_options_t* options) {
    return guarded([&] { return join(id, rank, ranks, to_options(options), comm); });
}

weft_result_t weft_comm_split(weft_comm_t comm, int colour, int key, weft_comm_t* out) {
    return guarded([&] {
        if (!out) refuse("out", "a null pointer", "where to put the communicator");
        return adopt(at(comm), at(comm).comm->split(colour, key), out);
    });
}

weft_result_t weft_comm_shrink(weft_comm_t comm, weft_comm_t* out) {
    return guarded([&] {
        if (!out) refuse("out", "a null pointer", "where to put the communicator");
        return adopt(at(comm), at(comm).comm->shrink(), out);
    });
}

weft_result_t weft_comm_grow(weft_comm_t comm, int ranks, weft_unique_id_t id, weft_comm_t* out) {
    return guarded([&] {
        const live::Comm& old = *at(comm).comm;
        if (ranks <= static_cast<int>(old.ranks()))
            refuse("ranks", std::to_string(ranks), "more than there are");
        return join(id, static_cast<int>(old.rank()), ranks, at(comm).world->options(), out);
    });
}

weft_result_t weft_plan_load(weft_comm_t comm, const char* plan, size_t least_bytes,
                             size_t most_bytes) {
    return guarded([&] {
        if (!plan) refuse("plan", "a null pointer", "a plan's name or JSON");
        return of(at(comm).comm->load_plan(plan, least_bytes, most_bytes));
    });
}

weft_result_t weft_plan_unload(weft_comm_t comm) {
    return guarded([&] {
        at(comm).comm->unload_plans();
        return WEFT_SUCCESS;
    });
}

weft_result_t weft_comm_revoke(weft_comm_t comm) {
    return guarded([&] {
        at(comm).comm->revoke();
        return WEFT_SUCCESS;
    });
}

weft_result_t weft_comm_abort(weft_comm_t comm, const char* why) {
    return guarded([&] {
        at(comm).comm->abort(why ? why : "aborted by the application");
        return WEFT_SUCCESS;
    });
}

weft_result_t weft_comm_finalize(weft_comm_t comm) {
    return guarded([&] {
        const std::unique_ptr<weft_comm> owner(&at(comm));
        return WEFT_SUCCESS;
    });
}

int weft_comm_rank(weft_comm_t comm) {
    return comm ? static_cast<int>(comm->comm->rank()) : -1;
}

int weft_comm_size(weft_comm_t comm) {
    return comm ? static_cast<int>(comm->comm->ranks()) : -1;
}

weft_result_t weft_comm_status(weft_comm_t comm) {
    return guarded([&] {
        const auto error = at(comm).comm->broken();
        return error ? fail(*error) : WEFT_SUCCESS;
    });
}

weft_result_t weft_allreduce(const void* input, void* output, size_t count, weft_datatype_t type,
                             weft_op_t op, weft_comm_t comm, weft_request_t* request) {
    return guarded([&] {
        return run(comm, request,
                   reduction(weft::Collective::kAllReduce, input, output, count, type, op));
    });
}

weft_result_t weft_allreduce_scaled(const void* input, void* output, size_t count,
                                    weft_datatype_t type, const void* factor, weft_comm_t comm,
                                    weft_request_t* request) {
    return guarded([&] {
        return run(comm, request,
                   scaled_sum(weft::Collective::kAllReduce, input, output, count, type, factor));
    });
}

weft_result_t weft_allgather(const void* input, void* output, size_t count_each,
                             weft_datatype_t type, weft_comm_t comm, weft_request_t* request) {
    return guarded([&] {
        return run(comm, request,
                   exchange(weft::Collective::kAllGather, input, output, count_each, type));
    });
}

weft_result_t weft_reduce_scatter(const void* input, void* output, size_t count_each,
                                  weft_datatype_t type, weft_op_t op, weft_comm_t comm,
                                  weft_request_t* request) {
    return guarded([&] {
        return run(
            comm, request,
            reduction(weft::Collective::kReduceScatter, input, output, count_each, type, op));
    });
}

weft_result_t weft_alltoall(const void* input, void* output, size_t count_each,
                            weft_datatype_t type, weft_comm_t comm, weft_request_t* request) {
    return guarded([&] {
        return run(comm, request,
                   exchange(weft::Collective::kAllToAll, input, output, count_each, type));
    });
}

weft_result_t weft_broadcast(const void* input, void* output, size_t count, weft_datatype_t type,
                             int root, weft_comm_t comm, weft_request_t* request) {
    return guarded([&] { return run(comm, request, broadcast(input, output, count, type, root)); });
}

weft_result_t weft_reduce(const void* input, void* output, size_t count, weft_datatype_t type,
                          weft_op_t op, int root, weft_comm_t comm, weft_request_t* request) {
    return guarded([&] {
        return run(
            comm, request,
            at_root(reduction(weft::Collective::kReduce, input, output, count, type, op), root));
    });
}

weft_result_t weft_reduce_scaled(const void* input, void* output, size_t count,
                                 weft_datatype_t type, const void* factor, int root,
                                 weft_comm_t comm, weft_request_t* request) {
    return guarded([&] {
        return run(
            comm, request,
            at_root(scaled_sum(weft::Collective::kReduce, input, output, count, type, factor),
                    root));
    });
}

weft_result_t weft_gather(const void* input, void* output, size_t count_each, weft_datatype_t type,
                          int root, weft_comm_t comm, weft_request_t* request) {
    return guarded([&] {
        return run(
            comm, request,
            at_root(exchange(weft::Collective::kGather, input, output, count_each, type), root));
    });
}

weft_result_t weft_scatter(const void* input, void* output, size_t count_each, weft_datatype_t type,
                           int root, weft_comm_t comm, weft_request_t* request) {
    return guarded([&] {
        return run(
            comm, request,
            at_root(exchange(weft::Collective::kScatter, input, output, count_each, type), root));
    });
}

weft_result_t weft_barrier(weft_comm_t comm) {
    return guarded([&] { return of(at(comm).comm->barrier()); });
}

weft_result_t weft_send(const void* data, size_t count, weft_datatype_t type, int peer,
                        weft_comm_t comm, weft_request_t* request) {
    return guarded([&] {
        // Never written to: a message has one kind of pointer.
        return message(live::PairMessage::Way::kSend, const_cast<void*>(data), count, type, peer,
                       comm, request);
    });
}

weft_result_t weft_recv(void* data, size_t count, weft_datatype_t type, int peer, weft_comm_t comm,
                        weft_request_t* request) {
    return guarded([&] {
        return message(live::PairMessage::Way::kReceive, data, count, type, peer, comm, request);
    });
}

weft_result_t weft_group_start(void) {
    return guarded([&] {
        ++group().depth;
        return WEFT_SUCCESS;
    });
}

weft_result_t weft_group_end(weft_request_t* request) {
    return guarded([&] {
        Group& open = group();
        if (open.depth == 0) refuse("group", "none", "weft_group_start() before");
        if (open.depth > 1 && request)
            refuse("request", "one of an inner group", "NULL: the outermost group's end gives it");
        if (--open.depth > 0) return WEFT_SUCCESS;
        const auto messages = std::exchange(open.messages, {});
        for (const auto& [comm, list] : messages) comm->check(list);
        weft_request all;
        for (const auto& [comm, list] : messages) all.parts.push_back(comm->start(list));
        if (request) return give(request, std::move(all.parts));
        (void)all.wait(live::Clock::time_point::max());
        return of(all.status());
    });
}

weft_result_t weft_test(weft_request_t request) {
    return guarded([&] {
        if (!request) refuse("request", "a null pointer", "a request");
        if (!request->test()) return WEFT_IN_PROGRESS;
        return of(request->status());
    });
}

weft_result_t weft_wait(weft_request_t request, double seconds) {
    return guarded([&] {
        if (!request) refuse("request", "a null pointer", "a request");
        const auto until = seconds < 0 || seconds > 1e8
                               ? live::Clock::time_point::max()
                               : live::Clock::now() + std::chrono::nanoseconds(
                                                          static_cast<std::int64_t>(seconds * 1e9));
        if (!request->wait(until))
            return fail(WEFT_TIMED_OUT, fmt::format("not finished after {} s", seconds));
        return of(request->status());
    });
}

weft_result_t weft_request_free(weft_request_t request) {
    return guarded([&] {
        if (!request) refuse("request", "a null pointer", "a request");
        if (!request->test())
            refuse("request", "an operation under way", "one that is finished: weft_wait()");
        delete request;
        return WEFT_SUCCESS;
    });
}

weft_result_t weft_explain_allreduce(weft_comm_t comm, size_t count, weft_datatype_t type,
                                     char* text, size_t size) {
    return guarded([&] {
        const live::OperationRecord r = at(comm).comm->explain(
            {.collective = weft::Collective::kAllReduce, .count = count, .dtype = to_type(type)});
        return copy_text(r.plan + ": " + r.why, text, size);
    });
}

weft_result_t weft_history(weft_comm_t comm, char* text, size_t size) {
    return guarded([&] {
        std::string all = "[";
        for (const live::OperationRecord& r : at(comm).comm->history())
            all += fmt::format(
                "{}{{\"number\": {}, \"collective\": \"{}\", \"bytes\": {}, \"plan\": {}, \"why\": "
                "{}, \"seconds\": {:.9f}, \"ok\": {}}}",
                all.size() > 1 ? ",\n " : "", r.number, name_of(r.collective), r.bytes,
                quoted(r.plan), quoted(r.why), r.seconds, r.ok ? "true" : "false");
        return copy_text(all + "]", text, size);
    });
}

weft_result_t weft_comm_fabric(weft_comm_t comm, char* text, size_t size, size_t* needed) {
    return guarded([&] {
        const std::string& all = at(comm).world->place().text();
        if (needed) *needed = all.size() + 1;
        if (!text && needed) return WEFT_SUCCESS;
        return copy_text(all, text, size);
    });
}

weft_result_t weft_counters(weft_comm_t comm, weft_counters_t* counters) {
    return guarded([&] {
        if (!counters) refuse("counters", "a null pointer", "where to put them");
        const live::Counters c = at(comm).comm->counters();
        const weft_counters_t all{counters->size, c.operations, c.failed, c.bytes, c.shared};
        std::memcpy(counters, &all, std::min(counters->size, sizeof all));
        return WEFT_SUCCESS;
    });
}
