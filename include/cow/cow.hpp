// Everything.
#pragma once

#include "cow/arena.hpp"
#include "cow/faults.hpp"
#include "cow/snapshot.hpp"
#include "cow/stats.hpp"
#include "cow/units.hpp"
#include "cow/view.hpp"
