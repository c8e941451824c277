// The inside of a Host. Five files, by what comes in:
//
//   host.cc           inputs, the turn, effects, what workers report
//   host_snapshots.cc snapshots that are sent and received, and the log that they allow to cut
//   host_requests.cc  requests of clients and administrators, and their answers
//   host_peers.cc     frames, forwarding, addresses
//   host_stop.cc      a clean stop, and the end after a fatal error
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/replica/apply_pipeline.h"
#include "src/replica/forward.h"
#include "src/replica/forwards.h"
#include "src/replica/host.h"
#include "src/replica/log_cuts.h"
#include "src/replica/log_fetches.h"
#include "src/replica/log_pipeline.h"
#include "src/replica/peers.h"
#include "src/replica/pending.h"
#include "src/replica/readiness.h"
#include "src/replica/reads.h"
#include "src/replica/request_table.h"
#include "src/replica/snapshot_intake.h"
#include "src/replica/snapshot_streams.h"

namespace raftkv::replica {

// How far a clean stop has come.
struct Stop {
  enum class Phase {
    handing_over,  // leadership goes to another node
    draining,      // requests that are open find their outcome
    closing,       // takes no further part; the last words go to disk
    done,
  };
  Phase phase = Phase::handing_over;
  bool led = false;  // when it was asked to stop
  Time hand_over_until{};
  Time deadline{};
  std::move_only_function<void()> done;
};

class Host::Impl {
 public:
  Impl(HostOptions options, const raft::Identity& identity, raft::Recovered recovered,
       StateMeta meta, const HostPorts& ports, Prng prng);

  // --- host.cc ---
  void expire();
  void turn();
  [[nodiscard]] const raft::Raft& raft() const { return raft_; }
  [[nodiscard]] const StateMeta& applied() const { return applied_; }

  // --- host_requests.cc ---
  void submit(Ticket ticket, Request request);
  [[nodiscard]] NodeStatus status();
  [[nodiscard]] std::size_t open_requests() const { return requests_.size() + outbox_.size(); }

  // --- host_peers.cc ---
  [[nodiscard]] Status receive(SharedBytes bytes);
  void peer_event(raft::MemberId peer, raft::PeerEvent event);

  // --- host_stop.cc ---
  void stop(Duration limit, std::move_only_function<void()> done);
  [[nodiscard]] bool stopped() const { return fatal_; }

 private:
  struct OutgoingAnswer {
    Origin origin;
    Reply reply;
  };

  // --- host.cc ---
  [[nodiscard]] Time now() { return ports_.clock.now(); }
  void wake();
  [[nodiscard]] bool takes_part() const;
  [[nodiscard]] bool leads() const { return raft_.role() == raft::Role::leader; }
  void carry_out(Time now);
  void observe(raft::Event&& event);
  void mark(Mark mark) { marks_.set(mark); }
  void observe_marks();
  void notice_lost_leadership(Time now);
  void start_work(Time now);
  void arm_timer();
  void log_done(const Status& status, raft::WriteId last);
  void apply_done(const Status& status, std::span<const raft::Entry> entries, ApplyResult& result);
  void state_synced(const Status& status, Index through);
  void answer_reads(std::vector<Reads::Item>& items);
  void fetch_done(const Status& status, const raft::LogFetch& fetch,
                  std::vector<raft::Entry> entries);

  // --- host_snapshots.cc ---
  void carry_out_snapshots();
  void snapshot_opened(const Status& status, SnapshotStreams::Opened opened);
  void snapshot_read(const Status& status, SnapshotStreams::Read read);
  void snapshot_received(const Status& status, const SnapshotIntake::Received& received);
  void snapshot_adopted(const Result<StateMeta>& meta);
  [[nodiscard]] bool went_well(const Status& status);

