#pragma once
// What a loop that waits for another core does between two looks: lets the other hyperthread, and
// the memory that it looks at, have a moment.

namespace weft::live {

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

}  // namespace weft::live
