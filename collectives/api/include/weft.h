/* weft.h: collectives among processes, as C.
 *
 * Every function returns a weft_result_t; weft_last_error() says in one line what went wrong, with
 * ranks, operation and times. Nothing waits without a limit: patience is an option. Memory of a
 * failed operation is not touched any more when its error is returned.
 *
 * Order: all ranks of a communicator call the same collectives in the same order. A difference in
 * collective, root, count, type or reduction is an error within a second that names two ranks.
 * Threads: any function from any thread; two threads must not race for the order of one
 * communicator's collectives. fork(): a child may exec or exit; it must not call into the library.
 * Stable: structures begin with their size; fields are only ever added at the end.
 *
 *     weft_unique_id_t id;                      rank 0 makes it, and gives it to the others
 *     weft_get_unique_id(&id, NULL);
 *     weft_comm_t comm;
 *     weft_comm_init(&comm, ranks, id, rank, NULL);
 *     weft_allreduce(in, out, count, WEFT_FLOAT32, WEFT_SUM, comm, NULL);
 *     weft_comm_finalize(comm);
 */
#ifndef WEFT_H
#define WEFT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_API __attribute__((visibility("default")))

typedef enum {
    WEFT_SUCCESS = 0,
    WEFT_IN_PROGRESS = 1,      /* a request is not finished */
    WEFT_INVALID_ARGUMENT = 2, /* nothing has happened */
    WEFT_FAILED = 3,           /* the collective failed; the communicator is broken */
    WEFT_TIMED_OUT = 4,        /* weft_wait(): not finished yet, and still under way */
    WEFT_INTERNAL_ERROR = 5    /* a bug of the library */
} weft_result_t;

typedef enum {
    WEFT_FLOAT32 = 0,
    WEFT_FLOAT64 = 1,
    WEFT_BFLOAT16 = 2,
    WEFT_FLOAT16 = 3,
    WEFT_FLOAT8E4M3 = 4,
    WEFT_FLOAT8E5M2 = 5,
    WEFT_INT8 = 6,
    WEFT_UINT8 = 7,
    WEFT_INT32 = 8,
    WEFT_UINT32 = 9,
    WEFT_INT64 = 10,
    WEFT_UINT64 = 11
} weft_datatype_t;

/* Integers wrap; an average of integers rounds toward zero; min and max propagate NaN. */
typedef enum { WEFT_SUM = 0, WEFT_PROD = 1, WEFT_MIN = 2, WEFT_MAX = 3, WEFT_AVG = 4 } weft_op_t;

typedef struct weft_comm* weft_comm_t;
typedef struct weft_request* weft_request_t;

/* Carried to the other ranks by whatever means the job has; as long as NCCL's. */
typedef struct {
    char internal[128];
} weft_unique_id_t;

typedef struct {
    size_t size;             /* sizeof(weft_store_options_t) */
    const char* address;     /* where to listen: "10.0.0.1"; NULL: the loopback address */
    uint16_t port;           /* 0: any free one */
    const char* directory;   /* instead: a directory that all ranks can write */
    double lifetime_seconds; /* 0: ten minutes */
} weft_store_options_t;

/* NULL or 0 in a field: its default. */
typedef struct {
    size_t size;            /* sizeof(weft_options_t) */
    const char* transport;  /* "auto", "shm", "tcp", "verbs", "mpi" */
    const char* interfaces; /* "eth0:0:0,eth1:1:0": interface:rail:plane */
    const char* host;       /* sets ranks of one machine apart */
    const char* algorithm;  /* "ring", ...; NULL: by size and shape */
    uint32_t paths;         /* TCP connections per pair of ports */
    int verify;             /* 1: a CRC over what TCP carries */
    int no_background;      /* 1: asynchronous operations move only while somebody waits */
    double meet_within_seconds;
    double patience_seconds; /* without progress; then an operation fails */
    const char* fabric;      /* a fabric file, alike at all ranks; NULL: the machines are asked */
} weft_options_t;

WEFT_API const char* weft_version(void);
/* Of this thread's last call that failed; never NULL. */
WEFT_API const char* weft_last_error(void);
WEFT_API const char* weft_result_name(weft_result_t result);

/* ---- Joining and leaving ---- */

