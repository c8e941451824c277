// Checksums: XXH3 for everything of ours on disk and wire; CRC-32C only to read LevelDB's own
// format.
#pragma once

#include <cstdint>
#include <string_view>

namespace raftkv {

// XXH3-64 of the bytes (https://github.com/Cyan4973/xxHash). Stable across versions and machines.
[[nodiscard]] std::uint64_t checksum64(std::string_view bytes, std::uint64_t seed = 0);

// A chain over a sequence: the hash of what came before, and one more link.
[[nodiscard]] std::uint64_t chain64(std::uint64_t before, std::uint64_t link);

// CRC-32C (Castagnoli), as LevelDB's log and table formats use it, without LevelDB's masking.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0);

}  // namespace raftkv
