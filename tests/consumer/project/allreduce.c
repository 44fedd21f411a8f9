/* An all-reduce of two ranks in twenty lines of a stranger's C. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft.h>

int main(void) {
    char folder[] = "/tmp/weft-consumer-XXXXXX";
    weft_store_options_t store = {.size = sizeof store, .directory = mkdtemp(folder)};
    weft_unique_id_t id;
    if (weft_get_unique_id(&id, &store) != WEFT_SUCCESS) return puts(weft_last_error()), 1;
    const int rank = fork() == 0 ? 1 : 0;
    weft_comm_t comm;
    float in[3] = {rank + 1.0F, 10, 20}, out[3] = {0};
    if (weft_comm_init(&comm, 2, id, rank, NULL) != WEFT_SUCCESS ||
        weft_allreduce(in, out, 3, WEFT_FLOAT32, WEFT_SUM, comm, NULL) != WEFT_SUCCESS ||
        weft_comm_finalize(comm) != WEFT_SUCCESS)
        return puts(weft_last_error()), 1;
    if (rank == 1 || wait(NULL) < 0) return 0;
    printf("sum: %g %g %g\n", out[0], out[1], out[2]);
    return rmdir(folder);
}