/* Makes an id. With a TCP store this process serves the meeting until all ranks have come. */
WEFT_API weft_result_t weft_get_unique_id(weft_unique_id_t* id,
                                          const weft_store_options_t* options);
/* The id as one printable word, and back; `text` holds at least WEFT_ID_TEXT bytes. */
#define WEFT_ID_TEXT 512
WEFT_API weft_result_t weft_unique_id_to_text(const weft_unique_id_t* id, char* text, size_t size);
WEFT_API weft_result_t weft_unique_id_from_text(weft_unique_id_t* id, const char* text);

/* Blocks until all ranks have met. options NULL: defaults, and WEFT_... of the environment. */
WEFT_API weft_result_t weft_comm_init(weft_comm_t* comm, int ranks, weft_unique_id_t id, int rank,
                                      const weft_options_t* options);
/* Collective: members of equal colour make a group, ordered by key; colour -1: none, *out NULL. */
WEFT_API weft_result_t weft_comm_split(weft_comm_t comm, int colour, int key, weft_comm_t* out);
/* After a failure, by all members that live: a communicator of them. */
WEFT_API weft_result_t weft_comm_shrink(weft_comm_t comm, weft_comm_t* out);
/* Members of `comm` keep their ranks in a new world of `ranks`; others weft_comm_init() to `id`
 * with ranks from the size of `comm` on. */
WEFT_API weft_result_t weft_comm_grow(weft_comm_t comm, int ranks, weft_unique_id_t id,
                                      weft_comm_t* out);
/* Breaks the communicator at all members, so that they come to weft_comm_shrink(). */
WEFT_API weft_result_t weft_comm_revoke(weft_comm_t comm);
/* The same from any thread while another is in a collective, for giving up. */
WEFT_API weft_result_t weft_comm_abort(weft_comm_t comm, const char* why);
/* Ends it; its requests are freed before. Of the last communicator of a world: says farewell. */
WEFT_API weft_result_t weft_comm_finalize(weft_comm_t comm);

WEFT_API int weft_comm_rank(weft_comm_t comm);
WEFT_API int weft_comm_size(weft_comm_t comm);
/* WEFT_SUCCESS, or WEFT_FAILED and weft_last_error() says what broke it. */
WEFT_API weft_result_t weft_comm_status(weft_comm_t comm);

/* ---- Collectives. request NULL: blocks. Else returns at once; the buffers stay in place until the
 * request is finished. A collective is called the same way (blocking or not) by all ranks. In place
 * as in MPI and NCCL: input == output; all-gather, and gather at the root: input = own block of
 * output; reduce-scatter, and scatter at the root: output = own block of input. Counts are of
 * elements; `count_each` of one rank's block. ---- */

WEFT_API weft_result_t weft_allreduce(const void* input, void* output, size_t count,
                                      weft_datatype_t type, weft_op_t op, weft_comm_t comm,
                                      weft_request_t* request);
/* The sum of factor * input, each product rounded; `factor` points to one element. */
WEFT_API weft_result_t weft_allreduce_scaled(const void* input, void* output, size_t count,
                                             weft_datatype_t type, const void* factor,
                                             weft_comm_t comm, weft_request_t* request);
WEFT_API weft_result_t weft_allgather(const void* input, void* output, size_t count_each,
                                      weft_datatype_t type, weft_comm_t comm,
                                      weft_request_t* request);
WEFT_API weft_result_t weft_reduce_scatter(const void* input, void* output, size_t count_each,
                                           weft_datatype_t type, weft_op_t op, weft_comm_t comm,
                                           weft_request_t* request);
WEFT_API weft_result_t weft_alltoall(const void* input, void* output, size_t count_each,
                                     weft_datatype_t type, weft_comm_t comm,
                                     weft_request_t* request);
WEFT_API weft_result_t weft_broadcast(const void* input, void* output, size_t count,
                                      weft_datatype_t type, int root, weft_comm_t comm,
                                      weft_request_t* request);
/* To the root: its output is the reduction of all inputs; the others' output is not looked at. */
WEFT_API weft_result_t weft_reduce(const void* input, void* output, size_t count,
                                   weft_datatype_t type, weft_op_t op, int root, weft_comm_t comm,
                                   weft_request_t* request);
