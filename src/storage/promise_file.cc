#include "src/storage/promise_file.h"

#include <fmt/format.h>

#include <algorithm>
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

std::string file_name(const std::string& directory, int number) {
  return fmt::format("{}/promise.{}", directory, number);
}

void encode(const Slot& slot, std::string& out) {
  const Promise& promise = slot.promise;
  out.clear();
  ByteWriter writer(out);
  writer.u64(0);
  writer.u32(kPromiseSlotSize);
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
    writer.sized(*text);
  }
  CHECK(out.size() <= kPromiseSlotSize);
  out.resize(kPromiseSlotSize, '\0');
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
  const std::string_view rest = reader.raw(reader.left());
  const bool holds = reader.ok() && flags <= kLostFlag && zero == 0 && slot.generation > 0 &&
                     rest.find_first_not_of('\0') == std::string_view::npos;
  if (!holds) return corrupt("its fields do not hold");
  return slot;
}

Result<Slot> decode(std::string_view bytes) {
  if (bytes.size() != kPromiseSlotSize || get_u32(&bytes[kSizeAt]) != kPromiseSlotSize) {
    return corrupt("a slot is not whole");
  }
  if (get_u64(bytes.data()) != checksum64(bytes.substr(kChecksumSize))) {
    return corrupt("a slot has a bad checksum");
  }
  // From here on the bytes are as somebody wrote them.
  if (static_cast<std::uint8_t>(bytes[kVersionAt]) != kPromiseVersion) {
    return failure(ErrorCode::unsupported, "promise file: written by a newer version of raftkv");
  }
  return decode_fields(bytes);
}

// What one of the files holds.
struct Contents {
  std::optional<Slot> newest;
  std::uint64_t first_generation = 0;  // that the first slot has, whole or not
  bool torn = false;                   // something not whole stands behind the newest
};

Result<Contents> decode_slots(std::string_view bytes) {
  Contents contents;
  contents.torn = bytes.empty();  // begun, and nothing written
  for (std::uint64_t i = 0; !bytes.empty(); ++i) {
    auto slot = decode(bytes.substr(0, kPromiseSlotSize));
    bytes.remove_prefix(std::min(bytes.size(), kPromiseSlotSize));
    contents.torn = !slot;
    if (!slot) {
      if (slot.error().code != ErrorCode::corrupt) return failure(slot);
      continue;
    }
    const bool in_order =
        contents.newest ? slot->generation == contents.first_generation + i : slot->generation > i;
    if (!in_order) return corrupt("its slots contradict each other");
    contents.first_generation = slot->generation - i;
    contents.newest = std::move(*slot);
  }
  return contents;
}

// Nullopt: there is no such file.
Result<std::optional<Contents>> read_file(leveldb::Env& env, const std::string& name) {
  if (!env.FileExists(name)) return std::nullopt;
  std::string bytes;
  if (const auto status = leveldb::ReadFileToString(&env, name, &bytes); !status.ok()) {
    return failure_of(status, "promise file: cannot read");
  }
  auto contents = decode_slots(bytes);
  if (!contents) return failure(contents);
  return std::move(*contents);
}

}  // namespace

bool PromiseFile::exists(leveldb::Env& env, const std::string& directory) {
  return env.FileExists(file_name(directory, 0)) || env.FileExists(file_name(directory, 1));
}

Status PromiseFile::create(FailStopEnv& env, const std::string& directory, const Promise& promise) {
  CHECK(!exists(env, directory));
  std::string bytes;
  encode({.generation = 1, .promise = promise}, bytes);
  const std::string name = file_name(directory, 0);
  const std::string unfinished = name + ".tmp";
  if (Status written = write_synced(env, unfinished, bytes); !written) return written;
  if (const auto status = env.RenameFile(unfinished, name); !status.ok()) {
    return failure(ErrorCode::fatal, "promise file: " + status.ToString());
  }
  return {};
}

Result<PromiseFile> PromiseFile::open(FailStopEnv& env, std::string directory) {
  if (!exists(env, directory)) return failure(ErrorCode::not_found, "promise file: there is none");
  std::array<std::optional<Contents>, 2> files;
  for (int number = 0; number < 2; ++number) {
    auto contents = read_file(env, file_name(directory, number));
    if (!contents) return failure(contents);
    files[number] = std::move(*contents);
  }
  const auto generation = [&](int number) {
    return files[number] && files[number]->newest ? files[number]->newest->generation : 0;
  };
  const int newer = generation(1) > generation(0) ? 1 : 0;
  if (generation(newer) == 0) return corrupt("no slot is whole");
  const auto& other = files[1 - newer];
  if (generation(1 - newer) >= files[newer]->first_generation) {
    return corrupt("its slots contradict each other");
  }
  PromiseFile file(env, std::move(directory));
  file.number_ = newer;
  file.generation_ = generation(newer);
  file.promise_ = files[newer]->newest->promise;
  // A file without any whole slot was begun behind the newest.
  file.was_torn_ = files[newer]->torn || (other && !other->newest);
  return file;
}

Status PromiseFile::save(const Promise& promise) {
  if (file_ == nullptr || slots_ == kPromiseSlotsMax) {
    if (Status begun = begin_other_file(); !begun) return begun;
  }
  encode({.generation = generation_ + 1, .promise = promise}, buffer_);
  auto status = file_->Append(buffer_);
  if (status.ok()) status = file_->Sync();
  if (!status.ok()) return failure(ErrorCode::fatal, "promise file: " + status.ToString());
  ++slots_;
  ++generation_;
  promise_ = promise;
  return {};
}

Status PromiseFile::begin_other_file() {
  leveldb::WritableFile* opened = nullptr;
  const auto status = env_->NewWritableFile(file_name(directory_, 1 - number_), &opened);
  if (!status.ok()) return failure(ErrorCode::fatal, "promise file: " + status.ToString());
  file_.reset(opened);
  number_ = 1 - number_;
  slots_ = 0;
  return {};
}

}  // namespace raftkv::storage
