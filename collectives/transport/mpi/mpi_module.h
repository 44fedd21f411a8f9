/* mpi_module.h: what the mpi transport needs of an MPI library, as a table of C functions in a
 * module of its own (libweft-mpi.so), loaded when it is asked for: the library itself knows no MPI.
 * Functions return 0 for "well", and otherwise leave one line in weft_mpi_last_error's buffer. MPI
 * is the program's: initialised with MPI_THREAD_SERIALIZED at least, and MPI_THREAD_MULTIPLE where
 * the program uses MPI itself at the same time. Where the program has not initialised it, ready()
 * does, and it is finalised when the process exits. */
#ifndef WEFT_MPI_MODULE_H
#define WEFT_MPI_MODULE_H

#include <stddef.h>
#include <stdint.h>

#define WEFT_MPI_MODULE_VERSION 1

typedef struct weft_mpi_world weft_mpi_world;
typedef struct weft_mpi_request weft_mpi_request;

typedef struct {
    uint32_t version; /* WEFT_MPI_MODULE_VERSION */
    /* Of this thread's last failure; one line. */
    const char* (*last_error)(void);
    /* Initialises MPI if nobody has; not well: it is for one thread only, or over. */
    int (*ready)(void);
    /* This process's number among all of the MPI job. */
    int (*rank)(void);
    /* A context of its own for the given processes of the job, in this order; all call it. */
    weft_mpi_world* (*join)(const int* ranks, int count);
    /* The same for threads of this process: thread t receives at slot first + t. */
    weft_mpi_world* (*join_threads)(int first, int thread);
    void (*leave)(weft_mpi_world* world);
    /* `to` counts in the order of join(), or is a thread. Bytes stay in place until finished(). */
    weft_mpi_request* (*send)(weft_mpi_world* world, int to, const void* data, size_t size);
    /* A message that has come: 1 and where to, with its size; 0: none; -1: an error. */
    int (*probe)(weft_mpi_world* world, int* from, size_t* size);
    /* The message that probe() found lands in `data`. */
    weft_mpi_request* (*receive)(weft_mpi_world* world, void* data);
    /* 1: it is, and the request is gone; 0: not yet; -1: an error, and it is gone. */
    int (*finished)(weft_mpi_request* request);
} weft_mpi_module;

/* The one symbol of the module. */
typedef const weft_mpi_module* (*weft_mpi_module_fn)(void);
#define WEFT_MPI_MODULE_SYMBOL "weft_mpi_module_v1"

#endif
