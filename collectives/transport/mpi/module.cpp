// libweft-mpi.so: the functions of mpi_module.h over the MPI library that it is built with. All
// messages of a world have one tag per receiver; MPI keeps those of one sender in order.
#include <cstdio>
#include <cstdlib>
#include <mpi.h>
#include <mutex>
#include <vector>

#include "collectives/transport/mpi/mpi_module.h"

struct weft_mpi_world {
    MPI_Comm comm = MPI_COMM_NULL;
    bool threads = false;  // of one process
    int first = 0;
    int tag = 0;
    MPI_Message found = MPI_MESSAGE_NULL;
    int found_size = 0;
};
struct weft_mpi_request {
    MPI_Request request = MPI_REQUEST_NULL;
};

namespace {

// Of the group's creation: two worlds of one process are made one after the other.
constexpr int kJoinTag = 0x5746;

thread_local char last_error[MPI_MAX_ERROR_STRING + 128];

bool well(int code, const char* what) {
    if (code == MPI_SUCCESS) return true;
    char words[MPI_MAX_ERROR_STRING] = {};
    int length = 0;
    MPI_Error_string(code, words, &length);
    std::snprintf(last_error, sizeof last_error, "%s: %s", what, words);
    return false;
}

void finalize() {
    int over = 0;
    MPI_Finalized(&over);
    if (over == 0) MPI_Finalize();
}

int ready() {
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    int begun = 0;
    int over = 0;
    MPI_Initialized(&begun);
    MPI_Finalized(&over);
    int level = MPI_THREAD_SINGLE;
    if (begun == 0) {
        if (!well(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &level),
                  "MPI_Init_thread"))
            return -1;
        std::atexit(finalize);
    }
    if (over == 0) MPI_Query_thread(&level);
    if (over == 0 && level >= MPI_THREAD_SERIALIZED) return 0;
    std::snprintf(last_error, sizeof last_error, "MPI %s",
                  over != 0 ? "is finalised already"
                            : "was initialised for one thread: ask MPI_Init_thread for "
                              "MPI_THREAD_MULTIPLE");
    return -1;
}

int rank() {
    int r = -1;
    MPI_Comm_rank(MPI_COMM_WORLD, &r);
    return r;
}

weft_mpi_world* join(const int* ranks, int count) {
    MPI_Group all = MPI_GROUP_NULL;
    MPI_Group ours = MPI_GROUP_NULL;
    auto* world = new weft_mpi_world;
    bool ok = well(MPI_Comm_group(MPI_COMM_WORLD, &all), "MPI_Comm_group");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    ok = ok && well(MPI_Group_incl(all, count, ranks, &ours), "MPI_Group_incl");
    ok = ok && well(MPI_Comm_create_group(MPI_COMM_WORLD, ours, kJoinTag, &world->comm),
                    "MPI_Comm_create_group");
    if (ours != MPI_GROUP_NULL) MPI_Group_free(&ours);
    if (all != MPI_GROUP_NULL) MPI_Group_free(&all);
    if (ok) MPI_Comm_set_errhandler(world->comm, MPI_ERRORS_RETURN);
    if (ok) return world;
    delete world;
    return nullptr;
}

weft_mpi_world* join_threads(int first, int thread) {
    // Not a duplicate: that would be collective, and threads come one by one.
    auto* world = new weft_mpi_world;
    world->comm = MPI_COMM_SELF;
    world->threads = true;
    world->first = first;
    world->tag = first + thread;
    return world;
}

void leave(weft_mpi_world* world) {
    int over = 0;
    MPI_Finalized(&over);
    // Not MPI_Comm_free: it is collective, and others may be dead.
    if (over == 0 && world->found != MPI_MESSAGE_NULL) {
        std::vector<char> bytes(static_cast<std::size_t>(world->found_size));
        MPI_Mrecv(bytes.data(), world->found_size, MPI_BYTE, &world->found, MPI_STATUS_IGNORE);
    }
    delete world;
}

weft_mpi_request* send(weft_mpi_world* world, int to, const void* data, size_t size) {
    auto* r = new weft_mpi_request;
    const int peer = world->threads ? 0 : to;
    const int tag = world->threads ? world->first + to : 0;
    if (well(MPI_Isend(data, static_cast<int>(size), MPI_BYTE, peer, tag, world->comm, &r->request),
             "MPI_Isend"))
        return r;
    delete r;
    return nullptr;
}

int probe(weft_mpi_world* world, int* from, size_t* size) {
    int there = 0;
    MPI_Status status;
    if (!well(MPI_Improbe(world->threads ? 0 : MPI_ANY_SOURCE, world->tag, world->comm, &there,
                          &world->found, &status),
              "MPI_Improbe"))
        return -1;
    if (there == 0) return 0;
    if (!well(MPI_Get_count(&status, MPI_BYTE, &world->found_size), "MPI_Get_count")) return -1;
    *from = world->threads ? -1 : status.MPI_SOURCE;
    *size = static_cast<size_t>(world->found_size);
    return 1;
}

weft_mpi_request* receive(weft_mpi_world* world, void* data) {
    auto* r = new weft_mpi_request;
    if (well(MPI_Imrecv(data, world->found_size, MPI_BYTE, &world->found, &r->request),
             "MPI_Imrecv"))
        return r;
    delete r;
    return nullptr;
}

int finished(weft_mpi_request* r) {
    int done = 0;
    if (!well(MPI_Test(&r->request, &done, MPI_STATUS_IGNORE), "MPI_Test")) done = -1;
    if (done != 0) delete r;
    return done;
}

constexpr weft_mpi_module kModule{WEFT_MPI_MODULE_VERSION,
                                  [] { return static_cast<const char*>(last_error); },
                                  ready,
                                  rank,
                                  join,
                                  join_threads,
                                  leave,
                                  send,
                                  probe,
                                  receive,
                                  finished};

}  // namespace

extern "C" __attribute__((visibility("default"))) const weft_mpi_module* weft_mpi_module_v1() {
    return &kModule;
}
