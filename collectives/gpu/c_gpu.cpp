// The C functions of weft_gpu.h.
#include <mutex>
#include <weft_gpu.h>

#include "collectives/api/detail/c_door.hpp"
#include "collectives/gpu/stream_collectives.hpp"

namespace live = weft::live;
using live::c::at;
using live::c::at_root;
using live::c::broadcast;
using live::c::exchange;
using live::c::fail;
using live::c::guarded;
using live::c::of;
using live::c::reduction;
using live::c::scaled_sum;

namespace {

/// The driver, once a process; and the communicators' own parts, made at their first call.
std::mutex& making() {
    static std::mutex mutex;
    return mutex;
}

weft_result_t run_on(weft_comm_t comm, weft_stream_t stream, const live::CollectiveCall& call) {
    weft_comm& c = at(comm);
    {
        const std::lock_guard lock(making());
        if (!c.on_streams) {
            static const auto gpu = live::load_cuda();
            if (!gpu) return fail(gpu.error());
            c.on_streams = std::make_shared<live::StreamCollectives>(*c.comm, gpu.value());
        }
    }
    return of(static_cast<live::StreamCollectives*>(c.on_streams.get())->run(call, stream));
}

}  // namespace

weft_result_t weft_allreduce_on(const void* input, void* output, size_t count, weft_datatype_t type,
                                weft_op_t op, weft_comm_t comm, weft_stream_t stream) {
    return guarded([&] {
        return run_on(comm, stream,
                      reduction(weft::Collective::kAllReduce, input, output, count, type, op));
    });
}

weft_result_t weft_allreduce_scaled_on(const void* input, void* output, size_t count,
                                       weft_datatype_t type, const void* factor, weft_comm_t comm,
                                       weft_stream_t stream) {
    return guarded([&] {
        return run_on(comm, stream,
                      scaled_sum(weft::Collective::kAllReduce, input, output, count, type, factor));
    });
}

weft_result_t weft_allgather_on(const void* input, void* output, size_t count_each,
                                weft_datatype_t type, weft_comm_t comm, weft_stream_t stream) {
    return guarded([&] {
        return run_on(comm, stream,
                      exchange(weft::Collective::kAllGather, input, output, count_each, type));
    });
}

weft_result_t weft_reduce_scatter_on(const void* input, void* output, size_t count_each,
                                     weft_datatype_t type, weft_op_t op, weft_comm_t comm,
                                     weft_stream_t stream) {
    return guarded([&] {
        return run_on(
            comm, stream,
            reduction(weft::Collective::kReduceScatter, input, output, count_each, type, op));
    });
}

weft_result_t weft_alltoall_on(const void* input, void* output, size_t count_each,
                               weft_datatype_t type, weft_comm_t comm, weft_stream_t stream) {
    return guarded([&] {
        return run_on(comm, stream,
                      exchange(weft::Collective::kAllToAll, input, output, count_each, type));
    });
}

weft_result_t weft_broadcast_on(const void* input, void* output, size_t count, weft_datatype_t type,
                                int root, weft_comm_t comm, weft_stream_t stream) {
    return guarded(
        [&] { return run_on(comm, stream, broadcast(input, output, count, type, root)); });
}

weft_result_t weft_reduce_on(const void* input, void* output, size_t count, weft_datatype_t type,
                             weft_op_t op, int root, weft_comm_t comm, weft_stream_t stream) {
    return guarded([&] {
        return run_on(
            comm, stream,
            at_root(reduction(weft::Collective::kReduce, input, output, count, type, op), root));
    });
}

weft_result_t weft_gather_on(const void* input, void* output, size_t count_each,
                             weft_datatype_t type, int root, weft_comm_t comm,
                             weft_stream_t stream) {
    return guarded([&] {
        return run_on(
            comm, stream,
            at_root(exchange(weft::Collective::kGather, input, output, count_each, type), root));
    });
}

weft_result_t weft_scatter_on(const void* input, void* output, size_t count_each,
                              weft_datatype_t type, int root, weft_comm_t comm,
                              weft_stream_t stream) {
    return guarded([&] {
        return run_on(
            comm, stream,
            at_root(exchange(weft::Collective::kScatter, input, output, count_each, type), root));
    });
}
