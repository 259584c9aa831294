// Reads whole files, for the examples.
#pragma once

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace examples {

/// The whole of a file, which may also be a pipe. Throws std::runtime_error that names it.
inline std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  try {
    text.assign(std::istreambuf_iterator<char>(file), {});
  } catch (const std::ios_base::failure&) {  // a folder, say, which opens and cannot be read
    file.setstate(std::ios::failbit);
  }
  if (!file) throw std::runtime_error("cannot read " + path);
  return text;
}

}  // namespace examples
