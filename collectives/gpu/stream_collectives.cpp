#include "collectives/gpu/stream_collectives.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "collectives/runtime/data_type.hpp"

namespace weft::live {

StreamCollectives::StreamCollectives(Comm& comm, std::shared_ptr<Gpu> gpu, std::size_t slot_bytes)
    : comm_(comm), gpu_(std::move(gpu)), slot_bytes_(slot_bytes), worker_([this] { work(); }) {}

StreamCollectives::~StreamCollectives() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    changed_.notify_all();
    worker_.join();
    for (Pipe& pipe : pipes_) close(pipe);
}

StreamCollectives::Shape StreamCollectives::shape_of(const CollectiveCall& call) const {
    const std::size_t n = comm_.ranks();
    Shape s{.in_blocks = 1, .out_blocks = 1};
    if (blocked(call.collective)) {
        s.in_blocks = own_block(call.collective, Buffer::kInput) ? 1 : n;
        s.out_blocks = own_block(call.collective, Buffer::kOutput) ? 1 : n;
    }
    // The same at every rank, whatever of it this one has to copy.
    const std::size_t room = slot_bytes_ / std::max(s.in_blocks, s.out_blocks);
    s.piece = std::max<std::uint64_t>(room / size_of(call.dtype), 1);
    const auto has = [&](Buffer which) {
        return provides(call.collective, which, comm_.rank(), call.root, comm_.ranks());
    };
    if (!has(Buffer::kInput)) s.in_blocks = 0;
    if (!has(Buffer::kOutput)) s.out_blocks = 0;
    return s;
}

StreamCollectives::Pipe& StreamCollectives::pipe_for(Gpu::Stream stream) {
    const std::uint64_t capture = gpu_->capture(stream);
    void* const context = gpu_->context();
    auto found = std::find_if(pipes_.begin(), pipes_.end(), [&](const Pipe& p) {
        return p.context == context && (p.capture != 0) == (capture != 0);
    });
    if (found == pipes_.end()) {
        pipes_.push_back({.context = context});
        found = std::prev(pipes_.end());
        open(*found);
    }
    if (found->capture != capture)
        for (Slot& slot : found->slots) slot.used = false;
    found->capture = capture;
    return *found;
}

void StreamCollectives::open(Pipe& p) {
    constexpr std::size_t kWords = 4096;  // the words have a page of their own
    // One element of every rank always fits.
    const std::size_t slot = std::max(slot_bytes_, std::size_t{comm_.ranks()} * 8);
    p.in = gpu_->make_stream();
    p.out = gpu_->make_stream();
    p.begun = gpu_->make_event();
    p.ended_in = gpu_->make_event();
    p.ended_out = gpu_->make_event();
    p.memory = gpu_->allocate_pinned(kWords + 4 * slot);
    for (std::size_t i = 0; i < p.slots.size(); ++i) {
        Slot& s = p.slots[i];
        s.done = reinterpret_cast<std::uint32_t*>(p.memory + 64 * i);
        s.input = p.memory + kWords + 2 * i * slot;
        s.output = s.input + slot;
        s.empty = gpu_->make_event();
    }
}

void StreamCollectives::close(Pipe& p) {
    try {
        for (const Gpu::Event e :
             {p.begun, p.ended_in, p.ended_out, p.slots[0].empty, p.slots[1].empty})
            if (e != nullptr) gpu_->destroy_event(e);
        for (const Gpu::Stream s : {p.in, p.out})
            if (s != nullptr) gpu_->destroy_stream(s);
        if (p.memory != nullptr) gpu_->free_pinned(p.memory);
    } catch (const GpuError&) {
        // The device is gone, and all of this with it.
    }
}

