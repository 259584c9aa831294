// Each piece of a fault in a trial of its own. Only the bare round trips have handlers, which step over the store.
#include "fault_pieces.hpp"

#include <ucontext.h>

#include <array>
#include <cstring>
#include <functional>
#include <numeric>

#include "competitors/cow_arena.hpp"
#include "competitors/signal_handler.hpp"
#include "competitors/userfault.hpp"

namespace bench {
namespace {

constexpr std::size_t operations = 1000;  // in one cycle

constexpr std::array names = {
    piece::segv_delivery,    piece::segv_return,         piece::bus_delivery,    piece::bus_return,
    piece::lookup,           piece::copy,                piece::unprotect_split, piece::unprotect_store,
    piece::unprotect_extend, piece::unprotect_userfault, piece::userfault_store, piece::remap,
    piece::remap_store,      piece::resolve,             piece::resolve_userfaultfd};

/// What reading the clock costs, to be taken off where it is read inside an operation.
double clock_ns() {
  Stopwatch watch, each;
  for (std::size_t i = 0; i < operations; ++i) each.lap_ns();
  return watch.lap_ns() / operations;
}

/// A trial that is one function from the pages to work on to nanoseconds for each of them.
class Piece : public Trial {
 public:
  using Measure = std::function<double(std::span<const Page>)>;

  Piece(Pattern pattern, std::size_t pages, std::uint64_t seed, Measure measure)
      : workload_(pattern, pages, operations, seed), measure_(std::move(measure)) {}

  void check() override { cycle(); }
  Sample cycle() override {
    Sample sample;
    sample[Part::total] = measure_(workload_.next());
    return sample;
  }

 private:
  Workload workload_;
  Measure measure_;
};

/// A heap whose pages are all there: shared (as an arena's) or private.
struct Ground {
  explicit Ground(std::size_t bytes)
      : file(bytes), memory(bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.descriptor()) {}

  std::byte* at(Page page) const noexcept { return memory.data() + page * cow::page_size(); }
  void protect() const {
    if (::mprotect(memory.data(), memory.size(), PROT_READ) != 0) throw_errno("mprotect");
  }

  MemoryFile file;
  Mapping memory;
};

#if defined(__x86_64__)
constexpr std::size_t store_length = 3;
void store_in_known_length(std::byte* address) { asm volatile("movb $0, (%0)" ::"a"(address) : "memory"); }
void step_over_store(void* context) {
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP] += store_length;
}
#elif defined(__aarch64__)
constexpr std::size_t store_length = 4;
void store_in_known_length(std::byte* address) { asm volatile("strb wzr, [%0]" ::"r"(address) : "memory"); }
void step_over_store(void* context) { static_cast<ucontext_t*>(context)->uc_mcontext.pc += store_length; }
#endif

Stopwatch round_trip;
double delivery_ns = 0;

void bare_handler(int, siginfo_t*, void* context) {
  delivery_ns += round_trip.lap_ns();
  step_over_store(context);
  round_trip.lap_ns();
}

/// Delivery or return, for each store to a page that stays protected.
double measure_round_trip(std::span<const Page> pages, const Ground& ground, bool delivery) {
  const double clock = clock_ns();
  double return_ns = 0;
  delivery_ns = 0;
  for (const Page page : pages) {
    round_trip.lap_ns();
    store_in_known_length(ground.at(page));
    return_ns += round_trip.lap_ns();
  }
  return (delivery ? delivery_ns : return_ns) / static_cast<double>(pages.size()) - clock;
}

std::unique_ptr<Trial> segv_round_trip(const Setting& setting, std::uint64_t seed, bool delivery) {
  auto ground = std::make_shared<Ground>(setting.bytes);
  ground->protect();
  handle_faults(SIGSEGV, bare_handler);
  return std::make_unique<Piece>(setting.pattern, setting.bytes / cow::page_size(), seed, [=](auto pages) {
    return measure_round_trip(pages, *ground, delivery);
  });
}

struct UserfaultGround : Ground {
  explicit UserfaultGround(std::size_t bytes) : Ground(bytes), userfault(memory.data(), bytes) { protect_all(); }
  void protect_all() const {
    if (!userfault.protect(memory.data(), memory.size(), true)) throw NotAvailable("cannot write-protect a memfd");
  }
  Userfault userfault;
};

std::unique_ptr<Trial> bus_round_trip(const Setting& setting, std::uint64_t seed, bool delivery) {
  auto ground = std::make_shared<UserfaultGround>(setting.bytes);
  handle_faults(SIGBUS, bare_handler);
  return std::make_unique<Piece>(setting.pattern, setting.bytes / cow::page_size(), seed, [=](auto pages) {
    return measure_round_trip(pages, *ground, delivery);
  });
}

/// A write fault as the kernel would report it, for calls of the library's public entry.
struct WriteFault {
  explicit WriteFault(cow::Barrier barrier) {
    const bool bus = barrier == cow::Barrier::userfaultfd;
    info.si_signo = bus ? SIGBUS : SIGSEGV;
    info.si_code = bus ? int{BUS_ADRERR} : int{SEGV_ACCERR};
#if defined(__x86_64__)
    context.uc_mcontext.gregs[REG_ERR] = 0x7;  // user mode, write, page present
#endif
  }
  bool handled_at(std::byte* address) {
    info.si_addr = address;
    return cow::try_handle(info.si_signo, &info, &context);
  }

