#include "src/replica/snapshot_intake.h"

#include <utility>

#include "src/base/check.h"

namespace raftkv::replica {
namespace {

// Is the state that was received the one that the leader spoke of?
Status compare(const StateMeta& meta, const raft::SnapshotMeta& snapshot) {
  const raft::SnapshotMeta received{.last_included_index = meta.applied,
                                    .last_included_term = meta.applied_term,
                                    .configuration_index = meta.configuration_index,
                                    .configuration = meta.configuration};
  if (received == snapshot) return {};
  return failure(ErrorCode::corrupt, "snapshot: it is not the one that was announced");
}

}  // namespace

void SnapshotIntake::hold() {
  CHECK(!busy_ && !held_, "a snapshot is installed while one is received");
  held_ = true;
}

void SnapshotIntake::adopt() {
  CHECK(held_ && !busy_);
  busy_ = true;
  worker_.run(
      [this]() -> Status {
        adopted_ = store_.adopt();
        return {};
      },
      [this](const Status&) {
        busy_ = held_ = false;
        on_adopted_(adopted_);
      });
}

void SnapshotIntake::start() {
  if (busy_ || held_ || queue_.empty()) return;
  busy_ = true;
  current_ = std::move(queue_.front());
  queue_.pop_front();
  worker_.run(
      [this] { return std::visit([this](const auto& piece) { return work(piece); }, current_); },
      [this](const Status& status) { finished(status); });
}

Status SnapshotIntake::work(const raft::SnapshotReceive& receive) {
  if (Status written = store_.receive(receive.data.view(), receive.chunk == 0); !written) {
    return written;
  }
  if (!receive.last) return {};
  const auto complete = store_.complete(receive.contents_digest);
  return complete ? compare(*complete, receive.snapshot) : Status(failure(complete));
}

Status SnapshotIntake::work(const raft::SnapshotDiscard& /*discard*/) {
  return store_.discard();
}

void SnapshotIntake::finished(const Status& status) {
  busy_ = false;
  Received received;
  if (const auto* receive = std::get_if<raft::SnapshotReceive>(&current_)) {
    received.stream = receive->stream;
    received.chunk = receive->chunk;
    received.bytes = receive->data.size();
    if (status) {
      received.receipt =
          receive->last ? raft::SnapshotReceipt::complete : raft::SnapshotReceipt::written;
    }
  }
  current_ = raft::SnapshotDiscard{};  // forgets the bytes
  on_received_(status, received);
}

}  // namespace raftkv::replica
