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

void print_row(std::ostream& out, const Row& row) {
  const auto column = [&](double ns) { out << std::right << std::setw(9) << time_text(ns); };
  out << "  " << std::left << std::setw(28) << row.competitor << std::setw(30) << workload_text(row.setting);
  column(row.at(Part::snapshot));
  column(row.first_write_ns());
  column(row.at(Part::reads));
  column(row.at(Part::restore));
  column(row.at(Part::drop));
  column(row.at(Part::total));
  out << "  " << time_text(row.at(Part::total, 0.25)) << " .. " << time_text(row.at(Part::total, 0.75));
  if (!std::isnan(row.at(Part::level))) out << "  " << std::setprecision(3) << row.at(Part::level) << " %";
  if (!row.note.empty()) out << "  (" << row.note << ")";
  out << "\n";
}

/// One way through a fault: the signal, the pieces of the handler, and both as measured whole.
struct Path {
  std::string_view title;
  std::string_view delivery;
  std::vector<std::string_view> pieces;
  std::string_view back;
  std::string_view store;    // repeated after the handler, it can fault once more, in the kernel alone
  std::string_view handler;  // all of it in one; what the pieces leave of it are the books
  std::string_view whole;    // the competitor whose first writes take this way
};

const std::vector<Path> paths = {
    {"history moves, mprotect",
     piece::segv_delivery,
     {piece::lookup, piece::copy, piece::unprotect_split},
     piece::segv_return,
     piece::unprotect_store,
     piece::resolve,
     name::cow},
    {"history moves, userfaultfd",
     piece::bus_delivery,
     {piece::lookup, piece::copy, piece::unprotect_userfault},
     piece::bus_return,
     piece::userfault_store,
     piece::resolve_userfaultfd,
     name::cow_userfaultfd},
    {"writer moves, mprotect; its books not counted",
     piece::segv_delivery,
     {piece::lookup, piece::copy, piece::remap},
     piece::segv_return,
     piece::remap_store,
     {},
     {}},
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
    if (row.setting.experiment == Experiment::fault_pieces) continue;  // in the anatomy
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
  const auto line = [&](std::string_view what, double ns) {
    out << "    " << std::left << std::setw(32) << what << std::right << std::setw(10) << time_text(ns) << "\n";
  };
  const auto time_of = [&](std::string_view piece) {
    const auto row = rows.find(piece);
    return row == rows.end() ? std::numeric_limits<double>::quiet_NaN() : row->second->at(Part::total);
  };
  const auto write_of = [&](std::string_view competitor) {
    const auto row = rows.find(competitor);
    return row == rows.end() ? std::numeric_limits<double>::quiet_NaN() : row->second->first_write_ns();
  };
  out << "\nAnatomy of a fault, scattered pages\n";
  for (const Path& path : paths) {
    out << "  " << path.title << "\n";
    line(path.delivery, time_of(path.delivery));
    double pieces_ns = 0;
    for (const auto piece : path.pieces) {
      line(piece, time_of(piece));
      pieces_ns += time_of(piece);
    }
    const double handler_ns = path.handler.empty() ? pieces_ns : time_of(path.handler);
    if (!path.handler.empty()) line("books (what the handler adds)", handler_ns - pieces_ns);
    line(path.back, time_of(path.back));
    line(path.store, time_of(path.store));
    line("sum", time_of(path.delivery) + handler_ns + time_of(path.back) + time_of(path.store));
    if (!path.whole.empty()) line("as measured in a cycle", write_of(path.whole));
  }
  out << "  the kernel's own, after fork()\n";
  line("as measured in a cycle", write_of(name::fork));
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
      const Setting& setting = row.setting;
      out << '"' << row.stage << "\",\"" << row.competitor << "\"," << setting.bytes << ',' << setting.writes << ','
          << text(setting.pattern) << ',' << setting.threads << ',' << setting.alive << ',' << part_names[i] << ','
          << row.at(part) << ',' << row.at(part, 0.25) << ',' << row.at(part, 0.75) << ',' << row.samples.size()
          << ",\"" << row.note << "\"\n";
    }
  }
}

}  // namespace bench