Status StreamCollectives::run(const CollectiveCall& call, Gpu::Stream stream) {
    const std::lock_guard one_call(calling_);
    {
        const std::lock_guard lock(mutex_);
        if (error_) return *error_;
    }
    if (const auto broken = comm_.broken()) return *broken;
    comm_.check(call);
    const Shape shape = shape_of(call);
    bool queued = false;
    try {
        Pipe& pipe = pipe_for(stream);
        queued = true;
        gpu_->record(pipe.begun, stream);
        gpu_->wait(pipe.in, pipe.begun);
        gpu_->wait(pipe.out, pipe.begun);
        std::uint64_t from = 0;
        do {
            const std::uint64_t count = std::min(shape.piece, call.count - from);
            queue(pipe, call, shape, from, count);
            from += count;
        } while (from < call.count);
        gpu_->record(pipe.ended_in, pipe.in);
        gpu_->wait(stream, pipe.ended_in);
        gpu_->record(pipe.ended_out, pipe.out);
        gpu_->wait(stream, pipe.ended_out);
    } catch (const GpuError& e) {
        // Half of it lies in streams, which nobody can take back.
        if (queued) comm_.abort(std::string("the GPU of this rank refused: ") + e.what());
        return LiveError{.what = e.what(), .rank = static_cast<int>(comm_.world().rank())};
    }
    return Done{};
}

void StreamCollectives::queue(Pipe& pipe, const CollectiveCall& call, const Shape& shape,
                              std::uint64_t from, std::uint64_t count) {
    Slot& slot = pipe.slots[pipe.next];
    pipe.next = 1 - pipe.next;
    const std::size_t size = size_of(call.dtype);
    const std::size_t block = call.count * size;
    const std::size_t width = count * size;
    auto made = std::make_unique<Job>();
    Job& job = *made;
    job.owner = this;
    job.call = call;
    job.call.count = count;
    job.call.input = slot.input;
    job.call.output = slot.output;
    if (call.factor != nullptr) {
        std::memcpy(&job.factor, call.factor, size);
        job.call.factor = &job.factor;
    }
    job.done = slot.done;
    job.kept = pipe.capture != 0;
    {
        const std::lock_guard lock(mutex_);
        all_.emplace(&job, std::move(made));
    }
    if (slot.used) gpu_->wait(pipe.in, slot.empty);
    slot.used = true;
    if (shape.in_blocks > 0 && width > 0)
        gpu_->copy(pipe.in, {.from = static_cast<const std::byte*>(call.input) + from * size,
                             .from_pitch = block,
                             .to = slot.input,
                             .to_pitch = width,
                             .width = width,
                             .rows = shape.in_blocks});
    gpu_->call(pipe.in, submit, &job);
    gpu_->take_word(pipe.out, slot.done);
    if (shape.out_blocks > 0 && width > 0)
        gpu_->copy(pipe.out, {.from = slot.output,
                              .from_pitch = width,
                              .to = static_cast<std::byte*>(call.output) + from * size,
                              .to_pitch = block,
                              .width = width,
                              .rows = shape.out_blocks});
    gpu_->record(slot.empty, pipe.out);
}

void StreamCollectives::submit(void* argument) {
    Job* const job = static_cast<Job*>(argument);
    StreamCollectives& owner = *job->owner;
    {
        const std::lock_guard lock(owner.mutex_);
        owner.jobs_.push_back(job);
    }
    owner.changed_.notify_one();
}

void StreamCollectives::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [&] { return closing_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        Job* const job = jobs_.front();
        jobs_.pop_front();
        lock.unlock();
        run_job(*job);
        lock.lock();
        if (!job->kept) all_.erase(job);
    }
}

void StreamCollectives::run_job(Job& job) {
    // After an error its streams are let go, so that nobody hangs on them.
    if (!error_) {
        const Status status = comm_.run(job.call);
        const std::lock_guard lock(mutex_);
        if (!status) error_ = status.error();
    }
    std::atomic_ref<std::uint32_t>(*job.done).store(1, std::memory_order_release);
}

}  // namespace weft::live
