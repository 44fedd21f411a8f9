#pragma once
// CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected; RFC 3720 appendix B.4), for headers and,
// when asked for, payloads. Uses the processor's instruction where there is one (x86 SSE4.2, Arm
// CRC), three streams at a time on x86; otherwise tables, 8 bytes a step.
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft::live::tcp {

/// Continues `crc` (0 to begin with) over more bytes.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0);
/// The same by tables alone, on every machine.
[[nodiscard]] std::uint32_t crc32c_by_tables(std::span<const std::byte> bytes,
                                             std::uint32_t crc = 0);

}  // namespace weft::live::tcp
