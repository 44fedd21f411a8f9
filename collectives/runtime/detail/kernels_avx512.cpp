// Compiled with AVX-512 F, BW, VL and DQ.
#include "collectives/runtime/detail/kernel_body.hpp"

namespace weft::live::detail {

KernelLevel avx512_kernels() {
    return {"avx512", reduce_all, reduce_scaled_all, scale_all, divide_all, copy_past};
}

}  // namespace weft::live::detail
