// Reads whole files, for the examples.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace examples {

/// The whole of a file, which may also be a pipe. Throws std::system_error that names it.
inline std::string file_text(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  std::string text;
  std::vector<char> piece(std::size_t{1} << 20);
  while (file) {
    const std::size_t size = std::fread(piece.data(), 1, piece.size(), file.get());
    text.append(piece.data(), size);
    if (size == piece.size()) continue;
    if (std::ferror(file.get()) != 0) break;  // a folder, say, which opens and cannot be read
    return text;
  }
  throw std::system_error(errno, std::generic_category(), "cannot read " + path);
}

}  // namespace examples
