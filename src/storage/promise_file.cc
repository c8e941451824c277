#include "src/storage/promise_file.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/checksum.h"
#include "src/storage/status.h"

namespace raftkv::storage {
namespace {

constexpr std::size_t kChecksumSize = 8;
constexpr std::size_t kSizeAt = 8;
constexpr std::size_t kVersionAt = 12;
constexpr std::size_t kTextsAt = 96;
constexpr std::uint8_t kLostFlag = 1;

struct Slot {
  std::uint64_t generation = 0;
  Promise promise;
};

std::string slot_name(const std::string& directory, std::uint64_t generation) {
  return fmt::format("{}/promise.{}", directory, generation % 2);
}

void encode(const Slot& slot, std::string& out) {
  const Promise& promise = slot.promise;
  out.clear();
  ByteWriter writer(out);
  writer.u64(0);
  writer.u32(0);
  writer.u8(kPromiseVersion);
  writer.u8(promise.lost ? kLostFlag : 0);
  writer.u16(0);
  writer.u64(slot.generation);
  writer.u64(promise.identity.cluster.value);
  writer.u64(promise.identity.member.value);
  writer.u64(promise.identity.instance.value);
  writer.u64(promise.identity.incarnation.value);
  writer.u64(promise.hard_state.current_term.value);
  writer.u64(promise.hard_state.voted_for.value);
  writer.u64(promise.through.index.value);
  writer.u64(promise.through.term.value);
  writer.u64(promise.through.sequence);
  CHECK(out.size() == kTextsAt);
  for (const std::string* text : {&promise.state_directory, &promise.names.name,
                                  &promise.names.http_address, &promise.names.raft_address}) {
    CHECK(text->size() <= kPromiseTextMax);
    writer.sized(*text);
  }
  put_u32(&out[kSizeAt], static_cast<std::uint32_t>(out.size()));
  put_u64(out.data(), checksum64(std::string_view(out).substr(kChecksumSize)));
}

std::unexpected<Error> corrupt(std::string_view what) {
  return failure(ErrorCode::corrupt, fmt::format("promise file: {}", what));
}

// The fields behind the version, of a slot whose checksum is right.
Result<Slot> decode_fields(std::string_view bytes) {
  ByteReader reader(bytes.substr(kVersionAt + 1));
  Slot slot;
  Promise& promise = slot.promise;
  const std::uint8_t flags = reader.u8();
  const std::uint16_t zero = reader.u16();
  slot.generation = reader.u64();
  promise.lost = flags == kLostFlag;
  promise.identity.cluster = raft::ClusterId(reader.u64());
  promise.identity.member = raft::MemberId(reader.u64());
  promise.identity.instance = raft::InstanceId(reader.u64());
  promise.identity.incarnation = raft::Incarnation(reader.u64());
  promise.hard_state.current_term = raft::Term(reader.u64());
  promise.hard_state.voted_for = raft::MemberId(reader.u64());
  promise.through.index = raft::Index(reader.u64());
  promise.through.term = raft::Term(reader.u64());
  promise.through.sequence = reader.u64();
  for (std::string* text : {&promise.state_directory, &promise.names.name,
                            &promise.names.http_address, &promise.names.raft_address}) {
    *text = reader.sized();
  }
  if (!reader.done() || flags > kLostFlag || zero != 0) return corrupt("its fields do not hold");
  return slot;
}

Result<Slot> decode(std::string_view bytes) {
  if (bytes.size() <= kVersionAt) return corrupt("a slot is too short");
  if (get_u32(&bytes[kSizeAt]) != bytes.size()) return corrupt("a slot is not whole");
  if (get_u64(bytes.data()) != checksum64(bytes.substr(kChecksumSize))) {
    return corrupt("a slot has a bad checksum");
  }
  // From here on the bytes are as somebody wrote them.
  if (static_cast<std::uint8_t>(bytes[kVersionAt]) != kPromiseVersion) {
    return failure(ErrorCode::unsupported, "promise file: written by a newer version of raftkv");
  }
  return decode_fields(bytes);
}

// Nullopt: there is no such file.
Result<std::optional<Slot>> read_slot(leveldb::Env& env, const std::string& directory,
                                      std::uint64_t number) {
  const std::string name = slot_name(directory, number);
  if (!env.FileExists(name)) return std::nullopt;
  std::string bytes;
  if (const auto status = leveldb::ReadFileToString(&env, name, &bytes); !status.ok()) {
    return failure_of(status, "promise file: cannot read");
  }
  auto slot = decode(bytes);
  if (!slot) return failure(slot);
  if (slot->generation % 2 != number) return corrupt("a slot is in the wrong place");
  return std::move(*slot);
}

}  // namespace

bool PromiseFile::exists(leveldb::Env& env, const std::string& directory) {
  return env.FileExists(slot_name(directory, 0)) || env.FileExists(slot_name(directory, 1));
}

Status PromiseFile::create(FailStopEnv& env, const std::string& directory, const Promise& promise) {
  CHECK(!exists(env, directory));
  std::string bytes;
  encode({.generation = 1, .promise = promise}, bytes);
  const std::string name = slot_name(directory, 1);
  const std::string unfinished = name + ".tmp";
  if (Status written = write_synced(env, unfinished, bytes); !written) return written;
  if (const auto status = env.RenameFile(unfinished, name); !status.ok()) {
    return failure(ErrorCode::fatal, "promise file: " + status.ToString());
  }
  return {};
}

Result<PromiseFile> PromiseFile::open(FailStopEnv& env, std::string directory) {
  if (!exists(env, directory)) return failure(ErrorCode::not_found, "promise file: there is none");
  std::array<Result<std::optional<Slot>>, 2> slots = {read_slot(env, directory, 0),
                                                      read_slot(env, directory, 1)};
  const Slot* newest = nullptr;
  for (const auto& slot : slots) {
    if (!slot) {
      if (slot.error().code != ErrorCode::corrupt) return failure(slot);
    } else if (*slot && (newest == nullptr || (*slot)->generation > newest->generation)) {
      newest = &**slot;
    }
  }
  if (newest == nullptr) return corrupt("no slot is whole");
  const auto& other = slots[(newest->generation + 1) % 2];
  const bool other_is_whole = other && *other;
  if (other_is_whole && (*other)->generation + 1 != newest->generation) {
    return corrupt("its slots contradict each other");
  }
  PromiseFile file(env, std::move(directory));
  file.generation_ = newest->generation;
  file.promise_ = newest->promise;
  file.other_slot_was_bad_ = !other || (newest->generation > 1 && !*other);
  return file;
}

Status PromiseFile::save(const Promise& promise) {
  encode({.generation = generation_ + 1, .promise = promise}, buffer_);
  if (Status written = write_synced(*env_, slot_name(directory_, generation_ + 1), buffer_);
      !written) {
    return written;
  }
  ++generation_;
  promise_ = promise;
  return {};
}

}  // namespace raftkv::storage
