// Errors as C knows them. The text is of a fixed size: nothing here needs memory.
#include "capi/errors.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "cow/cow.h"

namespace cow::capi {

namespace {

constexpr std::size_t longest_text = 1024;
thread_local constinit char text_of_thread[longest_text] = "";

int code_of(const std::system_error& error) noexcept {
  const int code = error.code().value();
  const bool is_errno = error.code().category() == std::generic_category() ||
                        error.code().category() == std::system_category();
  return is_errno && code > 0 ? code : EIO;
}

/// What texts for C++ call by names that C does not have.
struct Name {
  std::string_view cpp, c;
};
constexpr Name names[] = {
    {"Transaction::roll_back()", "cow_transaction_roll_back()"},
    {"cow::Heap::set_root", "cow_heap_set_root"},
    {"cow::Heap::root", "cow_heap_root"},
    {"cow::Heap::reallocate", "cow_heap_realloc"},
    {"cow::Heap::allocate", "cow_heap_malloc"},
    {"cow::Heap", "cow_heap"},
    {"cow::Allocator", "cow_heap"},
    {"the Heap", "the heap"},
    {"no Heap", "no heap"},
    {"the View", "the view"},
    {"Arena::snapshot()", "cow_arena_snapshot()"},
    {"Barrier::automatic", "COW_BARRIER_AUTOMATIC"},
    {"Barrier::kernel", "COW_BARRIER_KERNEL"},
    {"Compression::zstd", "COW_COMPRESSION_ZSTD"},
    {"ArenaOptions::", "cow_arena_options."},
    {"SaveOptions::", "cow_save_options."},
    {"LoadOptions::", "cow_load_options."},
    {"Arena or View", "arena or view"},
    {"an Arena", "an arena"},
    {"the Arena", "the arena"},
    {"a Snapshot", "a snapshot"},
    {"RefuseWrites", "cow_refuse_writes"},
    {"adopt()", "cow_arena_adopt()"},
    {"exclude()", "cow_arena_exclude()"},
    {"clone()", "cow_arena_clone()"},
    {"merge()", "cow_arena_merge()"},
    {"at()", "cow_arena_at()"},
};

bool goes_on_a_name(char c) noexcept { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

void in_words_of_c(std::string_view text, char* out, std::size_t size) noexcept {
  std::size_t done = 0;
  const auto put = [&](std::string_view part) { done += part.copy(out + done, size - 1 - done); };
  for (std::size_t at = 0; at < text.size();) {
    const bool in_a_name = at != 0 && goes_on_a_name(text[at - 1]);
    const Name* const name = std::find_if(std::begin(names), std::end(names), [&](const Name& one) {
      return !in_a_name && text.substr(at, one.cpp.size()) == one.cpp;
    });
    put(name == std::end(names) ? text.substr(at, 1) : name->c);
    at += name == std::end(names) ? 1 : name->cpp.size();
  }
  out[done] = '\0';
}

}  // namespace

int fail(const char* call, int code, const char* why) noexcept {
  const int begun = std::snprintf(text_of_thread, sizeof text_of_thread, "%s: ", call);
  in_words_of_c(why, text_of_thread + begun, sizeof text_of_thread - static_cast<std::size_t>(begun));
  return -code;
}

int fail_with_current_exception(const char* call) noexcept {
  try {
    throw;
  } catch (const Refused& error) {
    return fail(call, error.code(), error.what());
  } catch (const std::system_error& error) {
    return fail(call, code_of(error), error.what());
  } catch (const std::bad_alloc& error) {
    return fail(call, ENOMEM, error.what());
  } catch (const std::length_error&) {
    return fail(call, ENOMEM, "the list of results is longer than any memory");
  } catch (const std::invalid_argument& error) {
    return fail(call, EINVAL, error.what());
  } catch (const std::out_of_range& error) {
    return fail(call, EINVAL, error.what());
  } catch (const std::logic_error& error) {
    return fail(call, EPERM, error.what());
  } catch (const std::exception& error) {
    return fail(call, EIO, error.what());
  } catch (...) {
    return fail(call, EIO, "a callback threw what is no std::exception");
  }
}

const char* last_error() noexcept { return text_of_thread; }

void require(bool holds, const char* what_is_wrong) {
  if (!holds) throw Refused(what_is_wrong, EINVAL);
}

}  // namespace cow::capi

const char* cow_last_error() noexcept { return cow::capi::last_error(); }
