// The small allocator's paths: take a bit, set a bit, and what to do when a span fills, empties or gets its first hole.
#include "heap/slabs.hpp"

#include <bit>
#include <new>

namespace cow::detail {

namespace {

constexpr std::uint64_t hollow_share = 4;  // of a span's blocks: with this share free, a copy of the page is worth it
constexpr std::uint64_t free_share = 16;   // of a class's blocks: with more than this free, no fresh pages
constexpr unsigned reopen_candidates = 16;

bool is_hollow(const Unit& head, const SizeClass& cls) noexcept {
  return head.free_blocks * hollow_share >= cls.blocks;
}

void unlink(Unit& head) noexcept { UnitList::node_algorithms::unlink(UnitList::value_traits::to_node_ptr(head)); }

unsigned lowest_free(const Unit& head) noexcept {
  unsigned word = 0;
  while (head.free_bits[word] == 0) ++word;
  return word * 64 + static_cast<unsigned>(std::countr_zero(head.free_bits[word]));
}

void set_first_bits(std::uint64_t (&bits)[4], unsigned count) noexcept {
  for (std::uint64_t& word : bits) {
    word = count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
    count -= count >= 64 ? 64 : count;
  }
}

}  // namespace

void* Slabs::allocate(unsigned home_shard, unsigned size_class) {
  if (void* const block = allocate_in(home_shard, size_class)) return block;
  for (unsigned shard = 0; shard < context_.books.geometry.shard_count; ++shard) {
    if (shard == home_shard) continue;
    if (void* const block = allocate_in(shard, size_class)) return block;
  }
  return nullptr;
}

void* Slabs::allocate_in(unsigned shard, unsigned size_class) {
  const SizeClass& cls = size_classes[size_class];
  const ShardGuard guard(context_.shard_locks[shard]);
  ClassState& state = context_.books.shards[shard].classes[size_class];
  if (state.stamp != context_.cut || state.ready.empty()) [[unlikely]] {
    if (!refill(shard, size_class, state)) return nullptr;
  }
  Unit& head = state.ready.front();
  const unsigned index = lowest_free(head);
  std::byte* const block = start_of(head) + std::size_t{index} * cls.block_bytes;
  if (cls.span_units > 1 && !(context_.is_writable(block) && context_.is_writable(block + cls.block_bytes - 1))) {
    if (!context_.make_writable(block, cls.block_bytes)) return nullptr;
  }
  head.free_bits[index / 64] &= ~(std::uint64_t{1} << index % 64);
  if (head.free_blocks == cls.blocks) context_.books.shards[shard].empty_units -= cls.span_units;
  --state.free_blocks;
  if (--head.free_blocks == 0) state.ready.pop_front();
  return block;
}

bool Slabs::refill(unsigned shard, unsigned size_class, ClassState& state) {
  context_.require_heap();
  if (state.stamp != context_.cut) start_epoch(context_.books.shards[shard], state);
  if (!state.ready.empty()) return true;
  const bool few_free = state.free_blocks * free_share <= state.all_blocks;
  if (few_free && open_fresh(shard, size_class, state)) return true;
  if (reopen(state, size_classes[size_class])) return true;
  return !few_free && open_fresh(shard, size_class, state);
}

/// After a cut none of the ready pages is known to be writable any more.
void Slabs::start_epoch(Shard& shard, ClassState& state) {
  if (!shard.formatted) {
    for (ClassState& fresh : shard.classes) ::new (&fresh) ClassState;
    shard.formatted = 1;
  }
  if (!state.ready.empty()) {
    Unit& current = state.ready.front();
    if (is_hollow(current, size_classes[current.tag().size_class()])) {
      state.ready.pop_front();
      state.hollow.push_front(current);
      current.hollow = 1;
    }
    state.cold.splice(state.cold.end(), state.ready);
  }
  state.stamp = context_.cut;
}

bool Slabs::open_fresh(unsigned shard, unsigned size_class, ClassState& state) {
  const SizeClass& cls = size_classes[size_class];
  Runs::Span span;
  {
    const PageGuard guard(context_.page_lock);
    span = runs_.take_span(cls.span_units);
  }
  if (span.first == 0) return false;
  std::byte* const ahead = context_.books.address_of(span.first);
  const bool prepared = span.prepare == 0 || (context_.is_writable(ahead) &&
                                              context_.is_writable(ahead + (span.prepare - 1) * unit_bytes));
  if (!prepared && !context_.make_writable(ahead, span.prepare * unit_bytes)) {
    const PageGuard guard(context_.page_lock);
    runs_.give_back(span.first, cls.span_units);
    return false;
  }
  Unit& head = context_.books.units[span.first];
  set_first_bits(head.free_bits, cls.blocks);
  head.free_blocks = cls.blocks;
  head.hollow = 0;
  head.stamp = context_.cut;
  ::new (&head.link) ListHook;
  head.set_tag(UnitTag(UnitKind::slab, size_class, shard));
  for (unsigned rest = 1; rest < cls.span_units; ++rest) {
    context_.books.units[span.first + rest].set_tag(UnitTag(UnitKind::slab_rest, size_class, rest));
  }
  state.free_blocks += cls.blocks;
  state.all_blocks += cls.blocks;
  context_.books.shards[shard].empty_units += cls.span_units;
  state.ready.push_front(head);
  return true;
}

bool Slabs::reopen(ClassState& state, const SizeClass& cls) {
  Unit* const head = best_to_reopen(state);
  if (head == nullptr) return false;
  std::byte* const page = start_of(*head);
  if (cls.span_units == 1 && !context_.is_writable(page) && !context_.make_writable(page, unit_bytes)) return false;
  unlink(*head);
  head->hollow = 0;
  head->stamp = context_.cut;
  state.ready.push_front(*head);
  return true;
}

Unit* Slabs::best_to_reopen(ClassState& state) {
  if (!state.hollow.empty()) return &state.hollow.front();
  Unit* best = nullptr;
  unsigned seen = 0;
  for (Unit& candidate : state.cold) {
    if (best == nullptr || candidate.free_blocks > best->free_blocks) best = &candidate;
    if (++seen == reopen_candidates) break;
  }
  return best;
}

bool Slabs::deallocate(Unit& head, const std::byte* block) noexcept {
  // The next block of this size is likely to be this one: its first line can be on its way while the books are kept.
  // A prefetch touches no page in the sense of the arena: it neither writes nor faults.
  __builtin_prefetch(block, 1);
  const UnitTag tag = head.tag();
  if (tag.kind() != UnitKind::slab || tag.shard() >= context_.books.geometry.shard_count) return false;
  bool surplus = false;
  {
    const ShardGuard guard(context_.shard_locks[tag.shard()]);
    const Place place = place_of(head, block);
    if (head.tag() != tag || !place.valid) return false;
    const std::uint64_t bit = std::uint64_t{1} << place.index % 64;
    if ((head.free_bits[place.index / 64] & bit) != 0) return false;
    head.free_bits[place.index / 64] |= bit;
    const SizeClass& cls = size_classes[tag.size_class()];
    ClassState& state = context_.books.shards[tag.shard()].classes[tag.size_class()];
    ++state.free_blocks;
    if (++head.free_blocks == 1) {
      became_partial(head, state, cls);
    } else if (head.free_blocks == cls.blocks) {
      surplus = became_empty(head, state, cls);
    } else if (head.hollow == 0 && head.stamp != context_.cut && is_hollow(head, cls)) {
      unlink(head);
      state.hollow.push_front(head);
      head.hollow = 1;
    }
  }
  if (surplus) {  // outside the shard's lock: giving much memory back takes a while
    const PageGuard guard(context_.page_lock);
    runs_.purge_surplus();
  }
  return true;
}

/// A full span got its first free block.
void Slabs::became_partial(Unit& head, ClassState& state, const SizeClass& cls) {
  if (head.stamp != context_.cut && context_.is_writable(start_of(head))) {  // written to since the cut, not by us
    if (state.stamp != context_.cut) start_epoch(context_.books.shards[head.tag().shard()], state);
    head.stamp = context_.cut;
  }
  head.hollow = head.stamp != context_.cut && is_hollow(head, cls);
  if (head.stamp == context_.cut) {
    state.ready.push_front(head);
  } else if (head.hollow != 0) {
    state.hollow.push_front(head);
  } else {
    state.cold.push_back(head);
  }
}

bool Slabs::became_empty(Unit& head, ClassState& state, const SizeClass& cls) {
  context_.books.shards[head.tag().shard()].empty_units += cls.span_units;
  const bool only_ready = head.stamp == context_.cut && &state.ready.front() == &head && &state.ready.back() == &head;
  if (only_ready) return false;  // the next block would only take it back
  return release(head, state, cls);
}

bool Slabs::release(Unit& head, ClassState& state, const SizeClass& cls) {
  unlink(head);
  state.free_blocks -= cls.blocks;
  state.all_blocks -= cls.blocks;
  context_.books.shards[head.tag().shard()].empty_units -= cls.span_units;
  const std::size_t first = context_.books.index_of(head);
  const PageGuard guard(context_.page_lock);
  for (unsigned unit = 0; unit < cls.span_units; ++unit) context_.books.units[first + unit].set_tag(UnitTag());
  runs_.give_back(first, cls.span_units);
  return runs_.keeps_too_much();
}

bool Slabs::release_empty_spans() {
  bool any = false;
  for (unsigned shard = 0; shard < context_.books.geometry.shard_count; ++shard) {
    const ShardGuard guard(context_.shard_locks[shard]);
    if (!context_.books.shards[shard].formatted) continue;
    for (unsigned size_class = 0; size_class < size_class_count; ++size_class) {
      ClassState& state = context_.books.shards[shard].classes[size_class];
      const SizeClass& cls = size_classes[size_class];
      for (UnitList* list : {&state.ready, &state.hollow, &state.cold}) {
        for (auto at = list->begin(); at != list->end();) {
          Unit& head = *at++;
          if (head.free_blocks != cls.blocks) continue;
          release(head, state, cls);
          any = true;
        }
      }
    }
  }
  return any;
}

std::size_t Slabs::block_size(Unit& head, const std::byte* block) noexcept {
  const UnitTag tag = head.tag();
  if (tag.kind() != UnitKind::slab || tag.shard() >= context_.books.geometry.shard_count) return 0;
  const ShardGuard guard(context_.shard_locks[tag.shard()]);
  const Place place = place_of(head, block);
  if (head.tag() != tag || !place.valid) return 0;
  const bool is_free = (head.free_bits[place.index / 64] >> place.index % 64 & 1) != 0;
  return is_free ? 0 : size_classes[tag.size_class()].block_bytes;
}

}  // namespace cow::detail