  siginfo_t info{};
  ucontext_t context{};
};

/// What a fault elsewhere in the program pays for the library's being there.
std::unique_ptr<Trial> look_up(const Setting& setting, std::uint64_t seed) {
  auto arena = std::make_shared<cow::Arena>(make_arena(setting.bytes, cow::Barrier::mprotect));
  auto elsewhere = std::make_shared<Ground>(operations * cow::page_size());
  return std::make_unique<Piece>(Pattern::uniform, operations, seed, [=](auto pages) {
    WriteFault fault(arena->barrier());
    Stopwatch watch;
    for (const Page page : pages) {
      if (fault.handled_at(elsewhere->at(page))) throw WrongAnswer("a fault elsewhere was taken for the arena's");
    }
    return watch.lap_ns() / static_cast<double>(pages.size());
  });
}

/// The library's whole work for a first write, without the signal: look-up, books, copy, unprotect.
std::unique_ptr<Trial> resolve(const Setting& setting, std::uint64_t seed, cow::Barrier barrier) {
  auto arena = std::make_shared<cow::Arena>(make_arena(setting.bytes, barrier));
  const std::size_t count = setting.bytes / cow::page_size();
  for (Page page = 0; page < count; ++page) store_word(arena->data(), page, page);
  return std::make_unique<Piece>(setting.pattern, count, seed, [=](auto pages) {
    const cow::Snapshot snapshot = arena->snapshot();
    WriteFault fault(arena->barrier());
    Stopwatch watch;
    for (const Page page : pages) {
      if (!fault.handled_at(arena->data() + page * cow::page_size())) throw WrongAnswer("a write was not handled");
    }
    return watch.lap_ns() / static_cast<double>(pages.size());
  });
}

std::unique_ptr<Trial> copy_page(const Setting& setting, std::uint64_t seed) {
  auto ground = std::make_shared<Ground>(setting.bytes);
  auto frames = std::make_shared<Ground>(operations * cow::page_size());
  return std::make_unique<Piece>(setting.pattern, setting.bytes / cow::page_size(), seed, [=](auto pages) {
    Stopwatch watch;
    for (Page i = 0; i < pages.size(); ++i) std::memcpy(frames->at(i), ground->at(pages[i]), cow::page_size());
    return watch.lap_ns() / static_cast<double>(pages.size());
  });
}

/// Which half of a change of pages counts: the calls, or the stores that follow. A store can still fault, where the
/// kernel changed the mapping but left the page's entry as it was.
enum class Half { calls, stores };

/// A call for each page, then a store to each.
template <class Call>
double measure_half(Half half, std::span<const Page> pages, const Mapping& memory, Call call) {
  Stopwatch watch;
  for (const Page page : pages) call(page);
  const double calls_ns = watch.lap_ns();
  for (const Page page : pages) store_word(memory.data(), page, 1);
  const double stores_ns = watch.lap_ns();
  return (half == Half::calls ? calls_ns : stores_ns) / static_cast<double>(pages.size());
}

std::unique_ptr<Trial> unprotect(const Setting& setting, std::uint64_t seed, Pattern pattern, Half half) {
  auto ground = std::make_shared<Ground>(setting.bytes);
  return std::make_unique<Piece>(pattern, setting.bytes / cow::page_size(), seed, [=](auto pages) {
    ground->protect();
    return measure_half(half, pages, ground->memory, [&](Page page) {
      if (::mprotect(ground->at(page), cow::page_size(), PROT_READ | PROT_WRITE) != 0) throw_errno("mprotect");
    });
  });
}

/// The second half of the file holds the frames that pages move to.
std::unique_ptr<Trial> remap(const Setting& setting, std::uint64_t seed, Half half) {
  auto ground = std::make_shared<Ground>(setting.bytes);
  const std::size_t count = setting.bytes / cow::page_size() / 2;
  return std::make_unique<Piece>(setting.pattern, count, seed, [=](auto pages) {
    const auto map = [&](Page page, std::size_t length, std::size_t frame) {
      const auto offset = static_cast<off_t>(frame * cow::page_size());
      if (::mmap(ground->at(page), length * cow::page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                 ground->file.descriptor(), offset) == MAP_FAILED) {
        throw_errno("mmap over a page");
      }
    };
    map(0, count, 0);
    return measure_half(half, pages, ground->memory, [&](Page page) { map(page, 1, count + page); });
  });
}

std::unique_ptr<Trial> unprotect_by_userfault(const Setting& setting, std::uint64_t seed, Half half) {
  auto ground = std::make_shared<UserfaultGround>(setting.bytes);
  return std::make_unique<Piece>(setting.pattern, setting.bytes / cow::page_size(), seed, [=](auto pages) {
    ground->protect_all();
    return measure_half(half, pages, ground->memory, [&](Page page) {
      if (!ground->userfault.protect(ground->at(page), cow::page_size(), false)) throw_errno("UFFDIO_WRITEPROTECT");
    });
  });
}

}  // namespace

