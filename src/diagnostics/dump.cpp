// Arena::dump(): all there is to tell about an arena, as text. Takes the locks of one arena at a time.
#include <cstdio>
#include <cstring>
#include <utility>

#include "arena/lifetime.hpp"
#include "arena/operation.hpp"
#include "cow/memory_account.hpp"
#include "cow/page_map.hpp"
#include "cow/stats_format.hpp"
#include "faults/registry.hpp"
#include "words/amounts.hpp"

namespace cow {
namespace {

struct Relative {
  char name[sizeof ArenaBooks::name];
  const std::byte* base;
  std::uint64_t version;  // the one it was cloned from; 0: none
};

struct Relatives {
  const ArenaBooks* of;
  BookVector<Relative> found;
  os::Error error;
};

os::Error list_relatives(const ArenaBooks& books, BookVector<Relative>& found) noexcept {
  Relatives relatives{&books, {}, {}};
  fault_registry::for_each_arena(
      [](ArenaBooks& other, void* context) {
        Relatives& all = *static_cast<Relatives*>(context);
        if (&other == all.of || &other.family != &all.of->family || all.error) return;
        Relative relative{{}, other.base, other.base_version};
        std::memcpy(relative.name, other.name, sizeof relative.name);
        all.error = all.found.push_back(relative);
      },
      &relatives);
  found = std::move(relatives.found);
  return relatives.error;
}

struct KnownVersion {
  Version* version;  // with a handle for us, until taken
  std::uint64_t name, epoch, handles, logged;
  bool lent;
};

/// The versions of an arena, each held so that it stays while it is described.
class HeldVersions {
 public:
  HeldVersions() = default;
  HeldVersions(const HeldVersions&) = delete;
  HeldVersions& operator=(const HeldVersions&) = delete;
  ~HeldVersions() {
    for (const KnownVersion& version : versions_) release_version(version.version);
  }

  /// The operation mutex keeps all versions of the chain alive, so each has a handle to be added to.
  os::Error hold(ArenaBooks& books) noexcept {
    const Operation operation(books);
    if (const os::Error error = versions_.make_room(books.versions.size())) return error;
    FaultLockHeld held(*books.fault_lock);
    FaultLockHeld file_held(books.family.file.lock());
    for (Version& version : books.versions) {
      const std::uint64_t handles = version.handles.fetch_add(1, std::memory_order_relaxed);
      versions_.append({&version, version.name, version.epoch.value, handles, version.log.size(),
                        Lending::lent(books.lender, version.epoch)});
    }
    return {};
  }

  Snapshot take(std::size_t i) noexcept { return Access::snapshot(std::exchange(versions_[i].version, nullptr)); }
  const BookVector<KnownVersion>& list() const noexcept { return versions_; }

 private:
  BookVector<KnownVersion> versions_;
};

std::string address_of(const void* address) {
  char text[32];
  (void)std::snprintf(text, sizeof text, "%p", address);
  return text;
}

std::string describe(const KnownVersion& version, const Snapshot& snapshot, std::size_t place) {
  return "  snapshot " + std::to_string(place) + ": epoch " + std::to_string(version.epoch) + ", " +
         counted(version.handles, "handle") + ", " + counted(version.logged, "page") + " written since, " +
         readable_bytes(snapshot.exclusive_bytes()) + " for it alone" +
         (version.lent ? ", shown by views or clones" : "") + "\n";
}

std::string describe(const Relative& relative, const BookVector<KnownVersion>& versions, std::uint64_t own_base) {
  std::string text = std::string("  relative \"") + relative.name + "\" at " + address_of(relative.base);
  for (std::size_t i = 0; i < versions.size(); ++i) {
    if (versions[i].name == relative.version) return text + ", cloned from snapshot " + std::to_string(i + 1) + "\n";
  }
  if (relative.version != 0 && relative.version == own_base) text += ", cloned from what this was cloned from";
  return text + "\n";
}

std::string indented(const std::string& lines) {
  std::string text;
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = lines.find('\n', at);
    text.append("  ").append(lines, at, end - at + 1);
    at = end + 1;
  }
  return text;
}

const char* name_of(Barrier barrier) {
  switch (barrier) {
    case Barrier::mprotect: return "mprotect";
    case Barrier::userfaultfd: return "userfaultfd";
    case Barrier::kernel: return "kernel";
    case Barrier::automatic: break;  // never the one in use
  }
  return "automatic";
}

}  // namespace

std::string Arena::dump() const {
  ArenaBooks& books = usable(books_, "dump");
  HeldVersions versions;
  BookVector<Relative> relatives;
  throw_if(versions.hold(books), "listing the snapshots of an arena");
  throw_if(list_relatives(books, relatives), "listing the relatives of an arena");

  std::string text = std::string("arena \"") + books.name + "\" at " + address_of(books.base) + ", " +
                     readable_bytes(capacity()) + ", " +
                     name_of(barrier()) +
                     (books.base_version != 0 ? ", a clone\n" : "\n");
  for (std::size_t i = 0; i < versions.list().size(); ++i)
    text += describe(versions.list()[i], versions.take(i), i + 1);
  for (const Relative& relative : relatives) text += describe(relative, versions.list(), books.base_version);
  text += "statistics\n" + indented(to_text(stats()));
  text += "memory\n" + indented(to_text(account_memory(*this)));
  return text + "pages\n" + indented(to_text(map_pages(*this)));
}

}  // namespace cow
