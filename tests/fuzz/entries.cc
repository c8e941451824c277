// Bytes that should be an entry, from a disk or a peer.
#include <cstdint>
#include <string>

#include "src/base/check.h"
#include "src/base/checksum.h"
#include "src/raft/configuration.h"
#include "src/raft/entry.h"

using namespace raftkv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  // Half of the inputs get the checksum that they need to come further.
  if (bytes.size() >= raft::kEntryHeaderSize && (data[0] & 1)) {
    put_u64(bytes.data(), checksum64(std::string_view(bytes).substr(8)));
  }
  if (const auto front = raft::Entry::size_at_front(bytes)) CHECK(*front <= bytes.size());
  const auto entry = raft::Entry::decode(SharedBytes::from(bytes));
  if (!entry) return 0;
  CHECK(entry->intact());
  CHECK(entry->size() == bytes.size());
  const auto again = raft::Entry::seal(raft::EntryDraft::copy_of(entry->kind(), entry->payload()),
                                       entry->term(), entry->index());
  CHECK(again.bytes().view() == bytes, "a decoded entry seals to other bytes");
  if (entry->kind() != raft::EntryKind::configuration) return 0;
  if (const auto configuration = raft::Configuration::decode(entry->payload())) {
    std::string encoded;
    configuration->encode(encoded);
    CHECK(encoded == entry->payload(), "a decoded configuration encodes to other bytes");
  }
  return 0;
}
