// The tables on the terminal and the CSV.
#include "report.hpp"

#include <cmath>
#include <fstream>
#include <iomanip>
#include <map>

#include "catalogue.hpp"
#include "fault_pieces.hpp"

namespace bench {
namespace {

/// What tells the settings of one stage apart.
std::string variant(const Setting& setting) {
  std::string result = count_text(setting.writes) + " " + text(setting.pattern);
  if (setting.threads > 1) result += ", " + count_text(setting.threads) + " threads";
  if (setting.alive > 1) result += ", " + count_text(setting.alive) + " alive";
  return result;
}

void print_row(std::ostream& out, const Row& row) {
  const auto column = [&](double ns) { out << std::right << std::setw(9) << time_text(ns); };
  out << "  " << std::left << std::setw(28) << row.competitor << std::setw(30) << variant(row.setting);
  column(row.at(Part::snapshot));
  column(row.at(Part::writes) / row.at(Part::first_writes));
  column(row.at(Part::reads));
  column(row.at(Part::restore));
  column(row.at(Part::drop));
  column(row.at(Part::total));
  out << "  " << time_text(row.at(Part::total, 0.25)) << " .. " << time_text(row.at(Part::total, 0.75));
  if (!std::isnan(row.at(Part::level))) out << "  " << std::setprecision(3) << row.at(Part::level) << " %";
  if (!row.note.empty()) out << "  (" << row.note << ")";
  out << "\n";
}

/// One way through a fault: its pieces, and the whole as measured in a cycle.
struct Path {
  std::string_view title;
  std::vector<std::string_view> pieces;
  std::string_view whole;
};

const std::vector<Path> paths = {
    {"history moves, mprotect",
     {piece::segv_delivery, piece::lookup_mprotect, piece::copy, piece::unprotect_split, piece::segv_return},
     name::cow},
    {"writer moves, mprotect",
     {piece::segv_delivery, piece::lookup_mprotect, piece::copy, piece::remap, piece::segv_return, piece::remap_fault},
     {}},
    {"history moves, userfaultfd",
     {piece::bus_delivery, piece::lookup_automatic, piece::copy, piece::unprotect_userfault, piece::bus_return},
     name::cow_auto},
};

std::map<std::string, const Row*, std::less<>> rows_of_anatomy(const Results& results) {
  std::map<std::string, const Row*, std::less<>> rows;
  for (const Row& row : results.rows()) {
    if (row.stage == "anatomy of a fault" && !row.samples.empty()) rows[row.competitor] = &row;
  }
  return rows;
}

}  // namespace

void print_stages(std::ostream& out, const Results& results) {
  std::string_view stage;
  for (const Row& row : results.rows()) {
    if (row.setting.experiment == Experiment::fault_pieces) continue;
    if (row.stage != stage) {
      stage = row.stage;
      out << "\n" << std::left << std::setw(60) << stage;
      for (const char* title : {"snapshot", "a write", "old read", "restore", "drop", "total"}) {
        out << std::right << std::setw(9) << title;
      }
      out << "  quartiles\n";
    }
    print_row(out, row);
  }
}

void print_anatomy(std::ostream& out, const Results& results) {
  const auto rows = rows_of_anatomy(results);
  if (rows.empty()) return;
  out << "\nAnatomy of a fault, scattered pages\n";
  for (const Path& path : paths) {
    double sum = 0;
    out << "  " << path.title << "\n";
    for (const auto piece : path.pieces) {
      const auto row = rows.find(piece);
      const double ns = row == rows.end() ? NAN : row->second->at(Part::total);
      out << "    " << std::left << std::setw(30) << piece << std::right << std::setw(10) << time_text(ns) << "\n";
      sum += ns;
    }
    out << "    " << std::left << std::setw(30) << "sum" << std::right << std::setw(10) << time_text(sum);
    if (const auto whole = rows.find(path.whole); whole != rows.end()) {
      const double ns = whole->second->at(Part::writes) / whole->second->at(Part::first_writes);
      out << "; the whole as measured " << time_text(ns) << ", unaccounted " << time_text(ns - sum);
    }
    out << "\n";
  }
  if (const auto fork = rows.find(name::fork); fork != rows.end()) {
    const double ns = fork->second->at(Part::writes) / fork->second->at(Part::first_writes);
    out << "  the kernel's own, after fork()    " << time_text(ns) << "\n";
  }
}

void print_figures(std::ostream& out, const std::vector<Figure>& figures) {
  out << "\n" << std::left << std::setw(58) << "bar (1 GiB unless said)" << std::setw(42) << "asked" << std::setw(30)
      << "measured" << std::setw(9) << "value" << "\n";
  unsigned passed = 0, measured = 0;
  for (const Figure& figure : figures) {
    if (std::isnan(figure.value)) continue;
    ++measured;
    passed += figure.pass();
    out << std::left << std::setw(58) << figure.what << std::setw(42) << figure.bar << std::setw(30) << figure.measured
        << std::setw(9) << std::setprecision(3) << figure.value << (figure.pass() ? "pass" : "short") << "\n";
  }
  out << passed << " of " << measured << " bars passed";
  if (measured < figures.size()) out << "; " << figures.size() - measured << " not measured in this mode or here";
  out << "\n";
}

void write_csv(const std::filesystem::path& path, const Results& results, const Machine& machine) {
  std::ofstream out(path);
  out << "# " << machine.text() << "\n"
      << "stage,competitor,bytes,writes,pattern,threads,alive,part,median,lower_quartile,upper_quartile,rounds,note\n";
  for (const Row& row : results.rows()) {
    for (std::size_t i = 0; i < part_count; ++i) {
      const auto part = static_cast<Part>(i);
      if (std::isnan(row.at(part))) continue;
      out << '"' << row.stage << "\",\"" << row.competitor << "\"," << row.setting.bytes << ',' << row.setting.writes << ','
          << text(row.setting.pattern) << ',' << row.setting.threads << ',' << row.setting.alive << ',' << part_names[i]
          << ',' << row.at(part) << ',' << row.at(part, 0.25) << ',' << row.at(part, 0.75) << ',' << row.samples.size()
          << ",\"" << row.note << "\"\n";
    }
  }
}

}  // namespace bench
