// Log replication (§5.3) and commitment (§5.4.2), both ways.
#include <algorithm>
#include <utility>

#include "src/base/check.h"
#include "src/raft/raft.h"

namespace raftkv::raft {
namespace {

// What a leader can only send in this shape (I18): contiguous from prev + 1, terms that do not fall
// and are not above the message's.
bool well_formed(const AppendEntries& request, Term term) {
  Index next = request.prev_log_index.next();
  Term previous = request.prev_log_term;
  for (const Entry& entry : request.entries) {
    if (entry.index() != next || entry.term() < previous || entry.term() > term) return false;
    if (entry.kind() == EntryKind::configuration && !Configuration::decode(entry.payload()))
      return false;
    previous = entry.term();
    ++next;
  }
  return previous <= term;
}

}  // namespace

// --- the log ---

void Raft::append(Entry entry) {
  const Index index = entry.index();
  std::optional<Configuration> configuration;
  if (entry.kind() == EntryKind::configuration) {
    auto decoded = Configuration::decode(entry.payload());
    CHECK(decoded.has_value());
    configuration = std::move(*decoded);
  }
  log_.append(std::move(entry));
  if (configuration) configuration_appended(index, std::move(*configuration));
}

// "Leader Append-Only: a leader never overwrites or deletes entries in its log" (Figure 3).
void Raft::append_own(EntryDraft draft) {
  CHECK(role_ == Role::leader);
  append(Entry::seal(std::move(draft), current_term(), log_.last_index().next()));
}

void Raft::truncate_from(Index from) {
  CHECK(from > commit_index_, "a committed entry would be dropped");
  CHECK(role_ != Role::leader);
  mark(Mark::conflict_truncated_the_log);
  log_.truncate_from(from);
  if (stable_.truncated(from)) mark(Mark::truncation_clipped_a_pending_write);
  if (from < unsaved_from_) {
    unsaved_truncate_ = unsaved_truncate_ ? std::min(*unsaved_truncate_, from) : from;
    unsaved_from_ = from;
  }
  out_.events.push_back(Truncated{from});
  // A configuration rolls back with its entry (§6).
  bool rolled_back = false;
  while (configurations_.back().index >= from) {
    configurations_.pop_back();
    rolled_back = true;
  }
  if (!rolled_back) return;
  mark(Mark::conflict_truncated_a_configuration);
  configuration_in_force();
}

// --- the follower's side (Figure 2, "AppendEntries RPC, receiver implementation") ---

void Raft::on(const Envelope& envelope, AppendEntries& request, Time now) {
  if (envelope.term < current_term()) {  // 1. reply false if term < currentTerm
    mark(Mark::append_of_an_older_term_answered);
    note_address(envelope.route.from, request.leader_address);
    send_after(write_with_hard_state(), envelope.route.from, AppendEntriesReply{},
               envelope.route.from_incarnation);
    return;
  }
  if (role_ == Role::leader || !well_formed(request, envelope.term))
    return;  // no leader of this term sends that
  heard_from_leader(envelope, request.leader_address, now);
  leader_commit_ = std::max(leader_commit_, request.leader_commit);
  if (envelope.route.to_incarnation == identity_.incarnation)
    commit_told_ = std::max(commit_told_, request.leader_commit);
  leader_round_ = std::max(leader_round_, request.read_round);
  // Entries are acknowledged when they are durable; contact and read rounds at once.
  if (request.entries.empty() || leader_round_ > replied_round_) reply_owed_ = true;
  if (!request.entries.empty() &&
      log_.bytes_between(applied_, commit_index_) > options_.unapplied_bytes_max) {
    mark(Mark::append_refused_by_a_full_state_machine);
    reply_owed_ = true;  // the state machine is behind: the leader will send them again
    return;
  }
  if (!log_.matches(request.prev_log_index,
                    request.prev_log_term)) {  // 2. no entry at prevLogIndex that matches
    refuse_append(envelope, request);
    return;
  }
  const Index match(request.prev_log_index.value + request.entries.size());
  if (!take_entries(envelope, request)) return;
  matched_ = std::max(matched_, match);
  // 5. "commitIndex = min(leaderCommit, index of last new entry)": what lies behind it may be
  // another leader's.
  if (leader_commit_ > matched_ && matched_ < log_.last_index() && matched_ > commit_index_)
    mark(Mark::commit_stopped_before_a_foreign_tail);
  commit_through(std::min(leader_commit_, matched_));
  repair_promise();
}

void Raft::heard_from_leader(const Envelope& envelope, const std::string& leader_address,
                             Time now) {
  if (role_ == Role::candidate) {
    mark(Mark::candidate_found_its_leader);
    become_follower(current_term(), "found the leader of its term", now);
  }
  set_leader(envelope.route.from);
  leader_incarnation_ = envelope.route.from_incarnation;
  if (!leader_address.empty()) leader_address_ = leader_address;
  last_leader_contact_ = now;
  reset_election_timer(now);
}

// Tells the leader where the last common entry may be: none above hint_index, where our term is no
// higher than that of the entry it asked about. It finds the place in one step for each term that
// differs, not for each entry.
void Raft::refuse_append(const Envelope& envelope, const AppendEntries& request) {
  const Index hint = log_.last_index_not_above(request.prev_log_index, request.prev_log_term);
  const bool gap = request.prev_log_index > log_.last_index();
  mark(gap ? Mark::append_left_a_gap : Mark::append_contradicted_the_log);
  if (hint < std::min(request.prev_log_index, log_.last_index()))
    mark(Mark::followers_hint_jumped_over_a_term);
  AppendEntriesReply reply;
  reply.match_index = std::min(matched_, stable_.index());
  reply.read_round = leader_round_;
  reply.conflict = AppendEntriesReply::Conflict{.prev_log_index = request.prev_log_index,
                                                .hint_index = hint,
                                                .hint_term = log_.term(hint).value_or(Term())};
  reply.snapshot_wanted = state_lost_;
  send_after(write_with_hard_state(), envelope.route.from, reply, envelope.route.from_incarnation);
  reply_owed_ = false;
}

// 3. "If an existing entry conflicts with a new one (same index but different terms), delete the
// existing entry and all that follow it". 4. "Append any new entries not already in the log". An
// entry that is there already is left alone: a message that is late or doubled must not cut off
// what came after it. False: the request contradicts something committed, which no leader does.
bool Raft::take_entries(const Envelope& envelope, AppendEntries& request) {
  const auto first_new =
      std::find_if(request.entries.begin(), request.entries.end(),
                   [&](const Entry& entry) { return !log_.matches(entry.index(), entry.term()); });
  if (first_new == request.entries.end()) {
    if (!request.entries.empty() && request.entries.back().index() < log_.last_index())
      mark(Mark::late_append_left_the_log_alone);
    reply_owed_ = true;
    return true;
  }
  CHECK(envelope.route.from == leader_);
  if (first_new != request.entries.begin()) mark(Mark::append_partly_known);
  if (first_new->index() <= log_.last_index()) {
    if (first_new->index() <= commit_index_) return false;
    truncate_from(first_new->index());
  }
  for (auto entry = first_new; entry != request.entries.end(); ++entry) append(std::move(*entry));
  return true;
}

// Sends an acknowledgement when it would say something new.
void Raft::owe_reply_if_news() {
  if (leader_ && std::min(matched_, stable_.index()) > replied_match_) reply_owed_ = true;
}

// An acknowledgement is a level, not a message: it always says how far we agree with this leader
// *durably* (I7).
void Raft::reply_to_leader() {
  if (!reply_owed_ || !leader_ || !stable_.done(write_with_hard_state())) return;
  reply_owed_ = false;
  replied_match_ = std::min(matched_, stable_.index());
  replied_round_ = leader_round_;
  AppendEntriesReply reply;
  reply.match_index = replied_match_;
  reply.read_round = replied_round_;
  reply.snapshot_wanted = state_lost_;
  send(leader_, reply, leader_incarnation_);
}

void Raft::commit_through(Index index) {
  if (index <= commit_index_) return;
  CHECK(index <= log_.last_index());
  commit_index_ = index;
  forget_old_configurations();
  out_.events.push_back(Committed{commit_index_});
}

// A node that has lost a promise may vote again when its durable log has all that a leader of its
// own or a later term had committed, in its own term, and told this incarnation (rule 10, I19).
// Only what was sent to this incarnation counts: a message that set out before the loss may come
// after it, and what this node acknowledged in between may be committed.
void Raft::repair_promise() {
  if (!promise_lost_ || !leader_ || !commit_told_) return;
  if (std::min(matched_, stable_.index()) < commit_told_) return;
  if (log_.term(commit_told_) != current_term()) return;
  promise_lost_ = false;
  mark(Mark::lost_promise_repaired);
  out_.events.push_back(PromiseRepaired{});
}

// --- the leader's side ---

void Raft::on(const Envelope& envelope, const AppendEntriesReply& reply, Time now) {
  if (role_ != Role::leader) return;
  const auto peer = progress_.find(envelope.route.from);
  if (peer == progress_.end() || reply.match_index > log_.last_index()) return;
  Progress& progress = peer->second;
  progress.last_contact = now;
  progress.disconnected = false;
  progress.round_acknowledged(reply.read_round);
  progress.snapshot_wanted = reply.snapshot_wanted;
  const bool news = progress.acknowledged(reply.match_index);
  if (reply.conflict) {
    // Where our log has a term no higher than the hint's, nothing below it can differ without being
    // found next.
    const Index hint =
        log_.last_index_not_above(reply.conflict->hint_index, reply.conflict->hint_term);
    if (!progress.refused(reply.conflict->prev_log_index, hint)) {
      mark(Mark::stale_refusal_ignored);
    } else if (hint.next() < reply.conflict->hint_index) {
      mark(Mark::leaders_probe_jumped_over_a_term);
    }
  }
  progress.snapshot_due = progress.needs_snapshot();  // it is there to receive one
  close_stream_if_done(peer->first, progress);
  confirm_reads();
  if (!news) return;
  commit_by_quorum(now);
  try_timeout_now();
}

// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] >= N, and
// log[N].term == currentTerm: set commitIndex = N" (Figure 2; §5.4.2, Figure 8). The leader counts
// its own log as far as it is durable, and not at all when it is no voter.
void Raft::commit_by_quorum(Time now) {
  const auto match = [&](MemberId id) -> std::uint64_t {
    if (is_self(id)) return stable_.index().value;
    const auto peer = progress_.find(id);
    return peer == progress_.end() ? 0 : peer->second.match_index().value;
  };
  const Index reached(quorum_reached(configuration(), match));
  mark_commit(reached, match, now);
  if (reached <= commit_index_ || log_.term(reached) != current_term()) return;
  commit_through(reached);
  drive_membership(now);
}

void Raft::replicate() {
  for (auto& [id, progress] : progress_) send_append(id, progress);
}

// Sends what the window lets through. What is owed (a heartbeat, a read round) travels with entries
// if there are some, else alone. A peer without a connection gets heartbeats only: entries would
// pile up on their way to nobody.
void Raft::send_append(MemberId peer, Progress& progress) {
  // The entry before the one that it needs next must be in the log, else it needs a snapshot (§7).
  if (progress.next_index() < log_.first_index() || progress.state() == Progress::State::snapshot) {
    if (progress.await_snapshot(log_.first_index())) mark(Mark::peer_needs_a_snapshot);
  }
  while (!progress.disconnected && progress.window_open(options_) &&
         progress.next_index() <= leaving_through()) {
    const bool probing = progress.state() == Progress::State::probe;
    AppendEntries request = append_request(progress);
    if (progress.next_index() >= log_.cached_from()) {
      log_.collect(progress.next_index(), leaving_through(), options_.entries_per_message_max,
                   options_.bytes_per_message_max, request.entries);
    } else if (!probing) {
      fetch_for(peer, progress);
      break;
    }
    std::size_t bytes = 0;
    for (const Entry& entry : request.entries) bytes += entry.size();
    progress.sent(request.entries.empty() ? Index() : request.entries.back().index(), bytes);
    progress.message_owed = false;
    send(peer, std::move(request), incarnation_of(peer));
    if (probing) return;
  }
  if (!progress.message_owed) return;
  progress.message_owed = false;
  // A learner that lost its power may be back with a log that does not name us, and nobody told us.
  AppendEntries heartbeat = append_request(progress);
  heartbeat.leader_address = own_address();
  send(peer, std::move(heartbeat), incarnation_of(peer));
}

AppendEntries Raft::append_request(const Progress& progress) const {
  AppendEntries request;
  request.prev_log_index = progress.next_index().prev();
  request.prev_log_term = log_.term(request.prev_log_index).value();
  request.leader_commit = commit_index_;
  request.read_round = reads_.latest();
  if (progress.state() == Progress::State::probe) request.leader_address = own_address();
  return request;
}

// The peer is so far behind that what it needs next is on disk only.
void Raft::fetch_for(MemberId peer, Progress& progress) {
  if (progress.fetching) return;
  progress.fetching = true;
  mark(Mark::entries_read_back_from_disk);
  out_.fetches.push_back({.peer = peer,
                          .from = progress.next_index(),
                          .to = log_.cached_from().prev(),
                          .bytes_max = options_.bytes_per_message_max});
}

bool Raft::still_wanted(const LogFetch& fetch, const std::vector<Entry>& entries,
                        const Progress& progress) const {
  if (entries.empty() || role_ != Role::leader || progress.state() != Progress::State::replicate)
    return false;
  if (fetch.from < log_.first_index()) return false;  // cut meanwhile
  if (progress.next_index() != fetch.from || entries.front().index() != fetch.from) return false;
  if (!progress.window_open(options_)) return false;
  // Between the request and the answer this may have become another leader's log; the terms tell.
  return std::ranges::all_of(
      entries, [&](const Entry& entry) { return log_.matches(entry.index(), entry.term()); });
}

void Raft::fetched(const LogFetch& fetch, std::vector<Entry> entries, Time /*now*/) {
  const auto peer = progress_.find(fetch.peer);
  if (peer == progress_.end()) return;
  Progress& progress = peer->second;
  progress.fetching = false;
  if (!still_wanted(fetch, entries, progress)) return mark(Mark::read_back_came_too_late);
  AppendEntries request = append_request(progress);
  request.entries = std::move(entries);
  std::size_t bytes = 0;
  for (const Entry& entry : request.entries) bytes += entry.size();
  progress.sent(request.entries.back().index(), bytes);
  progress.message_owed = false;
  send(fetch.peer, std::move(request), incarnation_of(fetch.peer));
}

}  // namespace raftkv::raft
