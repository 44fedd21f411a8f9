#pragma once
// What Weft needs of a GPU: memory, streams, events, and words in host memory that a stream waits
// for. An interface, so that one program runs with and without a GPU: CUDA's driver is loaded when
// a call first needs it (cuda.cpp), and tests put a machine of their own behind it. Everything but
// allocation only queues. Functions throw GpuError.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "base/result.hpp"

namespace weft::live {

class GpuError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

class Gpu {
  public:
    using Stream = void*;  // CUstream
    using Event = void*;   // CUevent
    using Function = void (*)(void*);

    /// Rows of `width` bytes from memory of any kind to memory of any kind.
    struct Rows {
        const void* from = nullptr;
        std::size_t from_pitch = 0;
        void* to = nullptr;
        std::size_t to_pitch = 0;
        std::size_t width = 0;
        std::size_t rows = 0;
    };

    virtual ~Gpu() = default;
    /// The context in which the calling thread works; throws when it has none.
    [[nodiscard]] virtual void* context() = 0;
    [[nodiscard]] virtual Stream make_stream() = 0;
    virtual void destroy_stream(Stream stream) = 0;
    [[nodiscard]] virtual Event make_event() = 0;
    virtual void destroy_event(Event event) = 0;
    virtual void record(Event event, Stream stream) = 0;
    virtual void wait(Stream stream, Event event) = 0;
    virtual void copy(Stream stream, const Rows& rows) = 0;
    /// On a thread of the driver, in the stream's order; it must not call the GPU.
    virtual void call(Stream stream, Function function, void* argument) = 0;
    /// The stream waits until the word, in pinned memory, is 1; then it sets it to 0.
    virtual void take_word(Stream stream, std::uint32_t* word) = 0;
    /// What is captured into a graph has a number; 0: the stream is not being captured.
    [[nodiscard]] virtual std::uint64_t capture(Stream stream) = 0;
    /// Host memory that the GPU reads and writes in place, zeroed.
    [[nodiscard]] virtual std::byte* allocate_pinned(std::size_t size) = 0;
    virtual void free_pinned(std::byte* memory) = 0;
};

/// CUDA's driver of this machine; the error is one line that says why there is none.
[[nodiscard]] Outcome<std::shared_ptr<Gpu>> load_cuda();

}  // namespace weft::live
