// Everything.
#pragma once

#include "cow/allocator.hpp"
#include "cow/arena.hpp"
#include "cow/copied_along.hpp"
#include "cow/fault_profile.hpp"
#include "cow/faults.hpp"
#include "cow/heap.hpp"
#include "cow/memory_account.hpp"
#include "cow/memory_resource.hpp"
#include "cow/page_map.hpp"
#include "cow/snapshot.hpp"
#include "cow/stats.hpp"
#include "cow/stats_format.hpp"
#include "cow/units.hpp"
#include "cow/view.hpp"
#include "cow/write_guard.hpp"
