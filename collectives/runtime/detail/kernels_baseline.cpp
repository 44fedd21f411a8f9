// SSE2 on x86-64, Neon on aarch64: what the compiler makes of 16-byte vectors.
#include "collectives/runtime/detail/kernel_body.hpp"

namespace weft::live::detail {

KernelLevel baseline_kernels() {
    return {"baseline", reduce_all, reduce_scaled_all, scale_all, divide_all, copy_past};
}

}  // namespace weft::live::detail
