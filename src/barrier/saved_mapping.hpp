// Content in saved files as few mappings: a layer's scattered pages are copied over the file that they lie on.
#pragma once

#include "books/run_list.hpp"
#include "kernel/os.hpp"
#include "storage/frame_file.hpp"

namespace cow {

/// Whether the runs are many, and some of them lie in saved files.
bool scattered_in_saved_files(const FrameFile& file, const RunList& runs) noexcept;

/// Shows runs read-only over an address range that nobody uses yet. Saved files are mapped privately, and short runs in
/// the middle of a long one become pages of that mapping's own.
os::Error map_saved_with_copies(const FrameFile& file, std::byte* base, const RunList& runs) noexcept;

}  // namespace cow
