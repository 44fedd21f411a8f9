#include "collectives/runtime/buffers.hpp"

#include "base/check.hpp"

namespace weft::live {

bool is_in_place(const PlanTemplate& plan, const Binding& b, std::uint32_t rank,
                 const UserBuffers& user) {
    const auto* input = static_cast<const std::byte*>(user.input);
    const auto* output = static_cast<const std::byte*>(user.output);
    const std::uint64_t block = b.count * rank * b.element_size;
    for (const Buffer which : {Buffer::kInput, Buffer::kOutput})
        if (!provides(plan.collective, which, rank, plan.root, plan.n)) return false;
    if (own_block(plan.collective, Buffer::kInput)) return input == output + block;
    if (own_block(plan.collective, Buffer::kOutput)) return output == input + block;
    return input == output;
}

Buffers::Buffers(Endpoint& endpoint, const PlanTemplate& plan, const Binding& b, std::uint32_t rank,
                 const UserBuffers& user, std::vector<std::byte>& scratch)
    : endpoint_(endpoint), element_size_(b.element_size) {
    const std::size_t needed = buffer_elements(plan, b, Buffer::kScratch, rank) * element_size_;
    if (scratch.size() < needed) scratch.resize(needed);
    // The runtime never writes to the input; a region has one kind of pointer.
    auto* input = static_cast<std::byte*>(const_cast<void*>(user.input));
    const std::array data{input, static_cast<std::byte*>(user.output), scratch.data()};
    for (const Buffer which : {Buffer::kInput, Buffer::kOutput, Buffer::kScratch}) {
        const auto i = static_cast<std::size_t>(which);
        Memory& m = memory_[i];
        m = {data[i], buffer_elements(plan, b, which, rank), 0};
        m.region = endpoint_.register_region({m.data, m.elements * element_size_});
    }
}

Buffers::~Buffers() {
    for (const Memory& m : memory_) endpoint_.deregister_region(m.region);
}

Segment Buffers::at(Buffer buffer, const ElementRange& range) const {
    const Memory& m = memory_[static_cast<std::size_t>(buffer)];
    WEFT_CHECK(range.end <= m.elements, "elements {}..{} of a buffer of {}", range.begin, range.end,
               m.elements);
    return {m.region, m.data + range.begin * element_size_, range.size() * element_size_};
}

}  // namespace weft::live
