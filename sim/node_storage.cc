#include "sim/node_storage.h"

#include <utility>

#include "src/base/check.h"

namespace raftkv::sim {
namespace {

class MemoryStorage final : public NodeStorage {
 public:
  explicit MemoryStorage(DiskWitness& witness) : disk_(witness) {}

  void found(const raft::Identity& identity, const std::vector<raft::Entry>& entries) override {
    identity_ = identity;
    raft::LogWrite write;
    write.id = raft::WriteId(1);
    write.hard_state = raft::HardState{entries.back().term(), raft::MemberId()};
    write.entries = entries;
    CHECK(disk_.append({&write, 1}).has_value());
  }
  [[nodiscard]] Result<raft::InstanceId> begin_join(raft::InstanceId fresh) override {
    if (!identity_.instance) identity_.instance = fresh;
    return identity_.instance;
  }
  [[nodiscard]] Status finish_join(raft::ClusterId cluster, raft::MemberId member) override {
    identity_.cluster = cluster;
    identity_.member = member;
    return {};
  }
  [[nodiscard]] bool holds_node() override { return static_cast<bool>(identity_.member); }

  [[nodiscard]] Result<Opened> open() override {
    identity_.incarnation = identity_.incarnation.next();
    state_store_ = std::make_unique<replica::StateStore>(disk_);
    const auto meta = state_store_->load();
    CHECK(meta.has_value(), "a simulated disk gives back what was written");
    return Opened{.identity = identity_,
                  .recovered = replica::recover(disk_.image(), *meta),
                  .meta = *meta,
                  .log = &disk_,
                  .state = state_store_.get()};
  }
  [[nodiscard]] bool in_use() const override { return state_store_ != nullptr; }
  [[nodiscard]] const kv::MemoryStore::Contents* contents() override { return &disk_.contents(); }

  void freeze_after(std::uint64_t operations) override { disk_.freeze_after(operations); }
  void thaw() override { disk_.thaw(); }
  [[nodiscard]] bool frozen() const override { return disk_.frozen(); }
  // An operation of the state is whole or not there: between two of them is where a crash may be.
  [[nodiscard]] bool strikes_every_job() const override { return false; }
  [[nodiscard]] std::uint64_t operations_of_a_job() const override { return 8; }
  void crash(Crash kind, Prng& prng) override {
    state_store_.reset();
    disk_.crash(kind, prng);
  }
  void wipe() override {
    disk_.wipe();
    identity_ = {};
  }
  void lose_state() override { disk_.lose_state(); }

 private:
  Disk disk_;
  raft::Identity identity_;  // member 0: none yet
  std::unique_ptr<replica::StateStore> state_store_;
};

}  // namespace

std::unique_ptr<NodeStorage> make_memory_storage(DiskWitness& witness) {
  return std::make_unique<MemoryStorage>(witness);
}

}  // namespace raftkv::sim
