// See files/compression.hpp. COW_WITH_ZSTD comes from the build.
#include "files/compression.hpp"

#include <new>
#include <stdexcept>

#ifdef COW_WITH_ZSTD
#include <zstd.h>
#endif

namespace cow::files {

#ifdef COW_WITH_ZSTD

struct Compressor::Context {
  ZSTD_CCtx* zstd = ZSTD_createCCtx();
};

bool can_compress() noexcept { return true; }
Levels compression_levels() noexcept { return {ZSTD_minCLevel(), ZSTD_maxCLevel()}; }

Compressor::Compressor(int level) : context_(std::make_unique<Context>()), level_(level) {
  if (context_->zstd == nullptr) throw std::bad_alloc();
}
Compressor::~Compressor() { ZSTD_freeCCtx(context_->zstd); }

std::optional<std::size_t> Compressor::compress(std::span<const std::byte> from, std::span<std::byte> into) {
  const std::size_t used =
      ZSTD_compressCCtx(context_->zstd, into.data(), into.size(), from.data(), from.size(), level_);
  if (ZSTD_isError(used)) return std::nullopt;
  return used;
}

bool decompress(std::span<const std::byte> from, std::span<std::byte> into) {
  return ZSTD_decompress(into.data(), into.size(), from.data(), from.size()) == into.size();
}

#else

struct Compressor::Context {};

bool can_compress() noexcept { return false; }
Levels compression_levels() noexcept { return {}; }

Compressor::Compressor(int level) : level_(level) {}
Compressor::~Compressor() = default;
std::optional<std::size_t> Compressor::compress(std::span<const std::byte>, std::span<std::byte>) {
  return (void)level_, std::nullopt;
}

bool decompress(std::span<const std::byte>, std::span<std::byte>) {
  throw std::runtime_error("it is compressed by zstd, and this library was built without it");
}

#endif

}  // namespace cow::files