  // --- host_requests.cc: each takes a request that nobody has answered yet ---
  void begin(const Origin& origin, Request request);
  void take(const Origin& origin, Write&& request);
  void take(const Origin& origin, Read&& request);
  void take(const Origin& origin, Join&& request);
  void take(const Origin& origin, Remove&& request);
  void take(const Origin& origin, Transfer&& request);
  void take(const Origin& origin, GetMembers&& request);
  void take(const Origin& origin, GetStatus&& request);
  void take(const Origin& origin, Barrier&& request);
  void change_members(OpenRequest request, const raft::MemberChange& change);
  [[nodiscard]] Handle open(OpenRequest request);
  // The end of a request: closes it (once) and queues its answer for the end of the turn.
  void answer(Handle handle, Answer answer);
  void answer(const Origin& origin, Answer answer);
  void abandon(Handle handle, Problem problem, std::string_view detail);
  void abandon_all(Problem problem, std::string_view detail);
  void deliver_answers();
  [[nodiscard]] Answer outcome_of(const OpenRequest& request, Index index,
                                  const kv::Outcome& outcome) const;
  void resolve(const PendingProposals::Resolved& resolved, std::span<const raft::Entry> entries,
               const ApplyResult& result);
  void grant(const raft::ReadGranted& granted);
  void refuse(const raft::ReadRefused& refused);
  void transfer_ended(const raft::TransferEnded& ended);
  void transfer_decided(raft::MemberId leader);
  void expire_requests(Time now);
  [[nodiscard]] Reply make_reply(Answer answer) const;
  [[nodiscard]] std::optional<LeaderHint> leader_hint() const;
  [[nodiscard]] std::optional<std::int64_t> last_contact_ms(Time now) const;
  [[nodiscard]] Failed not_leader() const;

  // --- host_peers.cc ---
  [[nodiscard]] Status take_frame(SharedBytes bytes);
  [[nodiscard]] Status take_forward(const raft::ReceivedFrame& frame);
  [[nodiscard]] Status take_forward_reply(const raft::ReceivedFrame& frame);
  void forward(const Origin& origin, Request&& request);
  void send_frame(raft::MemberId to, raft::Incarnation to_incarnation, raft::FrameKind kind,
                  std::string_view body);
  void forwards_lost(raft::MemberId to, std::string_view why);
  [[nodiscard]] const std::string* address_of(raft::MemberId member) const;
  void keep_connections();
  void note_departures();
  void compare_advertised();
  void advertise(Time now);
  [[nodiscard]] raft::MemberId whom_to_tell();

  // --- host_stop.cc ---
  void fail(const Error& error);
  void advance_stop(Time now);

  const HostOptions options_;
  HostPorts ports_;
  const Time started_;
  raft::Raft raft_;
  raft::Effects effects_;  // reused by every turn
  MarkSet marks_;          // since the last turn
  StateMeta applied_;

  LogPipeline log_;
  ApplyPipeline apply_;
  Reads reads_;
  LogFetches fetches_;
  LogCuts cuts_;
  SnapshotStreams streams_;
  SnapshotIntake intake_;
  std::optional<raft::WriteId> install_write_;  // makes the complete snapshot the state

  RequestTable requests_;
  PendingProposals pending_;
  Forwards forwards_;
  std::optional<Handle> transfer_;  // waits for TransferEnded, then for the next leader
  raft::MemberId successor_;        // who was told to campaign; 0: still ours
  raft::Term leading_term_;         // as of the last turn; 0: did not lead
  std::vector<OutgoingAnswer> outbox_;
  std::vector<OutgoingAnswer> delivering_;
  std::vector<PendingProposals::Resolved> resolved_;  // reused
  std::vector<Handle> handles_;                       // reused

  Peers peers_;
  std::vector<PeerAddress> kept_;
  std::vector<PeerAddress> departing_;
  bool connections_changed_ = true;
  std::string heard_address_;        // the leader's, as kept_ knows it
  bool advertised_differs_ = false;  // from what the configuration says of this node
  Time advertise_at_{};
  std::size_t advertised_ = 0;  // times: whom to tell next while no leader is known
  CommitHistory commits_;

  bool turn_asked_ = false;
  Time wake_up_ = kNever;  // as asked for
  bool fatal_ = false;
  std::optional<Stop> stop_;
};

}  // namespace raftkv::replica
