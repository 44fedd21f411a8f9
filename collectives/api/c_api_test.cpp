// weft.h as a program sees it: ranks as threads, each with a communicator of its own.
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
#include <weft.h>
#include <weft_gpu.h>

#include "collectives/transport/rank_threads.hpp"

namespace {

void require(bool ok, const std::string& what) {
    if (!ok) throw std::runtime_error(what + ": " + weft_last_error());
}
void good(weft_result_t r, const char* what) {
    require(r == WEFT_SUCCESS, what);
}

/// Runs body at every rank of a world that meets at a TCP store.
void in_world(int ranks, const std::function<void(weft_comm_t)>& body) {
    weft_unique_id_t id;
    REQUIRE(weft_get_unique_id(&id, nullptr) == WEFT_SUCCESS);
    char text[WEFT_ID_TEXT];
    REQUIRE(weft_unique_id_to_text(&id, text, sizeof text) == WEFT_SUCCESS);
    weft::live::run_ranks(static_cast<std::uint32_t>(ranks), [&](std::uint32_t r) {
        weft_unique_id_t own;
        good(weft_unique_id_from_text(&own, text), "text");
        weft_options_t options{};
        options.size = sizeof options;
        options.patience_seconds = 20;
        options.transport = "shm";
        weft_comm_t comm = nullptr;
        good(weft_comm_init(&comm, ranks, own, static_cast<int>(r), &options), "init");
        body(comm);
        good(weft_comm_finalize(comm), "finalize");
    });
}

TEST_CASE("collectives through the C functions, blocking and not", "[unit]") {
    in_world(3, [](weft_comm_t comm) {
        const int rank = weft_comm_rank(comm);
        require(weft_comm_size(comm) == 3 && weft_comm_status(comm) == WEFT_SUCCESS, "size");
        for (const std::size_t n : {5UL, 50'000UL}) {
            std::vector<double> in(3 * n, rank + 1.0);
            std::vector<double> out(3 * n);
            const auto twice = [&](auto call, double first, const char* what) {
                std::fill(out.begin(), out.end(), -1.0);
                good(call(nullptr), what);
                require(out[0] == first, what);
                std::fill(out.begin(), out.end(), -1.0);
                weft_request_t request = nullptr;
                good(call(&request), what);
                good(weft_wait(request, -1), what);
                good(weft_test(request), what);
                good(weft_request_free(request), what);
                require(out[0] == first, what);
            };
            const auto* i = in.data();
            auto* o = out.data();
            const double third = 1.0 / 3;
            twice(
                [&](weft_request_t* q) {
                    return weft_allreduce(i, o, n, WEFT_FLOAT64, WEFT_SUM, comm, q);
                },
                6, "allreduce");
            twice(
                [&](weft_request_t* q) {
                    return weft_allreduce_scaled(i, o, n, WEFT_FLOAT64, &third, comm, q);
                },
                third + 2 * third + 1, "scaled");
            twice(
                [&](weft_request_t* q) {
                    return weft_reduce_scatter(i, o, n, WEFT_FLOAT64, WEFT_MAX, comm, q);
                },
                3, "reduce_scatter");
            twice([&](weft_request_t* q) { return weft_allgather(i, o, n, WEFT_FLOAT64, comm, q); },
                  1, "allgather");
            twice([&](weft_request_t* q) { return weft_alltoall(i, o, n, WEFT_FLOAT64, comm, q); },
                  1, "alltoall");
            twice(
                [&](weft_request_t* q) {
                    return weft_broadcast(i, o, n, WEFT_FLOAT64, 2, comm, q);
                },
                3, "broadcast");
            // At the root; the others' output stays.
            const auto at_root = [&](int root, double x) { return rank == root ? x : -1; };
            twice(
                [&](weft_request_t* q) {
                    return weft_reduce(i, o, n, WEFT_FLOAT64, WEFT_PROD, 1, comm, q);
                },
                at_root(1, 6), "reduce");
            twice(
                [&](weft_request_t* q) {
                    return weft_reduce_scaled(i, rank == 2 ? o : nullptr, n, WEFT_FLOAT64, &third,
                                              2, comm, q);
                },
                at_root(2, third + 2 * third + 1), "reduce scaled");
            twice([&](weft_request_t* q) { return weft_gather(i, o, n, WEFT_FLOAT64, 2, comm, q); },
                  at_root(2, 1), "gather");
            twice(
                [&](weft_request_t* q) {
                    return weft_scatter(rank == 1 ? i : nullptr, o, n, WEFT_FLOAT64, 1, comm, q);
                },
                2, "scatter");
        }
        good(weft_barrier(comm), "barrier");
    });
}

TEST_CASE("messages between pairs, alone and in groups, through the C functions", "[unit]") {
    in_world(3, [](weft_comm_t comm) {
        const int rank = weft_comm_rank(comm);
        const int next = (rank + 1) % 3;
        const int before = (rank + 2) % 3;
        std::vector<double> mine(40'000, rank);
        std::vector<double> theirs(mine.size(), -1);
        std::vector<double> own(3, -1);
        const auto send = [&](std::size_t n, int peer, weft_request_t* q) {
            return weft_send(mine.data(), n, WEFT_FLOAT64, peer, comm, q);
        };
        const auto recv = [&](std::vector<double>& to, std::size_t n, int peer, weft_request_t* q) {
            return weft_recv(to.data(), n, WEFT_FLOAT64, peer, comm, q);
        };
        // One after the other, as whoever has no group must.
        if (rank == 0) good(send(5, 1, nullptr), "send");
        if (rank == 1) good(recv(theirs, 5, 0, nullptr), "recv");
        require(rank != 1 || theirs[4] == 0, "alone");
        // A ring, and to oneself, blocking and not; groups within groups are one.
        for (const bool waits : {true, false}) {
            std::fill(theirs.begin(), theirs.end(), -1.0);
            good(weft_group_start(), "start");
            good(send(mine.size(), next, nullptr), "noted");
            good(weft_group_start(), "inner");
            good(recv(own, 3, rank, nullptr), "noted");
            good(send(3, rank, nullptr), "noted");
            weft_request_t request = nullptr;
            require(weft_group_end(&request) == WEFT_INVALID_ARGUMENT, "of the outermost");
            good(weft_group_end(nullptr), "inner");
            good(recv(theirs, mine.size(), before, nullptr), "noted");
            require(send(1, next, &request) == WEFT_INVALID_ARGUMENT, "no request in a group");
            require(theirs[0] == -1, "nothing yet");
            good(weft_group_end(waits ? nullptr : &request), "end");
            if (!waits) {
                good(weft_wait(request, -1), "wait");
                good(weft_request_free(request), "free");
            }
            require(theirs.back() == before && own[2] == rank, "arrived");
        }
        weft_request_t sent = nullptr;
        weft_request_t came = nullptr;
        good(send(0, next, &sent), "nothing, not waiting");
        good(recv(theirs, 0, before, &came), "nothing, not waiting");
        good(weft_wait(came, -1), "wait");
        good(weft_wait(sent, -1), "wait");
        good(weft_request_free(came), "free");
        good(weft_request_free(sent), "free");
        require(weft_group_end(nullptr) == WEFT_INVALID_ARGUMENT, "no group");
        require(send(1, 3, nullptr) == WEFT_INVALID_ARGUMENT, "no such rank");
        require(send(1, -1, nullptr) == WEFT_INVALID_ARGUMENT, "no rank");
        require(send(1, rank, nullptr) == WEFT_INVALID_ARGUMENT, "alone to oneself");
        good(weft_group_start(), "start");
        weft_request_t nothing = nullptr;
        good(weft_group_end(&nothing), "an empty group");
        good(weft_test(nothing), "is done");
        good(weft_request_free(nothing), "free");
        good(weft_barrier(comm), "barrier");
    });
}

TEST_CASE("groups, decisions and counters through the C functions", "[unit]") {
    in_world(2, [](weft_comm_t comm) {
        weft_comm_t half = nullptr;
        good(weft_comm_split(comm, weft_comm_rank(comm), 0, &half), "split");
        require(weft_comm_size(half) == 1, "alone");
        std::vector<float> data(100'000, 1);
        good(weft_allreduce(data.data(), data.data(), data.size(), WEFT_FLOAT32, WEFT_SUM, comm,
                            nullptr),
             "in place");
        require(data[5] == 2, "the sum");
        char text[512];
        good(weft_explain_allreduce(comm, data.size(), WEFT_FLOAT32, text, sizeof text), "explain");
        require(std::strstr(text, "shared memory, one shot") == text, text);
        require(weft_explain_allreduce(comm, 1, WEFT_FLOAT32, text, 3) == WEFT_INVALID_ARGUMENT,
                "a text that does not fit");
        char history[65536];
        good(weft_history(comm, history, sizeof history), "history");
        require(history[0] == '[' && std::strstr(history, "\"bytes\": 400000") != nullptr, history);
        size_t needed = 0;
        good(weft_comm_fabric(comm, nullptr, 0, &needed), "the size of the fabric");
        std::vector<char> fabric(needed);
        good(weft_comm_fabric(half, fabric.data(), fabric.size(), nullptr), "the fabric");
        require(std::strstr(fabric.data(), "name: discovered") != nullptr, fabric.data());
        require(std::strlen(fabric.data()) + 1 == needed, "all of it");
        require(weft_comm_fabric(comm, fabric.data(), needed - 1, nullptr) == WEFT_INVALID_ARGUMENT,
                "a fabric that does not fit");
        weft_counters_t counters{};
        counters.size = sizeof counters;
        good(weft_counters(comm, &counters), "counters");
        require(counters.operations == 2 && counters.shared == 2 && counters.failed == 0,
                "counted");
        good(weft_comm_finalize(half), "finalize");
        // Broken on purpose, it says so, and what lives goes on.
        good(weft_comm_revoke(comm), "revoke");
        require(weft_barrier(comm) == WEFT_FAILED, "revoked");
        require(std::strstr(weft_last_error(), "revoked") != nullptr, "says so");
        require(weft_comm_status(comm) == WEFT_FAILED, "stays so");
        weft_comm_t again = nullptr;
        good(weft_comm_shrink(comm, &again), "shrink");
        good(weft_barrier(again), "barrier");
        good(weft_comm_finalize(again), "finalize");
    });
}

TEST_CASE("a Plan of one's own through the C functions", "[unit]") {
    in_world(2, [](weft_comm_t comm) {
        std::vector<float> data(50'000, 1);
        char text[512];
        good(weft_plan_load(comm, "allreduce/ring channels=2 slice=8KiB", 1, SIZE_MAX), "load");
        good(weft_explain_allreduce(comm, data.size(), WEFT_FLOAT32, text, sizeof text), "explain");
        require(std::strstr(text, "allreduce/ring, 2 channels, slices of 8 KiB") == text, text);
        good(weft_allreduce(data.data(), data.data(), data.size(), WEFT_FLOAT32, WEFT_SUM, comm,
                            nullptr),
             "in place");
        require(data[7] == 2, "the sum");
        require(weft_plan_load(comm, "allreduce/rong", 0, SIZE_MAX) == WEFT_INVALID_ARGUMENT,
                "a name that nobody has");
        require(std::strstr(weft_last_error(), "ring") != nullptr, "suggests");
        good(weft_plan_unload(comm), "unload");
        good(weft_explain_allreduce(comm, data.size(), WEFT_FLOAT32, text, sizeof text), "explain");
        require(std::strstr(text, "shared memory") == text, text);
    });
}

TEST_CASE("what has shrunk grows again", "[unit]") {
    in_world(3, [](weft_comm_t comm) {
        good(weft_barrier(comm), "barrier");
        if (weft_comm_rank(comm) == 1) return;  // it leaves
        (void)weft_comm_revoke(comm);
        weft_comm_t small = nullptr;
        good(weft_comm_shrink(comm, &small), "shrink");
        require(weft_comm_size(small) == 2, "two are left");
        weft_unique_id_t id{};
        const bool first = weft_comm_rank(small) == 0;
        if (first) good(weft_get_unique_id(&id, nullptr), "id");
        good(weft_broadcast(&id, &id, sizeof id, WEFT_UINT8, 0, small, nullptr), "broadcast");
        std::thread newcomer;
        if (first)
            newcomer = std::thread([id] {
                weft_options_t options{};
                options.size = sizeof options;
                options.transport = "shm";
                weft_comm_t comm = nullptr;
                if (weft_comm_init(&comm, 3, id, 2, &options) != WEFT_SUCCESS) return;
                (void)weft_barrier(comm);
                (void)weft_comm_finalize(comm);
            });
        weft_comm_t more = nullptr;
        const weft_result_t grown = weft_comm_grow(small, 3, id, &more);
        const weft_result_t met = grown == WEFT_SUCCESS ? weft_barrier(more) : grown;
        if (newcomer.joinable()) newcomer.join();
        good(grown, "grow");
        good(met, "barrier of three");
        require(weft_comm_size(more) == 3, "three again");
        good(weft_comm_finalize(more), "finalize");
        good(weft_comm_finalize(small), "finalize");
    });
}

TEST_CASE("what makes no sense is refused in words", "[unit]") {
    weft_unique_id_t id{};
    CHECK(weft_unique_id_from_text(&id, "not an id") == WEFT_INVALID_ARGUMENT);
    CHECK(weft_unique_id_from_text(nullptr, nullptr) == WEFT_INVALID_ARGUMENT);
    CHECK(std::strlen(weft_last_error()) > 0);
    weft_comm_t comm = nullptr;
    CHECK(weft_comm_init(&comm, 0, id, 0, nullptr) == WEFT_INVALID_ARGUMENT);
    CHECK(weft_comm_init(&comm, 2, id, 2, nullptr) == WEFT_INVALID_ARGUMENT);
    CHECK(weft_comm_init(nullptr, 2, id, 0, nullptr) == WEFT_INVALID_ARGUMENT);
    weft_options_t options{};
    options.size = sizeof options;
    options.transport = "pigeon";
    CHECK(weft_comm_init(&comm, 1, id, 0, &options) == WEFT_INVALID_ARGUMENT);
    CHECK_THAT(weft_last_error(), Catch::Contains("pigeon") && Catch::Contains("shm"));
    CHECK(weft_barrier(nullptr) == WEFT_INVALID_ARGUMENT);
    CHECK(weft_wait(nullptr, 0) == WEFT_INVALID_ARGUMENT);
    CHECK(weft_comm_rank(nullptr) == -1);
    CHECK(std::string(weft_result_name(WEFT_TIMED_OUT)) == "timed out");
    CHECK(std::string(weft_version()) == "0.1.0");

    in_world(1, [](weft_comm_t alone) {
        float x = 1;
        require(weft_allreduce(nullptr, &x, 1, WEFT_FLOAT32, WEFT_SUM, alone, nullptr) ==
                    WEFT_INVALID_ARGUMENT,
                "a null input");
        require(weft_allreduce(&x, &x, 1, static_cast<weft_datatype_t>(15), WEFT_SUM, alone,
                               nullptr) == WEFT_INVALID_ARGUMENT,
                "a type that is none");
        require(weft_allreduce(&x, &x, 1, WEFT_FLOAT32, static_cast<weft_op_t>(7), alone,
                               nullptr) == WEFT_INVALID_ARGUMENT,
                "an op that is none");
        require(
            weft_broadcast(&x, &x, 1, WEFT_FLOAT32, -1, alone, nullptr) == WEFT_INVALID_ARGUMENT,
            "a root that is none");
        require(weft_gather(&x, &x, 1, WEFT_FLOAT32, 1, alone, nullptr) == WEFT_INVALID_ARGUMENT,
                "a root beyond the ranks");
        good(weft_allreduce(&x, &x, 1, WEFT_FLOAT32, WEFT_SUM, alone, nullptr), "and goes on");
    });
}

TEST_CASE("a collective on a stream needs a GPU, and says so where none is", "[unit]") {
    // Or, where there is a driver, a thread that has chosen one: this one has not.
    in_world(1, [](weft_comm_t alone) {
        float x = 1;
        require(weft_allreduce_on(&x, &x, 1, WEFT_FLOAT32, WEFT_SUM, alone, nullptr) == WEFT_FAILED,
                "an error");
        const std::string why = weft_last_error();
        require(why.find("GPU") != why.npos || why.find("CUDA") != why.npos, "the reason");
        good(weft_allreduce(&x, &x, 1, WEFT_FLOAT32, WEFT_SUM, alone, nullptr), "and goes on");
    });
}

TEST_CASE("a wait that is over leaves the operation under way", "[unit]") {
    in_world(2, [](weft_comm_t comm) {
        std::vector<float> data(50'000, 1);
        if (weft_comm_rank(comm) == 1) {
            good(weft_barrier(comm), "barrier");  // both are here
            weft_request_t request = nullptr;
            good(weft_allreduce(data.data(), data.data(), data.size(), WEFT_FLOAT32, WEFT_SUM, comm,
                                &request),
                 "start");
            const weft_result_t early = weft_wait(request, 0.02);
            require(early == WEFT_TIMED_OUT, "not yet");
            require(weft_request_free(request) == WEFT_INVALID_ARGUMENT, "not while under way");
            good(weft_barrier(comm), "barrier");
            good(weft_wait(request, -1), "wait");
            good(weft_request_free(request), "free");
            return;
        }
        good(weft_barrier(comm), "barrier");
        // The other's first wait is over long before this begins.
        struct timespec pause = {0, 200'000'000};
        nanosleep(&pause, nullptr);
        weft_request_t request = nullptr;
        good(weft_allreduce(data.data(), data.data(), data.size(), WEFT_FLOAT32, WEFT_SUM, comm,
                            &request),
             "start");
        good(weft_barrier(comm), "barrier");
        good(weft_wait(request, -1), "wait");
        good(weft_request_free(request), "free");
        require(data[0] == 2, "the sum");
    });
}

}  // namespace
