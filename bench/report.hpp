// Results for people and programs: tables, CSV, plots. Measures nothing.
#pragma once

#include <filesystem>
#include <ostream>

#include "figures.hpp"
#include "machine.hpp"
#include "results.hpp"

namespace bench {

/// Tables: each stage, the anatomy of a fault, the bars.
void print_stages(std::ostream& out, const Results& results);
void print_anatomy(std::ostream& out, const Results& results);
void print_figures(std::ostream& out, const std::vector<Figure>& figures);

/// One line for each competitor, setting and part: median, quartiles, rounds.
void write_csv(const std::filesystem::path& path, const Results& results, const Machine& machine);
/// SVGs by gnuplot, as far as the results have two points for a line. The number drawn; 0 where gnuplot is missing.
unsigned draw_plots(const std::filesystem::path& folder, const Results& results, const Machine& machine);

}  // namespace bench
