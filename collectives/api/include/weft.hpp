#pragma once
// weft.hpp: weft.h for C++: errors are exceptions, handles end themselves. Header only; needs
// C++17.
//
//     weft::UniqueId id = weft::UniqueId::make();              // rank 0; text() carries it
//     weft::Communicator comm(ranks, id, rank);
//     comm.allreduce(in.data(), out.data(), in.size(), WEFT_SUM);
#include <stdexcept>
#include <string>
#include <utility>
#include <weft.h>

namespace weft {

class Error : public std::runtime_error {
  public:
    Error(weft_result_t result, const std::string& what)
        : std::runtime_error(what), result_(result) {}
    [[nodiscard]] weft_result_t result() const { return result_; }

  private:
    weft_result_t result_;
};

namespace detail {
inline void check(weft_result_t result) {
    if (result != WEFT_SUCCESS) throw Error(result, weft_last_error());
}
template <class T>
struct TypeOf;
template <>
struct TypeOf<float> {
    static constexpr weft_datatype_t value = WEFT_FLOAT32;
};
template <>
struct TypeOf<double> {
    static constexpr weft_datatype_t value = WEFT_FLOAT64;
};
template <>
struct TypeOf<int8_t> {
    static constexpr weft_datatype_t value = WEFT_INT8;
};
template <>
struct TypeOf<uint8_t> {
    static constexpr weft_datatype_t value = WEFT_UINT8;
};
template <>
struct TypeOf<int32_t> {
    static constexpr weft_datatype_t value = WEFT_INT32;
};
template <>
struct TypeOf<uint32_t> {
    static constexpr weft_datatype_t value = WEFT_UINT32;
};
template <>
struct TypeOf<int64_t> {
    static constexpr weft_datatype_t value = WEFT_INT64;
};
template <>
struct TypeOf<uint64_t> {
    static constexpr weft_datatype_t value = WEFT_UINT64;
};
}  // namespace detail

class UniqueId {
  public:
    UniqueId() = default;
    static UniqueId make(const weft_store_options_t* options = nullptr) {
        UniqueId out;
        detail::check(weft_get_unique_id(&out.id_, options));
        return out;
    }
    static UniqueId from_text(const std::string& text) {
        UniqueId out;
        detail::check(weft_unique_id_from_text(&out.id_, text.c_str()));
        return out;
    }
    [[nodiscard]] std::string text() const {
        char buffer[WEFT_ID_TEXT];
        detail::check(weft_unique_id_to_text(&id_, buffer, sizeof buffer));
        return buffer;
    }
    [[nodiscard]] const weft_unique_id_t& get() const { return id_; }

  private:
    weft_unique_id_t id_{};
};

/// An operation under way; waits for it at the end of its life.
class Request {
  public:
    explicit Request(weft_request_t request) : request_(request) {}
    Request(Request&& other) noexcept : request_(std::exchange(other.request_, nullptr)) {}
    Request& operator=(Request&&) = delete;
    ~Request() {
        if (!request_) return;
        (void)weft_wait(request_, -1);
        (void)weft_request_free(request_);
    }
    [[nodiscard]] bool test() {
        const weft_result_t r = weft_test(request_);
        if (r == WEFT_IN_PROGRESS) return false;
        detail::check(r);
        return true;
    }
    void wait() { detail::check(weft_wait(request_, -1)); }
    /// False when it is not finished after so long.
    [[nodiscard]] bool wait_for(double seconds) {
        const weft_result_t r = weft_wait(request_, seconds);
        if (r == WEFT_TIMED_OUT) return false;
        detail::check(r);
        return true;
    }

  private:
    weft_request_t request_;
};

class Communicator {
  public:
    Communicator(int ranks, const UniqueId& id, int rank, const weft_options_t* options = nullptr) {
        detail::check(weft_comm_init(&comm_, ranks, id.get(), rank, options));
    }
    explicit Communicator(weft_comm_t comm) : comm_(comm) {}
    Communicator(Communicator&& other) noexcept : comm_(std::exchange(other.comm_, nullptr)) {}
    Communicator& operator=(Communicator&&) = delete;
    ~Communicator() {
        if (comm_) (void)weft_comm_finalize(comm_);
    }

