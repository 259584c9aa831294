// Memory for many objects of one size. What is free beyond what will soon be wanted goes back to the kernel,
// at the ends of operations; taking objects asks the kernel for more, and never waits.
#pragma once

#include <algorithm>
#include <boost/intrusive/slist.hpp>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <new>

#include "kernel/book_memory.hpp"
#include "kernel/os.hpp"

namespace cow {

/// Hands out memory for objects of one size and takes it back; gives all to the kernel when it goes. Not locked.
///
/// A free object is warm, with memory that take() hands out, or lies in a cold run: neighbours whose whole pages were
/// given back, but for the first one's beginning, which has the hook. One alone has none to give; it is cold too, so
/// that it does not count as surplus again and again.
template <std::size_t ObjectBytes>
class Slab {
  using Hook = boost::intrusive::slist_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>>;
  struct Free : Hook {
    std::size_t count = 1;  // of neighbours, this object the first of them
  };
  struct Batch : Hook {
    std::size_t bytes = 0, objects = 0;
  };
  template <class T>
  using List = boost::intrusive::slist<T, boost::intrusive::constant_time_size<false>>;

 public:
  Slab() noexcept = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() { unmap(batches_); }

  /// Makes sure that the next `count` calls of take() succeed.
  os::Error make_room(std::size_t count) noexcept {
    while (warm_count_ < count) {
      if (!cold_.empty()) {
        warm_some();
      } else if (const os::Error error = grow()) {
        return error;
      }
    }
    return {};
  }

  /// After make_room().
  void* take() noexcept {
    Free* slot = &warm_.front();
    warm_.pop_front();
    --warm_count_;
    slot->~Free();
    return slot;
  }

  void give_back(void* object) noexcept {
    warm_.push_front(*::new (object) Free);
    ++warm_count_;
  }

  /// So many free objects keep their memory.
  void keep_in_reserve(std::size_t objects) noexcept { reserve_ = objects; }

  std::size_t objects_in_use() const noexcept { return objects_ - cold_count_ - warm_count_; }

  /// How much of it has memory.
  std::size_t resident_bytes() noexcept {
    std::size_t bytes = 0;
    for (Batch& batch : batches_) bytes += os::resident_bytes(&batch, batch.bytes);
    return bytes;
  }

  /// Whether more is free than will soon be wanted: twice what is kept then, so that what swings costs little.
  bool overfull() const noexcept { return warm_count_ > 2 * worth_keeping(); }

  /// Gives what is not worth keeping to the kernel. `locked(f)` calls f under what protects the slab; most of the work
  /// is done outside of it. Only one thread may be in here.
  template <class Locked>
  void trim(Locked&& locked) noexcept {
    List<Free> runs;
    List<Batch> batches, unused;
    locked([&] { take_surplus(runs, batches); });
    join_neighbours(runs);
    take_unused(runs, batches, unused);
    for (Free& run : runs) forget_inside(run);
    locked([&] { put_back(runs, batches, unused); });
    unmap(unused);
  }

 private:
  static constexpr std::size_t alignment = alignof(std::max_align_t);
  static constexpr std::size_t stride = (ObjectBytes + alignment - 1) / alignment * alignment;
  static constexpr std::size_t header = (sizeof(Batch) + alignment - 1) / alignment * alignment;
  static_assert(stride >= sizeof(Free));
  static constexpr std::size_t smallest_batch = 16 * 1024, largest_batch = 1024 * 1024;
  static constexpr std::size_t least_kept_bytes = 256 * 1024, most_warmed_bytes = 64 * 1024;

  static std::byte* address(void* object) noexcept { return static_cast<std::byte*>(object); }
  static std::byte* end_of(Free& run) noexcept { return address(&run) + run.count * stride; }

  template <class T>
  static T& pop(List<T>& list) noexcept {
    T& first = list.front();
    list.pop_front();
    return first;
  }

  static void unmap(List<Batch>& batches) noexcept {
    while (!batches.empty()) {
      Batch& batch = pop(batches);
      os::unmap(&batch, batch.bytes);
    }
  }

