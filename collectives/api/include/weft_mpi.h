/* weft_mpi.h: a communicator of weft.h for the processes of an MPI communicator. A header alone:
 * libweft itself knows no MPI.
 *
 *     MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
 *     weft_comm_init_mpi(&comm, MPI_COMM_WORLD, NULL, NULL);
 *     ...
 *     weft_comm_finalize(comm);
 *     MPI_Finalize();
 *
 * Data go over shared memory and TCP, as options say; with transport "mpi" over MPI's own messages.
 */
#ifndef WEFT_MPI_H
#define WEFT_MPI_H

#include <mpi.h>

#include "weft.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Collective over `mpi`: rank 0 serves the meeting at `address` ("10.0.0.1"; NULL: the loopback
 * address, for processes of one host). Ranks are those of `mpi`. */
static inline weft_result_t weft_comm_init_mpi(weft_comm_t* comm, MPI_Comm mpi, const char* address,
                                               const weft_options_t* options) {
    struct {
        weft_unique_id_t id;
        int result;
    } from0;
    int rank = 0;
    int ranks = 0;
    if (MPI_Comm_rank(mpi, &rank) != MPI_SUCCESS || MPI_Comm_size(mpi, &ranks) != MPI_SUCCESS)
        return WEFT_INVALID_ARGUMENT;
    from0.result = WEFT_SUCCESS;
    if (rank == 0) {
        weft_store_options_t store = {sizeof(weft_store_options_t), 0, 0, 0, 0};
        store.address = address;
        from0.result = (int)weft_get_unique_id(&from0.id, &store);
    }
    if (MPI_Bcast(&from0, (int)sizeof from0, MPI_BYTE, 0, mpi) != MPI_SUCCESS) return WEFT_FAILED;
    if (from0.result != WEFT_SUCCESS) return (weft_result_t)from0.result;
    return weft_comm_init(comm, ranks, from0.id, rank, options);
}

#ifdef __cplusplus
}
#endif
#endif