    [[nodiscard]] int rank() const { return weft_comm_rank(comm_); }
    [[nodiscard]] int size() const { return weft_comm_size(comm_); }
    [[nodiscard]] weft_comm_t get() const { return comm_; }
    [[nodiscard]] Communicator split(int colour, int key) {
        weft_comm_t out = nullptr;
        detail::check(weft_comm_split(comm_, colour, key, &out));
        return Communicator(out);
    }
    void load_plan(const char* plan, std::size_t least_bytes = 0,
                   std::size_t most_bytes = SIZE_MAX) {
        detail::check(weft_plan_load(comm_, plan, least_bytes, most_bytes));
    }
    void unload_plans() { detail::check(weft_plan_unload(comm_)); }
    [[nodiscard]] Communicator shrink() {
        weft_comm_t out = nullptr;
        detail::check(weft_comm_shrink(comm_, &out));
        return Communicator(out);
    }
    void barrier() { detail::check(weft_barrier(comm_)); }

    template <class T>
    void allreduce(const T* in, T* out, size_t count, weft_op_t op = WEFT_SUM) {
        detail::check(weft_allreduce(in, out, count, detail::TypeOf<T>::value, op, comm_, nullptr));
    }
    template <class T>
    [[nodiscard]] Request start_allreduce(const T* in, T* out, size_t count,
                                          weft_op_t op = WEFT_SUM) {
        weft_request_t request = nullptr;
        detail::check(
            weft_allreduce(in, out, count, detail::TypeOf<T>::value, op, comm_, &request));
        return Request(request);
    }
    template <class T>
    void allgather(const T* in, T* out, size_t count_each) {
        detail::check(
            weft_allgather(in, out, count_each, detail::TypeOf<T>::value, comm_, nullptr));
    }
    template <class T>
    void reduce_scatter(const T* in, T* out, size_t count_each, weft_op_t op = WEFT_SUM) {
        detail::check(
            weft_reduce_scatter(in, out, count_each, detail::TypeOf<T>::value, op, comm_, nullptr));
    }
    template <class T>
    void alltoall(const T* in, T* out, size_t count_each) {
        detail::check(weft_alltoall(in, out, count_each, detail::TypeOf<T>::value, comm_, nullptr));
    }
    template <class T>
    void broadcast(T* data, size_t count, int root) {
        detail::check(
            weft_broadcast(data, data, count, detail::TypeOf<T>::value, root, comm_, nullptr));
    }
    /// Blocks until the data have arrived; in a Group, returns at once.
    template <class T>
    void send(const T* data, size_t count, int peer) {
        detail::check(weft_send(data, count, detail::TypeOf<T>::value, peer, comm_, nullptr));
    }
    template <class T>
    void recv(T* data, size_t count, int peer) {
        detail::check(weft_recv(data, count, detail::TypeOf<T>::value, peer, comm_, nullptr));
    }
    template <class T>
    [[nodiscard]] Request start_send(const T* data, size_t count, int peer) {
        weft_request_t request = nullptr;
        detail::check(weft_send(data, count, detail::TypeOf<T>::value, peer, comm_, &request));
        return Request(request);
    }
    template <class T>
    [[nodiscard]] Request start_recv(T* data, size_t count, int peer) {
        weft_request_t request = nullptr;
        detail::check(weft_recv(data, count, detail::TypeOf<T>::value, peer, comm_, &request));
        return Request(request);
    }
    /// `out` may be null at other ranks than the root.
    template <class T>
    void reduce(const T* in, T* out, size_t count, int root, weft_op_t op = WEFT_SUM) {
        detail::check(
            weft_reduce(in, out, count, detail::TypeOf<T>::value, op, root, comm_, nullptr));
    }
    template <class T>
    void gather(const T* in, T* out, size_t count_each, int root) {
        detail::check(
            weft_gather(in, out, count_each, detail::TypeOf<T>::value, root, comm_, nullptr));
    }
    /// `in` may be null at other ranks than the root.
    template <class T>
    void scatter(const T* in, T* out, size_t count_each, int root) {
        detail::check(
            weft_scatter(in, out, count_each, detail::TypeOf<T>::value, root, comm_, nullptr));
    }

  private:
    weft_comm_t comm_ = nullptr;
};

/// Sends and receives of this thread become one operation:
///     weft::Group group;
///     comm.send(...);
///     comm.recv(...);
///     group.end();
/// Without end() or start() it ends with its scope, and an error is lost.
class Group {
  public:
    Group() { detail::check(weft_group_start()); }
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;
    ~Group() {
        if (!ended_) (void)weft_group_end(nullptr);
    }
    void end() {
        ended_ = true;
        detail::check(weft_group_end(nullptr));
    }
    /// Of the outermost group.
    [[nodiscard]] Request start() {
        ended_ = true;
        weft_request_t request = nullptr;
        detail::check(weft_group_end(&request));
        return Request(request);
    }

  private:
    bool ended_ = false;
};

}  // namespace weft
