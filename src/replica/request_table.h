// RequestTable: the open requests of a node. A request is opened once and closed once; closing it
// is what answers it, so that no ticket is answered twice, and what is still open when a node ends
// can be found and answered.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/base/number.h"
#include "src/base/time.h"
#include "src/raft/types.h"
#include "src/replica/request.h"

namespace raftkv::replica {

// An open request; never given out again for another one (but after 2^32 of them in one place).
using Handle = Number<struct RequestHandleTag>;

// Who wants the answer.
struct Origin {
  Ticket ticket;                  // the client's, or the forwarding node's
  raft::MemberId member;          // the forwarding node; 0: a client of this node
  raft::Incarnation incarnation;  // of the forwarding node
};

enum class RequestKind { write, read, join, remove, transfer };

struct OpenRequest {
  Origin origin;
  RequestKind kind = RequestKind::read;
  Level level = Level::default_;       // read
  std::string text{};                  // the key of a read; the name in a change or transfer
  raft::InstanceId instance{};         // join
  Effect abandoned = Effect::unknown;  // what a failure without an outcome means for it
  Time deadline{};
};

class RequestTable {
 public:
  explicit RequestTable(std::size_t open_max) : open_max_(open_max) {}

  [[nodiscard]] bool full() const { return size_ >= open_max_; }
  [[nodiscard]] std::size_t size() const { return size_; }

  // Opens a request; the table must not be full. Deadlines are taken as never falling.
  Handle open(OpenRequest request);
  // nullptr: closed already. Good until the next open().
  [[nodiscard]] OpenRequest* find(Handle handle);
  // Closes an open request: CHECKs that it is open.
  OpenRequest close(Handle handle);

  // The one that was opened first; nullopt: none is open.
  [[nodiscard]] std::optional<Handle> oldest() const;
  [[nodiscard]] Time next_deadline() const;

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  struct Slot {
    OpenRequest request;
    std::uint32_t generation = 0;
    bool open = false;
    std::uint32_t before =
        kNone;  // of the open ones, by age; a free slot uses `after` for the list of free ones
    std::uint32_t after = kNone;
  };
  [[nodiscard]] Handle handle_of(std::uint32_t at) const;
  [[nodiscard]] std::uint32_t take_slot();
  void unlink(const Slot& slot);

  std::size_t open_max_;
  std::size_t size_ = 0;
  std::vector<Slot> slots_;
  std::uint32_t free_ = kNone;
  std::uint32_t oldest_ = kNone;
  std::uint32_t newest_ = kNone;
};

}  // namespace raftkv::replica
