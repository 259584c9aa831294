// Everything.
#pragma once

#include "cow/allocator.hpp"
#include "cow/arena.hpp"
#include "cow/faults.hpp"
#include "cow/heap.hpp"
#include "cow/memory_resource.hpp"
#include "cow/snapshot.hpp"
#include "cow/stats.hpp"
#include "cow/units.hpp"
#include "cow/view.hpp"
