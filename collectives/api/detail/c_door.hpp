#pragma once
// What the sources of libweft.so's C functions share: handles, codes, exceptions turned into
// results.
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <weft.h>

#include "collectives/api/comm.hpp"

struct weft_comm {
    std::shared_ptr<weft::live::World> world;
    std::unique_ptr<weft::live::Comm> comm;
    std::shared_ptr<void> on_streams;  // collectives/gpu; ends first
};

namespace weft::live::c {

/// Of this thread's last failure.
std::string& last_error();
weft_result_t fail(weft_result_t result, std::string why);
weft_result_t fail(const LiveError& e);
weft_result_t of(const Status& s);
[[noreturn]] void refuse(const char* key, const std::string& found, const char* expected);
[[nodiscard]] DataType to_type(weft_datatype_t type);
[[nodiscard]] weft_comm& at(weft_comm_t comm);

/// What the functions of one collective share, whoever runs it. ConfigError for codes that are
/// none.
[[nodiscard]] CollectiveCall exchange(Collective collective, const void* input, void* output,
                                      std::uint64_t count, weft_datatype_t type);
[[nodiscard]] CollectiveCall reduction(Collective collective, const void* input, void* output,
                                       std::uint64_t count, weft_datatype_t type, weft_op_t op);
/// Sums factor * input.
[[nodiscard]] CollectiveCall scaled_sum(Collective collective, const void* input, void* output,
                                        std::uint64_t count, weft_datatype_t type,
                                        const void* factor);
/// The call, with that root.
[[nodiscard]] CollectiveCall at_root(CollectiveCall call, int root);
[[nodiscard]] CollectiveCall broadcast(const void* input, void* output, std::uint64_t count,
                                       weft_datatype_t type, int root);

/// Calls f; what it throws becomes a result.
template <class F>
weft_result_t guarded(F f) {
    try {
        return f();
    } catch (const ConfigError& e) {
        return fail(WEFT_INVALID_ARGUMENT, e.what());
    } catch (const std::exception& e) {
        return fail(WEFT_INTERNAL_ERROR, e.what());
    } catch (...) {
        return fail(WEFT_INTERNAL_ERROR, "an exception of no known type");
    }
}

}  // namespace weft::live::c
