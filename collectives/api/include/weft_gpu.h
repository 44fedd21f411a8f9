/* weft_gpu.h: the collectives of weft.h on device memory, in the order of a stream.
 *
 *     cudaSetDevice(...);
 *     weft_allreduce_on(gradients, gradients, count, WEFT_BFLOAT16, WEFT_AVG, comm, stream);
 *
 * A call queues and returns. The stream goes on when the collective is done; data go through pinned
 * host memory in pieces that overlap, by whatever transport the communicator has. Pointers are
 * device, managed or host memory. On a stream that is being captured the call becomes part of the
 * graph.
 *
 * All ranks of a communicator call these functions, or those of weft.h. One rank a process; several
 * processes may share a GPU. Streams are synchronised, and graphs destroyed, before
 * weft_comm_finalize(). A collective that fails breaks the communicator; its stream goes on with
 * an undefined output, and the next call, or weft_comm_status(), says why.
 * CUDA is loaded when a call first needs it: without a driver the call says so. */
#ifndef WEFT_GPU_H
#define WEFT_GPU_H

#include "weft.h"

#ifdef __cplusplus
extern "C" {
#endif

/* cudaStream_t, CUstream; NULL: the default stream. */
struct CUstream_st;
typedef struct CUstream_st* weft_stream_t;

WEFT_API weft_result_t weft_allreduce_on(const void* input, void* output, size_t count,
                                         weft_datatype_t type, weft_op_t op, weft_comm_t comm,
                                         weft_stream_t stream);
/* `factor` points to host memory and is read before the call returns. */
WEFT_API weft_result_t weft_allreduce_scaled_on(const void* input, void* output, size_t count,
                                                weft_datatype_t type, const void* factor,
                                                weft_comm_t comm, weft_stream_t stream);
WEFT_API weft_result_t weft_allgather_on(const void* input, void* output, size_t count_each,
                                         weft_datatype_t type, weft_comm_t comm,
                                         weft_stream_t stream);
WEFT_API weft_result_t weft_reduce_scatter_on(const void* input, void* output, size_t count_each,
                                              weft_datatype_t type, weft_op_t op, weft_comm_t comm,
                                              weft_stream_t stream);
WEFT_API weft_result_t weft_alltoall_on(const void* input, void* output, size_t count_each,
                                        weft_datatype_t type, weft_comm_t comm,
                                        weft_stream_t stream);
WEFT_API weft_result_t weft_broadcast_on(const void* input, void* output, size_t count,
                                         weft_datatype_t type, int root, weft_comm_t comm,
                                         weft_stream_t stream);
WEFT_API weft_result_t weft_reduce_on(const void* input, void* output, size_t count,
                                      weft_datatype_t type, weft_op_t op, int root,
                                      weft_comm_t comm, weft_stream_t stream);
WEFT_API weft_result_t weft_gather_on(const void* input, void* output, size_t count_each,
                                      weft_datatype_t type, int root, weft_comm_t comm,
                                      weft_stream_t stream);
WEFT_API weft_result_t weft_scatter_on(const void* input, void* output, size_t count_each,
                                       weft_datatype_t type, int root, weft_comm_t comm,
                                       weft_stream_t stream);

#ifdef __cplusplus
}
#endif
#endif