  /// Objects in use now are likely to be followed by some more.
  std::size_t worth_keeping() const noexcept {
    return std::max({reserve_, least_kept_bytes / stride, objects_in_use() / 8});
  }

  os::Error grow() noexcept {
    const std::size_t bytes = std::clamp(bytes_reserved_, smallest_batch, largest_batch);
    const os::Result<void*> got = os::reserve_books(bytes);
    if (!got) return got.error;
    Batch* batch = ::new (got.value) Batch;
    batch->bytes = bytes;
    batch->objects = (bytes - header) / stride;
    batches_.push_front(*batch);
    bytes_reserved_ += bytes;
    objects_ += batch->objects;
    std::byte* const first = address(batch) + header;
    for (std::size_t i = batch->objects; i-- != 0;) give_back(first + i * stride);
    return {};
  }

  /// Takes objects off the end of a cold run. The kernel gives their memory as they are touched.
  void warm_some() noexcept {
    Free& run = cold_.front();
    const std::size_t count = std::min(run.count, most_warmed_bytes / stride);
    std::byte* const end = end_of(run);
    if (count == run.count) cold_.pop_front();
    run.count -= count;
    cold_count_ -= count;
    for (std::size_t i = 1; i <= count; ++i) give_back(end - i * stride);
  }

  void take_surplus(List<Free>& runs, List<Batch>& batches) noexcept {
    const std::size_t kept = std::min(warm_count_, worth_keeping());
    runs.swap(warm_);
    for (std::size_t i = 0; i < kept; ++i) warm_.push_front(pop(runs));
    warm_count_ = kept;
    while (!cold_.empty()) runs.push_front(pop(cold_));
    cold_count_ = 0;
    batches.swap(batches_);
  }

  static void join_neighbours(List<Free>& runs) noexcept {
    runs.sort([](const Free& a, const Free& b) { return &a < &b; });
    for (auto run = runs.begin(); run != runs.end();) {
      const auto next = std::next(run);
      if (next == runs.end() || address(&*next) != end_of(*run)) {  // batches have headers between them
        run = next;
      } else {
        run->count += next->count;
        runs.erase_after(run);
      }
    }
  }

  /// Takes out the batches in which nothing is in use, and their runs. The runs are sorted.
  static void take_unused(List<Free>& runs, List<Batch>& batches, List<Batch>& unused) noexcept {
    batches.sort([](const Batch& a, const Batch& b) { return &a < &b; });
    auto before_batch = batches.before_begin();
    for (auto before = runs.before_begin(); std::next(before) != runs.end();) {
      Free& run = *std::next(before);
      while (address(&*std::next(before_batch)) + std::next(before_batch)->bytes <= address(&run)) ++before_batch;
      if (run.count != std::next(before_batch)->objects) {
        ++before;
        continue;
      }
      Batch& batch = *std::next(before_batch);
      runs.erase_after(before);
      batches.erase_after(before_batch);
      unused.push_front(batch);
    }
  }

  /// Gives back the whole pages behind the run's hook.
  static void forget_inside(Free& run) noexcept {
    const std::size_t page = os::page_size();
    const auto begin = (reinterpret_cast<std::uintptr_t>(&run + 1) + page - 1) / page * page;
    const auto end = reinterpret_cast<std::uintptr_t>(end_of(run)) / page * page;
    if (begin < end) os::forget(reinterpret_cast<void*>(begin), end - begin);
  }

  void put_back(List<Free>& runs, List<Batch>& batches, List<Batch>& unused) noexcept {
    while (!runs.empty()) {
      Free& run = pop(runs);
      cold_count_ += run.count;
      cold_.push_front(run);
    }
    while (!batches.empty()) batches_.push_front(pop(batches));
    for (const Batch& batch : unused) {
      bytes_reserved_ -= batch.bytes;
      objects_ -= batch.objects;
    }
  }

  List<Free> warm_, cold_;
  List<Batch> batches_;
  std::size_t warm_count_ = 0, cold_count_ = 0;  // of objects
  std::size_t objects_ = 0, reserve_ = 0;
  std::size_t bytes_reserved_ = 0;
};

}  // namespace cow
