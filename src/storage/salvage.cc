#include "src/storage/salvage.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace raftkv::storage {
namespace {

constexpr std::size_t kChunkBytes = 1u << 20;
constexpr std::string_view kWayOut =
    "recover from the directory of another node, or restore a backup";

}  // namespace

Result<std::unique_ptr<Salvage>> Salvage::open(Disk& disk, const std::string& path) {
  std::unique_ptr<Salvage> salvage(new Salvage(disk));
  auto directory = DataDirectory::take(salvage->disk_, path, /*make=*/false);
  if (!directory) return failure(directory);
  salvage->directory_ = std::move(*directory);
  auto node = salvage->directory_->open();
  if (!node) {
    return failure(node.error().code, fmt::format("{}; or {}", node.error().message, kWayOut));
  }
  salvage->node_ = std::make_unique<OpenedNode>(std::move(*node));
  if (salvage->node_->recovered.state_lost) {
    const std::string& damage = salvage->node_->state_damage;
    return failure(
        ErrorCode::corrupt,
        fmt::format("{} has no whole state ({}), and its log does not reach back to the "
                    "beginning: {}",
                    path, damage.empty() ? "lost at an earlier start" : damage, kWayOut));
  }
  return salvage;
}

raft::Configuration Salvage::configuration() const {
  raft::Configuration last = node_->recovered.configuration;
  for (const raft::Entry& entry : node_->recovered.tail) {
    if (entry.kind() != raft::EntryKind::configuration) continue;
    auto configuration = raft::Configuration::decode(entry.payload());
    if (configuration) last = std::move(*configuration);
  }
  return last;
}

raft::Term Salvage::term() const {
  const raft::Recovered& recovered = node_->recovered;
  return std::max(
      {recovered.hard_state.current_term, recovered.last_term(), node_->state.applied_term});
}

Result<Seed> Salvage::seed() const {
  Seed seed = {.next = {}, .tail = node_->recovered.tail, .term = term()};
  if (!node_->state.applied) return seed;  // the log is all that there is
  auto opened = node_->state_store->open_snapshot();
  if (!opened) return failure(opened);
  std::shared_ptr<replica::SnapshotReader> reader = std::move(*opened);
  seed.next = [reader]() -> Result<replica::StateChunk> {
    auto chunk = reader->next(kChunkBytes);
    if (chunk || chunk.error().code != ErrorCode::corrupt) return chunk;
    return failure(ErrorCode::corrupt, fmt::format("{}: {}", chunk.error().message, kWayOut));
  };
  return seed;
}

}  // namespace raftkv::storage
