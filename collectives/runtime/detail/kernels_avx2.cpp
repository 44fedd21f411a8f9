// Compiled with -mavx2 -mf16c.
#include "collectives/runtime/detail/kernel_body.hpp"

namespace weft::live::detail {

KernelLevel avx2_kernels() {
    return {"avx2", reduce_all, reduce_scaled_all, scale_all, divide_all, copy_past};
}

}  // namespace weft::live::detail