WEFT_API weft_result_t weft_reduce_scaled(const void* input, void* output, size_t count,
                                          weft_datatype_t type, const void* factor, int root,
                                          weft_comm_t comm, weft_request_t* request);
/* To the root: its output is the ranks' inputs in order; the others' output is not looked at. */
WEFT_API weft_result_t weft_gather(const void* input, void* output, size_t count_each,
                                   weft_datatype_t type, int root, weft_comm_t comm,
                                   weft_request_t* request);
/* From the root: rank r's output is block r of its input; the others' input is not looked at. */
WEFT_API weft_result_t weft_scatter(const void* input, void* output, size_t count_each,
                                    weft_datatype_t type, int root, weft_comm_t comm,
                                    weft_request_t* request);
WEFT_API weft_result_t weft_barrier(weft_comm_t comm);

/* ---- Messages between pairs, as in NCCL. The k-th that a rank sends another meets the k-th that
 * this one receives from it, with the same count and type, or it is an error that names both;
 * messages of different pairs, and collectives, have no order among each other. A send is done when
 * its data have arrived. request NULL: blocks. Between weft_group_start() and weft_group_end()
 * messages (request NULL) are only noted, on any communicators; the end starts all of them at once,
 * and they are one operation: no order among them can make it hang. Groups may be nested; the
 * outermost end counts. A rank's messages to itself meet in one group. Collectives between the two
 * are no part of the group. ---- */

WEFT_API weft_result_t weft_send(const void* data, size_t count, weft_datatype_t type, int peer,
                                 weft_comm_t comm, weft_request_t* request);
WEFT_API weft_result_t weft_recv(void* data, size_t count, weft_datatype_t type, int peer,
                                 weft_comm_t comm, weft_request_t* request);
/* Of the calling thread. */
WEFT_API weft_result_t weft_group_start(void);
WEFT_API weft_result_t weft_group_end(weft_request_t* request);

/* ---- Requests ---- */

/* WEFT_IN_PROGRESS, or how it ended; makes progress. */
WEFT_API weft_result_t weft_test(weft_request_t request);
/* Waits at most so long; WEFT_TIMED_OUT leaves it under way. Negative: until it is finished. */
WEFT_API weft_result_t weft_wait(weft_request_t request, double seconds);
/* Of a finished request. */
WEFT_API weft_result_t weft_request_free(weft_request_t request);

/* ---- What was decided, and what it came to ---- */

/* ---- Plans of one's own ---- */

/* Collective: for calls of one collective of least_bytes..most_bytes (nccl-tests size), run this
 * Plan: "allreduce/ring channels=2 slice=256KiB slots=16 loops=4 walk=same-way", or JSON as
 * `weft check --export` writes it, which has to be proved. All members give the same. The latest
 * that fits a call counts; groups made of this communicator begin without. */
WEFT_API weft_result_t weft_plan_load(weft_comm_t comm, const char* plan, size_t least_bytes,
                                      size_t most_bytes);
/* Drops them all; at the same place in the order of calls at all members. */
WEFT_API weft_result_t weft_plan_unload(weft_comm_t comm);

/* ---- What was decided ---- */

/* One line, "allreduce/ring, 1 channel, slices of 256 KiB: one rank a host", of what such an
 * all-reduce would run; and of the last operations, a JSON array, oldest first. */
WEFT_API weft_result_t weft_explain_allreduce(weft_comm_t comm, size_t count, weft_datatype_t type,
                                              char* text, size_t size);
WEFT_API weft_result_t weft_history(weft_comm_t comm, char* text, size_t size);
/* What the job of this communicator runs on, hosts, ports, rails, planes and switches, as a fabric
 * file that `weft` simulates on; the same text at all ranks. `needed`, where not NULL: the bytes
 * that `text` must hold; with text NULL nothing else is done. */
WEFT_API weft_result_t weft_comm_fabric(weft_comm_t comm, char* text, size_t size, size_t* needed);

typedef struct {
    size_t size; /* sizeof(weft_counters_t) */
    uint64_t operations;
    uint64_t failed;
    uint64_t bytes;  /* nccl-tests totals */
    uint64_t shared; /* operations through shared memory, without messages */
} weft_counters_t;
WEFT_API weft_result_t weft_counters(weft_comm_t comm, weft_counters_t* counters);

#ifdef __cplusplus
}
#endif
#endif
