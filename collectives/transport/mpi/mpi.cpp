#include "collectives/transport/mpi/mpi.hpp"

#include <atomic>
#include <dlfcn.h>
#include <fmt/format.h>

#include "collectives/transport/mpi/endpoint.hpp"
#include "collectives/transport/net/threaded_world.hpp"

namespace weft::live {

namespace {

constexpr const char* kModule = "libweft-mpi.so";
constexpr std::uint32_t kMostThreads = 1024;

Outcome<std::unique_ptr<MpiEndpoint>> make(NetControl& control, const MpiOptions& options) {
    const auto module = load_mpi();
    if (!module) return module.error();
    const weft_mpi_module& mpi = *module.value();
    if (mpi.ready() != 0)
        return LiveError{.what = mpi.last_error(), .rank = static_cast<int>(control.rank())};
    return std::unique_ptr<MpiEndpoint>(new mpi::Mailbox(control, options, mpi));
}

}  // namespace

Outcome<const weft_mpi_module*> load_mpi() {
    // Beside the library that asks, or where the loader looks. Never closed: MPI cannot be.
    void* library = ::dlopen(kModule, RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
        const char* why = ::dlerror();
        return LiveError{.what = fmt::format("no MPI: {}", why != nullptr ? why : kModule)};
    }
    const auto get = reinterpret_cast<weft_mpi_module_fn>(::dlsym(library, WEFT_MPI_MODULE_SYMBOL));
    const weft_mpi_module* module = get != nullptr ? get() : nullptr;
    if (module != nullptr && module->version == WEFT_MPI_MODULE_VERSION) return module;
    return LiveError{.what = fmt::format("no MPI: {} is of another version", kModule)};
}

Outcome<std::unique_ptr<MpiEndpoint>> make_mpi_endpoint(NetControl& control,
                                                        const MpiOptions& options) {
    return make(control, options);
}

std::unique_ptr<Transport> make_mpi(const TransportOptions& o) {
    const std::uint32_t lanes = o.rails * o.planes * o.paths;
    if (o.ranks > kMostThreads || lanes == 0)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "ranks",
                           .found = std::to_string(o.ranks),
                           .expected = fmt::format("1 to {} for transport mpi", kMostThreads),
                           .example = "8"});
    // Not those of an earlier world, whose last messages may still lie there.
    static std::atomic<int> worlds{0};
    const int first = static_cast<int>(kMostThreads) * worlds.fetch_add(1);
    const auto made = [lanes, first](NetControl& control) -> Outcome<std::unique_ptr<Endpoint>> {
        auto endpoint = make(control, {.lanes = lanes, .threads = first});
        if (!endpoint) return endpoint.error();
        WEFT_TRY(endpoint.value()->assemble());
        return std::unique_ptr<Endpoint>(std::move(endpoint.value()));
    };
    return make_threaded_world({.ranks = o.ranks, .net = {}, .make = made});
}

}  // namespace weft::live
