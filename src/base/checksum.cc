#include "src/base/checksum.h"

// Compiled in: most of what is hashed is short, and a call into the library costs as much again.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>

#include "src/base/bytes.h"

namespace raftkv {
namespace {

// Table k holds what a byte does to the checksum when k more bytes follow it: eight bytes at a time
// then cost eight look-ups that do not wait for each other ("slicing by 8").
using Crc32cTables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Crc32cTables make_crc32c_tables() {
  Crc32cTables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0u);
    tables[0][i] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (std::uint32_t i = 0; i < 256; ++i) {
      const std::uint32_t before = tables[k - 1][i];
      tables[k][i] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Crc32cTables kCrc32c = make_crc32c_tables();

}  // namespace

std::uint64_t checksum64(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::uint64_t chain64(std::uint64_t before, std::uint64_t link) {
  std::array<char, 16> buffer;
  put_u64(buffer.data(), before);
  put_u64(buffer.data() + 8, link);
  return checksum64({buffer.data(), buffer.size()});
}

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) {
  crc = ~crc;
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) {
    const std::uint64_t eight = get_u64(bytes.data()) ^ crc;
    crc = 0;
    for (unsigned i = 0; i < 8; ++i) crc ^= kCrc32c[7 - i][(eight >> (8 * i)) & 0xff];
  }
  for (const char c : bytes) {
    crc = kCrc32c[0][(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  }
  return ~crc;
}

}  // namespace raftkv
