// What a process keeps for its fork() children: versions of its arenas, on loan until the child has ended or
// has become another program, which the parent finds out by itself.
#pragma once

#include <boost/intrusive/slist.hpp>

#include "books/arena_books.hpp"
#include "kernel/book_memory.hpp"
#include "kernel/fault_lock.hpp"

namespace cow {

/// One version that a child shows.
struct KeptVersion {
  Version* version = nullptr;  // with a handle
  Loan* loan = nullptr;        // may be null: then the child shows nothing of it
};

/// A child and its own children. Its life is seen by a page of a memory file that it has mapped and the parent has not:
/// the kernel drops the mapping with the address space, by exit and by exec, whatever descriptors the child closes
/// before.
class ForkChild : public boost::intrusive::slist_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
 public:
  ForkChild() noexcept = default;
  ForkChild(const ForkChild&) = delete;
  ForkChild& operator=(const ForkChild&) = delete;
  ~ForkChild();

  /// Maps the page, before fork().
  os::Error open() noexcept;
  /// After fork(), in the parent: from now on only the child has it mapped.
  void leave_page_to_child() noexcept;
  /// After fork(), in the child: the page stays mapped for as long as this process lives.
  void become_this_process() noexcept { page_ = nullptr; }
  bool has_ended() const noexcept;

  BookVector<KeptVersion> kept;

 private:
  os::Descriptor fd_;
  void* page_ = nullptr;
};

namespace fork_children {

/// Takes it over. Asynchronous signals are blocked.
void add(ForkChild& child) noexcept;
/// In a child: those of its parent are none of its own. Where another thread was changing the list, their descriptors
/// stay open.
void begin_in_child() noexcept;

/// Releases what is kept for children that have ended. No lock of an arena may be held. Cost: a system call for each
/// child.
void release_ended() noexcept;
/// Asks after a few of them only, others the next time.
void release_some_ended() noexcept;

}  // namespace fork_children
}  // namespace cow
