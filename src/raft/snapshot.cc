// Log compaction and InstallSnapshot (§7, Figures 12 and 13), both ways.
#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/raft/raft.h"

namespace raftkv::raft {
namespace {

// What a leader can only send in this shape.
bool well_formed(const InstallSnapshot& request, Term term) {
  const SnapshotMeta& s = request.snapshot;
  return s.last_included_index && s.last_included_term && s.last_included_term <= term &&
         s.configuration_index <= s.last_included_index && !s.configuration.members.empty() &&
         request.stream;
}

}  // namespace

// --- the log is cut (§7: "each server takes snapshots independently") ---

void Raft::state_synced(Index index, Time /*now*/) {
  synced_ = std::max(synced_, index);
  cut_log();
}

// Never above what the durable state covers, for recovery replays the log behind it.
void Raft::cut_log() {
  if (state_lost_) return;
  Index gone = std::min({synced_, applied_, stable_.index()});
  gone = std::min(gone, log_.index_before_last(options_.log_kept_bytes));
  const Index needed_behind = log_needed_behind();
  const bool held = needed_behind < gone;
  gone = std::min(gone, needed_behind);
  if (held) mark(Mark::log_kept_for_a_stream);
  if (gone <= log_.prev_index() ||
      log_.bytes_between(log_.prev_index(), gone) < options_.log_cut_step_bytes)
    return;
  log_.cut_before(gone.next());
  out_.log_cut = LogCut{.first = log_.first_index(), .prev_term = log_.prev_term()};
  out_.events.push_back(LogCutTo{log_.first_index()});
}

// A peer that is receiving a snapshot, or has just received one, needs the log behind it, else it
// would need another. But not more than a bound.
Index Raft::log_needed_behind() {
  Index needed = log_.last_index();
  for (const auto& [peer, stream] : streams_) needed = std::min(needed, stream.behind());
  for (auto& [peer, progress] : progress_) {
    if (!progress.catching_up) continue;
    // As near as this the log is kept anyway.
    progress.catching_up =
        log_.bytes_between(progress.match_index(), log_.last_index()) > options_.log_kept_bytes;
    if (progress.catching_up) needed = std::min(needed, progress.match_index());
  }
  return std::max(needed, log_.index_before_last(options_.log_kept_for_streams_bytes));
}

// --- the follower's side (Figure 13, "InstallSnapshot RPC, receiver implementation") ---

void Raft::on(const Envelope& envelope, const InstallSnapshot& request, Time now) {
  if (envelope.term < current_term()) {  // 1. reply immediately if term < currentTerm
    mark(Mark::snapshot_of_an_older_term_answered);
    note_address(envelope.route.from, request.leader_address);
    send_after(write_with_hard_state(), envelope.route.from,
               InstallSnapshotReply{.stream = request.stream}, envelope.route.from_incarnation);
    return;
  }
  if (role_ == Role::leader || !well_formed(request, envelope.term)) return;
  heard_from_leader(envelope, request.leader_address, now);
  if (!expects_chunk(request)) {  // what is expected is answered when it is written
    snapshot_reply_owed_ = {.stream = request.stream,
                            .index = request.snapshot.last_included_index};
    return;
  }
  if (request.chunk > incoming_->handed_out) mark(Mark::chunk_came_early);
  incoming_->early.insert(
      {request.chunk, SnapshotChunk{.chunk = request.chunk,
                                    .data = request.data,
                                    .last = request.last,
                                    .contents_digest = request.contents_digest}});
  hand_out_chunks();
}

// 2. to 4. Chunks are written in order, beside the state; the host says when.
void Raft::hand_out_chunks() {
  IncomingSnapshot& incoming = *incoming_;
  auto next = incoming.early.begin();
  while (next != incoming.early.end() && next->first == incoming.handed_out) {
    SnapshotChunk& chunk = next->second;
    ++incoming.handed_out;
    incoming.last_handed_out = chunk.last;
    out_.snapshot_work.push_back(SnapshotReceive{.stream = incoming.receipt,
                                                 .snapshot = incoming.snapshot,
                                                 .chunk = chunk.chunk,
                                                 .last = chunk.last,
                                                 .contents_digest = chunk.contents_digest,
                                                 .data = std::move(chunk.data)});
    next = incoming.early.erase(next);
  }
}

// Is there something in it for us? At or below the commit index we have it all, unless the state is
// lost; then it must reach our log.
bool Raft::wants_snapshot(const SnapshotMeta& snapshot) const {
  const Index index = snapshot.last_included_index;
  if (!state_lost_) return index > commit_index_;
  if (index < log_.prev_index()) return false;
  return index > commit_index_ || log_.matches(index, snapshot.last_included_term);
}

// Is it a chunk that comes next, or soon? No more than a window of them is kept. One of a newer
// stream begins anew, but a snapshot that is whole is installed first.
bool Raft::expects_chunk(const InstallSnapshot& request) {
  if (!wants_snapshot(request.snapshot)) return false;
  const bool same =
      incoming_ && incoming_->term == current_term() && incoming_->stream == request.stream;
  if (same && request.chunk < incoming_->handed_out) mark(Mark::chunk_came_again);
  if (!same) {
    if (request.chunk != 0) return false;
    if (incoming_ && (incoming_->complete || incoming_->stream > request.stream)) return false;
    if (incoming_) mark(Mark::snapshot_began_anew);
    ++last_stream_;
    incoming_ = IncomingSnapshot{.stream = request.stream,
                                 .receipt = last_stream_,
                                 .term = current_term(),
                                 .snapshot = request.snapshot};
  }
  return request.chunk >= incoming_->handed_out &&
         request.chunk < incoming_->written + options_.snapshot_window_chunks &&
         !incoming_->last_handed_out && !incoming_->failed;
}

void Raft::snapshot_received(StreamId stream, std::uint64_t chunk, SnapshotReceipt receipt,
                             Time /*now*/) {
  if (!incoming_ || incoming_->receipt != stream || incoming_->failed || incoming_->complete)
    return;  // of a stream that has been given up
  CHECK(chunk == incoming_->written, "chunks are reported in another order");
  CHECK(chunk < incoming_->handed_out);
  snapshot_reply_owed_ = {.stream = incoming_->stream,
                          .index = incoming_->snapshot.last_included_index};
  if (receipt == SnapshotReceipt::failed) {
    incoming_->failed = true;
    return;
  }
  ++incoming_->written;
  const bool whole = incoming_->last_handed_out && incoming_->written == incoming_->handed_out;
  CHECK((receipt == SnapshotReceipt::complete) == whole,
        "only the last chunk completes a snapshot");
  incoming_->complete = whole;
  try_install_snapshot();
}

// What was handed out to be applied is applied to the old state: the snapshot waits for that.
void Raft::try_install_snapshot() {
  if (!incoming_ || !incoming_->complete || incoming_->installing) return;
  if (applied_ != handed_to_apply_) return mark(Mark::snapshot_waited_for_the_state_machine);
  if (!wants_snapshot(incoming_->snapshot)) {  // the log has brought us there meanwhile
    const OwedSnapshotReply owed{.stream = incoming_->stream,
                                 .index = incoming_->snapshot.last_included_index};
    mark(Mark::snapshot_overtaken_by_the_log);
    drop_incoming_snapshot();
    snapshot_reply_owed_ = owed;
    return;
  }
  install_snapshot(incoming_->snapshot);
}

// 5. to 8. The snapshot is the state from here on; it is durable with the next log write.
void Raft::install_snapshot(const SnapshotMeta& snapshot) {
  const Index index = snapshot.last_included_index;
  const Index configured = configuration_index();
  forget_log_through(snapshot);
  configurations_.insert(configurations_.begin(),
                         {snapshot.configuration_index, snapshot.configuration});
  unsaved_snapshot_ = snapshot;
  incoming_->installing = stable_.next_id();
  handed_to_apply_ = applied_ = index;
  matched_ = std::max(matched_, index);
  if (std::exchange(state_lost_, false)) mark(Mark::snapshot_replaced_a_lost_state);
  out_.events.push_back(SnapshotInstalled{index, snapshot.last_included_term});
  if (index > commit_index_) {
    commit_index_ = index;
    out_.events.push_back(Committed{commit_index_});
  }
  forget_old_configurations();  // a lost state's log knows of more commits than the snapshot has
  if (configuration_index() == configured) return;
  mark(Mark::snapshot_brought_a_configuration);
  configuration_in_force();
}

// 6. "If existing log entry has same index and term as snapshot's last included entry, retain log
// entries following it". 7. "Discard the entire log": what lies behind contradicts something
// committed, and pending writes of it make nothing stable any more.
void Raft::forget_log_through(const SnapshotMeta& snapshot) {
  const Index index = snapshot.last_included_index;
  const Index behind = index.next();
  const bool retained = log_.term(index) == snapshot.last_included_term;
  if (retained) {
    if (log_.last_index() > index) mark(Mark::snapshot_over_a_longer_log);
    log_.cut_before(behind);
    unsaved_from_ = std::max(unsaved_from_, behind);
    if (unsaved_truncate_) unsaved_truncate_ = std::max(*unsaved_truncate_, behind);
  } else {
    CHECK(index > commit_index_, "committed entries would be dropped");
    if (log_.last_index() >= index) mark(Mark::snapshot_contradicted_the_log);
    (void)stable_.truncated(commit_index_.next());
    log_.restart_behind(index, snapshot.last_included_term);
    unsaved_from_ = behind;
    unsaved_truncate_ = behind;
  }
  std::erase_if(configurations_,
                [&](const ConfigurationAt& c) { return !retained || c.index <= index; });
}

// The write that installs it is durable: now it may be acknowledged (I7), and what follows applied.
void Raft::snapshot_durable() {
  if (!incoming_ || !incoming_->installing || !stable_.done(*incoming_->installing)) return;
  synced_ = std::max(synced_, incoming_->snapshot.last_included_index);
  snapshot_reply_owed_ = {.stream = incoming_->stream,
                          .index = incoming_->snapshot.last_included_index};
  incoming_.reset();
}

void Raft::drop_incoming_snapshot() {
  if (incoming_ && incoming_->installing)  // durable or not, it is our state
    return mark(Mark::snapshot_outlived_its_term);
  if (incoming_ && !incoming_->failed) out_.snapshot_work.push_back(SnapshotDiscard{});
  incoming_.reset();
  snapshot_reply_owed_.reset();
}

// Like an acknowledgement of entries: it always says how far we are, whatever it answers.
void Raft::reply_about_snapshot() {
  if (!snapshot_reply_owed_ || !leader_ || !stable_.done(write_with_hard_state())) return;
  const OwedSnapshotReply owed = *std::exchange(snapshot_reply_owed_, std::nullopt);
  InstallSnapshotReply reply{.stream = owed.stream};
  const bool same =
      incoming_ && incoming_->term == current_term() && incoming_->stream == owed.stream;
  if (same) {
    reply.next_chunk = incoming_->written;
    reply.failed = incoming_->failed;
  }
  const bool installing = incoming_ && incoming_->installing;
  const Index durable = std::min(commit_index_, stable_.index());
  if (state_lost_) {
    reply.failed = reply.failed || owed.index < log_.prev_index();
  } else if (!installing && durable >= owed.index) {
    reply.installed = durable;
  }
  send(leader_, reply, leader_incarnation_);
}

// --- the leader's side ("the leader must occasionally send snapshots to followers that lag") ---

// What the windows let through: reads from the views, chunks to the peers.
void Raft::send_snapshots(Time now) {
  open_snapshots(now);
  for (auto& [peer, stream] : streams_) {
    if (const auto chunk = stream.next_to_read(options_)) {
      out_.snapshot_work.push_back(SnapshotRead{
          .stream = stream.id(), .chunk = *chunk, .bytes_max = options_.snapshot_chunk_bytes});
    }
    if (progress_.at(peer).disconnected) continue;
    while (const SnapshotChunk* chunk = stream.next_to_send(now)) {
      send(peer, InstallSnapshot{.snapshot = *stream.snapshot(),
                                 .stream = stream.id(),
                                 .chunk = chunk->chunk,
                                 .last = chunk->last,
                                 .contents_digest = chunk->contents_digest,
                                 .leader_address = own_address(),
                                 .data = chunk->data});
    }
  }
}

// There may be more peers than streams: they take turns, for one may fail again and again.
void Raft::open_snapshots(Time now) {
  while (streams_.size() < options_.snapshot_streams_max) {
    const MemberId peer = next_for_snapshot(now);
    if (!peer) return;
    progress_.at(peer).snapshot_due = false;
    last_streamed_to_ = peer;
    ++last_stream_;
    streams_.emplace(peer, SnapshotStream(last_stream_, applied_, now));
    out_.snapshot_work.push_back(SnapshotOpen{.stream = last_stream_, .peer = peer});
  }
  if (next_for_snapshot(now)) mark(Mark::snapshot_waited_for_a_free_stream);
}

// The first behind the one that was served last; 0: nobody.
MemberId Raft::next_for_snapshot(Time now) const {
  MemberId first;
  for (const auto& [peer, progress] : progress_) {
    const bool waits = progress.snapshot_due && progress.needs_snapshot() && !progress.departing &&
                       !streams_.contains(peer) && in_contact(peer, now);
    if (!waits) continue;
    if (peer > last_streamed_to_) return peer;
    if (!first) first = peer;
  }
  return first;
}

// With each heartbeat: what may be lost is sent again, what has no end is ended, and whoever found
// no place gets another chance.
void Raft::expire_snapshots(Time now) {
  for (auto& [peer, progress] : progress_) {
    const auto stream = streams_.find(peer);
    if (stream != streams_.end()) {
      if (stream->second.resend_after(2 * options_.heartbeat_interval, now))
        mark(Mark::stream_resumed);
      if (stream->second.over(options_, now)) {
        mark(Mark::stream_given_up);
        close_stream(peer);
      }
    }
    progress.snapshot_due = progress.needs_snapshot();
    if (!in_contact(peer, now)) progress.catching_up = false;
  }
}

void Raft::on(const Envelope& envelope, const InstallSnapshotReply& reply, Time now) {
  if (role_ != Role::leader) return;
  const MemberId id = envelope.route.from;
  const auto peer = progress_.find(id);
  if (peer == progress_.end() || reply.installed > log_.last_index()) return;
  Progress& progress = peer->second;
  progress.last_contact = now;
  progress.disconnected = false;
  const bool news = progress.acknowledged(reply.installed);
  const auto found = streams_.find(id);
  if (found != streams_.end() && found->second.id() == reply.stream) {
    SnapshotStream& stream = found->second;
    stream.acknowledged(reply.next_chunk, now);
    const auto& snapshot = stream.snapshot();
    const bool installed = snapshot && reply.installed >= snapshot->last_included_index;
    if (installed) progress.snapshot_wanted = false;
    if (installed && progress.needs_snapshot()) {  // the log was cut
      mark(Mark::log_cut_during_a_stream);
      progress.snapshot_due = true;
    }
    if (reply.failed) mark(Mark::stream_failed_at_its_receiver);
    if (installed || reply.failed) close_stream(id);
  }
  close_stream_if_done(id, progress);
  if (!news) return;
  commit_by_quorum(now);
  try_timeout_now();
}

// None: it has ended, and an answer to it means nothing.
std::map<MemberId, SnapshotStream>::iterator Raft::find_stream(StreamId stream) {
  return std::find_if(streams_.begin(), streams_.end(),
                      [stream](const auto& s) { return s.second.id() == stream; });
}

void Raft::close_stream(MemberId peer) {
  const auto stream = streams_.find(peer);
  if (stream == streams_.end()) return;
  out_.snapshot_work.push_back(SnapshotClose{.stream = stream->second.id()});
  const auto& snapshot = stream->second.snapshot();
  Progress& progress = progress_.at(peer);
  if (snapshot && !progress.snapshot_wanted &&
      progress.match_index() >= snapshot->last_included_index) {
    progress.catching_up = true;
    out_.events.push_back(SnapshotSent{.peer = peer, .index = snapshot->last_included_index});
  }
  streams_.erase(stream);
}

// The peer goes on with the log: it has the snapshot, or did not need it in the end.
void Raft::close_stream_if_done(MemberId peer, const Progress& progress) {
  if (progress.needs_snapshot() || !streams_.contains(peer)) return;
  mark(Mark::stream_ended_by_the_log);
  close_stream(peer);
}

void Raft::snapshot_opened(StreamId stream, std::optional<SnapshotMeta> snapshot, Time now) {
  const auto found = find_stream(stream);
  if (found == streams_.end()) return;
  // A state that is older than what we have applied has not been put in its place yet.
  if (!snapshot || snapshot->last_included_index < found->second.behind()) {
    if (snapshot) mark(Mark::view_older_than_what_was_applied);
    return close_stream(found->first);
  }
  CHECK(log_.matches(snapshot->last_included_index, snapshot->last_included_term),
        "the state is not of this log");
  CHECK(snapshot->last_included_index <= commit_index_);
  found->second.opened(std::move(*snapshot), now);
}

void Raft::snapshot_read(StreamId stream, std::optional<SnapshotChunk> chunk, Time /*now*/) {
  const auto found = find_stream(stream);
  if (found == streams_.end()) return;
  if (!chunk) return close_stream(found->first);
  CHECK(found->second.read(std::move(*chunk)), "a chunk that nobody asked for");
}

}  // namespace raftkv::raft