std::span<const std::string_view> fault_pieces() noexcept { return names; }

std::unique_ptr<Trial> make_fault_piece(std::string_view name, const Setting& setting, std::uint64_t seed) {
  if (name == piece::segv_delivery) return segv_round_trip(setting, seed, true);
  if (name == piece::segv_return) return segv_round_trip(setting, seed, false);
  if (name == piece::bus_delivery) return bus_round_trip(setting, seed, true);
  if (name == piece::bus_return) return bus_round_trip(setting, seed, false);
  if (name == piece::lookup) return look_up(setting, seed);
  if (name == piece::resolve) return resolve(setting, seed, cow::Barrier::mprotect);
  if (name == piece::resolve_userfaultfd) return resolve(setting, seed, cow::Barrier::userfaultfd);
  if (name == piece::copy) return copy_page(setting, seed);
  if (name == piece::unprotect_split) return unprotect(setting, seed, Pattern::uniform, Half::calls);
  if (name == piece::unprotect_store) return unprotect(setting, seed, Pattern::uniform, Half::stores);
  if (name == piece::unprotect_extend) return unprotect(setting, seed, Pattern::sequential, Half::calls);
  if (name == piece::remap) return remap(setting, seed, Half::calls);
  if (name == piece::remap_store) return remap(setting, seed, Half::stores);
  if (name == piece::unprotect_userfault) return unprotect_by_userfault(setting, seed, Half::calls);
  if (name == piece::userfault_store) return unprotect_by_userfault(setting, seed, Half::stores);
  throw NotAvailable("no such piece");
}

}  // namespace bench
