// Gpu by CUDA's driver, loaded when the program runs: the headers give the types, nothing is
// linked.
#include "collectives/gpu/gpu.hpp"

#ifdef WEFT_CUDA

#include <cstring>
#include <cuda.h>
#include <dlfcn.h>
#include <fmt/format.h>

namespace weft::live {

namespace {

// The name under which the driver has what this version of the header calls `f`.
#define WEFT_TEXT(f) #f
#define WEFT_SYMBOL(f) WEFT_TEXT(f)

// Not by the header's prototype, which changes between versions.
using CaptureInfo = CUresult (*)(CUstream, CUstreamCaptureStatus*, cuuint64_t*, CUgraph*,
                                 const CUgraphNode**, std::size_t*);

struct Driver {
    decltype(&::cuInit) init = nullptr;
    decltype(&::cuGetErrorName) error_name = nullptr;
    decltype(&::cuGetErrorString) error_string = nullptr;
    decltype(&::cuCtxGetCurrent) context = nullptr;
    decltype(&::cuStreamCreate) make_stream = nullptr;
    decltype(&::cuStreamDestroy) destroy_stream = nullptr;
    decltype(&::cuEventCreate) make_event = nullptr;
    decltype(&::cuEventDestroy) destroy_event = nullptr;
    decltype(&::cuEventRecord) record = nullptr;
    decltype(&::cuStreamWaitEvent) wait = nullptr;
    decltype(&::cuMemcpy2DAsync) copy = nullptr;
    decltype(&::cuLaunchHostFunc) call = nullptr;
    decltype(&::cuStreamWaitValue32) wait_word = nullptr;
    decltype(&::cuStreamWriteValue32) write_word = nullptr;
    decltype(&::cuMemHostAlloc) allocate = nullptr;
    decltype(&::cuMemFreeHost) free = nullptr;
    decltype(&::cuMemHostGetDevicePointer) device_pointer = nullptr;
    CaptureInfo capture = nullptr;
};

class Cuda final : public Gpu {
  public:
    explicit Cuda(const Driver& driver) : d_(driver) {}

