#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/replica/host_impl.h"

namespace raftkv::replica {
namespace {

constexpr int kHandOverElectionTimeouts = 2;

}  // namespace

// A disk that failed once may have lost what it said was durable: nothing that this node says may
// be believed.
void Host::Impl::fail(const Error& error) {
  if (fatal_) return;
  fatal_ = true;
  abandon_all(Problem::stopping,
              "this node's disk has failed and it takes no further part: " + error.message);
  ports_.network.keep({});  // so that the others know at once
  ports_.observer.observe(Stopped{error});
  wake();
}

void Host::Impl::stop(Duration limit, std::move_only_function<void()> done) {
  CHECK(!stop_, "a node is stopped once");
  stop_.emplace();
  stop_->deadline = now() + limit;
  // A successor is there after a message and an election, or there is none: the last nodes of a
  // cluster that is shut down must not wait for one.
  stop_->hand_over_until =
      std::min(stop_->deadline, now() + kHandOverElectionTimeouts * options_.raft.election_timeout);
  stop_->done = std::move(done);
  // Refused: there is nobody to hand over to, or it is being done already.
  stop_->led = takes_part() && leads();
  if (stop_->led) (void)raft_.transfer_leadership(raft::MemberId(), now());
  wake();
}

void Host::Impl::advance_stop(Time time) {
  using Phase = Stop::Phase;
  const bool out_of_time = time >= stop_->deadline;
  if (fatal_) {
    stop_->phase = Phase::done;
    return;
  }
  // The successor may need this node's vote, and its first entry tells what became of the last
  // requests.
  const bool awaits_successor = stop_->led && !raft_.leader();
  if (stop_->phase == Phase::handing_over &&
      (time >= stop_->hand_over_until || !(raft_.transferring() || awaits_successor))) {
    stop_->phase = Phase::draining;
  }
  if (stop_->phase == Phase::draining && (out_of_time || requests_.size() == 0)) {
    abandon_all(Problem::stopping, "this node is being stopped");
    log_.finish();
    apply_.finish();
    stop_->phase = Phase::closing;
  }
  if (stop_->phase == Phase::closing && (out_of_time || (log_.idle() && apply_.idle()))) {
    stop_->phase = Phase::done;
  }
}

}  // namespace raftkv::replica
