#pragma once
// One function per translation unit that includes kernel_body.hpp.
#include "collectives/runtime/kernels.hpp"

namespace weft::live::detail {

KernelLevel baseline_kernels();
#if defined(__x86_64__)
KernelLevel avx2_kernels();
KernelLevel avx512_kernels();
KernelLevel avx512fp16_kernels();
#endif

}  // namespace weft::live::detail