    void* context() override {
        CUcontext c = nullptr;
        check(d_.context(&c), "cuCtxGetCurrent");
        if (c == nullptr) throw GpuError("the calling thread works with no GPU: cudaSetDevice()");
        return c;
    }
    Stream make_stream() override {
        CUstream s = nullptr;
        check(d_.make_stream(&s, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
        return s;
    }
    void destroy_stream(Stream s) override {
        check(d_.destroy_stream(static_cast<CUstream>(s)), "cuStreamDestroy");
    }
    Event make_event() override {
        CUevent e = nullptr;
        check(d_.make_event(&e, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
        return e;
    }
    void destroy_event(Event e) override {
        check(d_.destroy_event(static_cast<CUevent>(e)), "cuEventDestroy");
    }
    void record(Event e, Stream s) override {
        check(d_.record(static_cast<CUevent>(e), static_cast<CUstream>(s)), "cuEventRecord");
    }
    void wait(Stream s, Event e) override {
        check(d_.wait(static_cast<CUstream>(s), static_cast<CUevent>(e), 0), "cuStreamWaitEvent");
    }
    void copy(Stream s, const Rows& r) override {
        CUDA_MEMCPY2D how{};
        how.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
        how.srcDevice = reinterpret_cast<CUdeviceptr>(r.from);
        how.srcPitch = r.from_pitch;
        how.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
        how.dstDevice = reinterpret_cast<CUdeviceptr>(r.to);
        how.dstPitch = r.to_pitch;
        how.WidthInBytes = r.width;
        how.Height = r.rows;
        check(d_.copy(&how, static_cast<CUstream>(s)), "cuMemcpy2DAsync");
    }
    void call(Stream s, Function f, void* argument) override {
        check(d_.call(static_cast<CUstream>(s), f, argument), "cuLaunchHostFunc");
    }
    void take_word(Stream s, std::uint32_t* word) override {
        CUdeviceptr at = 0;
        check(d_.device_pointer(&at, word, 0), "cuMemHostGetDevicePointer");
        check(d_.wait_word(static_cast<CUstream>(s), at, 1, CU_STREAM_WAIT_VALUE_EQ),
              "cuStreamWaitValue32");
        check(d_.write_word(static_cast<CUstream>(s), at, 0, CU_STREAM_WRITE_VALUE_DEFAULT),
              "cuStreamWriteValue32");
    }
    std::uint64_t capture(Stream s) override {
        CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
        cuuint64_t id = 0;
        check(d_.capture(static_cast<CUstream>(s), &status, &id, nullptr, nullptr, nullptr),
              "cuStreamGetCaptureInfo");
        if (status == CU_STREAM_CAPTURE_STATUS_NONE) return 0;
        if (status == CU_STREAM_CAPTURE_STATUS_ACTIVE) return id;
        throw GpuError("the capture of this stream has become invalid");
    }
    std::byte* allocate_pinned(std::size_t size) override {
        void* memory = nullptr;
        check(d_.allocate(&memory, size, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP),
              "cuMemHostAlloc");
        std::memset(memory, 0, size);
        return static_cast<std::byte*>(memory);
    }
    void free_pinned(std::byte* memory) override { check(d_.free(memory), "cuMemFreeHost"); }

  private:
    void check(CUresult result, const char* what) const {
        if (result == CUDA_SUCCESS) return;
        const char* name = nullptr;
        const char* words = nullptr;
        (void)d_.error_name(result, &name);
        (void)d_.error_string(result, &words);
        throw GpuError(fmt::format("{}: {} ({})", what, words != nullptr ? words : "?",
                                   name != nullptr ? name : "?"));
    }
    Driver d_;
};

/// Finds what the driver has; the first name that it lacks.
class Finder {
  public:
    explicit Finder(void* library) : library_(library) {}
    template <class F>
    Finder& get(F& function, const char* name) {
        function = reinterpret_cast<F>(::dlsym(library_, name));
        if (function == nullptr && missing_ == nullptr) missing_ = name;
        return *this;
    }
    [[nodiscard]] const char* missing() const { return missing_; }

  private:
    void* library_;
    const char* missing_ = nullptr;
};

}  // namespace

Outcome<std::shared_ptr<Gpu>> load_cuda() {
    void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return LiveError{.what = "no GPU: libcuda.so.1 is not here"};
    Driver d;
    Finder find(library);
    find.get(d.init, "cuInit")
        .get(d.error_name, "cuGetErrorName")
        .get(d.error_string, "cuGetErrorString")
        .get(d.context, WEFT_SYMBOL(cuCtxGetCurrent))
        .get(d.make_stream, WEFT_SYMBOL(cuStreamCreate))
        .get(d.destroy_stream, WEFT_SYMBOL(cuStreamDestroy))
        .get(d.make_event, WEFT_SYMBOL(cuEventCreate))
        .get(d.destroy_event, WEFT_SYMBOL(cuEventDestroy))
        .get(d.record, WEFT_SYMBOL(cuEventRecord))
        .get(d.wait, WEFT_SYMBOL(cuStreamWaitEvent))
        .get(d.copy, WEFT_SYMBOL(cuMemcpy2DAsync))
        .get(d.call, WEFT_SYMBOL(cuLaunchHostFunc))
        .get(d.wait_word, WEFT_SYMBOL(cuStreamWaitValue32))
        .get(d.write_word, WEFT_SYMBOL(cuStreamWriteValue32))
        .get(d.allocate, WEFT_SYMBOL(cuMemHostAlloc))
        .get(d.free, WEFT_SYMBOL(cuMemFreeHost))
        .get(d.device_pointer, WEFT_SYMBOL(cuMemHostGetDevicePointer))
        .get(d.capture, "cuStreamGetCaptureInfo_v2");
    if (find.missing() != nullptr)
        return LiveError{.what = fmt::format("this GPU driver has no {}", find.missing())};
    if (d.init(0) != CUDA_SUCCESS) return LiveError{.what = "no GPU: cuInit() fails"};
    return std::shared_ptr<Gpu>(std::make_shared<Cuda>(d));
}

}  // namespace weft::live

#else

namespace weft::live {

Outcome<std::shared_ptr<Gpu>> load_cuda() {
    return LiveError{.what = "this build has no CUDA: cuda.h was not there"};
}

}  // namespace weft::live

#endif
