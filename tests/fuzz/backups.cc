// Bytes that should be a backup, from a file or a node, in pieces. What is taken for whole is held
// against a receiver of its own.
#include <algorithm>
#include <cstdint>
#include <string>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/checksum.h"
#include "src/replica/backup.h"

using namespace raftkv;

namespace {

constexpr std::size_t kHead = 16;

// The blocks get the checksums that they need to come further.
void seal(std::string& bytes) {
  std::uint64_t checksum = 0;
  std::size_t at = replica::kBackupMagic.size();
  while (bytes.size() >= at + kHead) {
    const std::size_t size =
        std::min<std::size_t>(get_u32(bytes.data() + at + 8), bytes.size() - at - kHead);
    checksum = checksum64(std::string_view(bytes).substr(at + 8, kHead - 8 + size), checksum);
    put_u64(bytes.data() + at, checksum);
    at += kHead + size;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string bytes(replica::kBackupMagic);
  bytes.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] & 1) seal(bytes);
  const std::size_t step = 1 + data[0] / 2;
  replica::BackupDecoder decoder;
  kv::MemoryStore store;
  replica::SnapshotWriter writer(store);
  for (std::size_t from = 0; from < bytes.size(); from += step) {
    std::string_view piece = std::string_view(bytes).substr(from, step);
    while (!piece.empty()) {
      const auto chunk = decoder.take(piece);
      if (!chunk) return 0;
      if (!*chunk) continue;
      CHECK(writer.add((*chunk)->data).has_value(), "pairs that a snapshot's receiver refuses");
      if (!(*chunk)->last) continue;
      const auto state = writer.complete((*chunk)->contents_digest);
      CHECK(state.has_value(), "a whole backup that is no state");
      CHECK(state->applied == decoder.header()->applied);
    }
  }
  CHECK(decoder.finish().has_value() == decoder.whole());
  return 0;
}
