// Compiled with AVX-512 F, BW, VL, DQ and FP16: f16 and fp8 are added as f16.
#include "collectives/runtime/detail/kernel_body.hpp"

namespace weft::live::detail {

KernelLevel avx512fp16_kernels() {
    return {"avx512fp16", reduce_all, reduce_scaled_all, scale_all, divide_all, copy_past};
}

}  // namespace weft::live::detail
