// The pieces a fault is made of, each measured alone: what the kernel charges, and the library's handler
// called as a plain function.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "setting.hpp"
#include "trial.hpp"

namespace bench {

/// Names of the pieces, in the order of a fault; `ns` of each is an average over many, without the clock's cost.
namespace piece {
inline constexpr std::string_view segv_delivery = "SIGSEGV: store to handler";
inline constexpr std::string_view segv_return = "SIGSEGV: handler to store";
inline constexpr std::string_view bus_delivery = "SIGBUS: store to handler";
inline constexpr std::string_view bus_return = "SIGBUS: handler to store";
inline constexpr std::string_view lookup = "look-up, an address not ours";
inline constexpr std::string_view resolve = "all of the handler, mprotect";
inline constexpr std::string_view resolve_userfaultfd = "all of the handler, userfaultfd";
inline constexpr std::string_view copy = "copy of a cold page";
inline constexpr std::string_view unprotect_split = "mprotect, splits a mapping";
inline constexpr std::string_view unprotect_store = "the store after mprotect";
inline constexpr std::string_view unprotect_extend = "mprotect, extends a neighbour";
inline constexpr std::string_view remap = "mmap over a page";
inline constexpr std::string_view remap_store = "the store after mmap";
inline constexpr std::string_view unprotect_userfault = "userfaultfd unprotect";
inline constexpr std::string_view userfault_store = "the store after userfaultfd";
}  // namespace piece

std::span<const std::string_view> fault_pieces() noexcept;
std::unique_ptr<Trial> make_fault_piece(std::string_view name, const Setting& setting, std::uint64_t seed);

}  // namespace bench
