// Marks: rare moments of the algorithm, by name. A hunt that never came to one of them proves
// nothing about it, so the simulator counts which seeds reach which (docs/simulation.md), and a
// node counts its own (`raftkv_marks_total`).
//
// A mark says that something happened, and changes nothing: no code asks whether one is set. Who
// reaches one sets a bit; the bits of a turn go to the Observer together.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace raftkv {

// In the order of the table in marks.cc, which says what each is and where it is written.
enum class Mark : std::uint8_t {
  // elections
  stickiness_refused_a_higher_term,
  leader_refused_a_higher_term,
  transfers_vote_passed_stickiness,
  pre_vote_refused_for_a_living_leader,
  pre_vote_of_an_older_term_answered,
  append_of_an_older_term_answered,
  snapshot_of_an_older_term_answered,
  vote_refused_to_a_shorter_log,
  vote_refused_it_was_given,
  vote_asked_for_twice,
  vote_refused_by_a_lost_promise,
  vote_waited_for_a_slow_disk,
  promise_overtaken_by_a_term,
  pre_vote_lost,
  election_lost,
  election_without_a_winner,
  candidate_found_its_leader,
  leader_deposed_by_a_higher_term,
  leader_lost_its_quorum,
  leader_left_for_its_stalled_disk,
  stalled_disk_did_not_campaign,
  lost_promise_did_not_campaign,
  lost_state_did_not_campaign,
  candidate_may_campaign_no_more,
  removed_voter_campaigned,
  removed_voter_won,
  election_won_in_two_majorities,
  early_election_after_a_reset,
  candidate_told_its_address,
  removed_member_kept_silent,
  // leadership transfer
  leadership_handed_over,
  transfer_waited_for_the_log,
  transfer_timed_out,
  timeout_now_repeated,
  timeout_now_came_too_late,
  write_refused_during_a_transfer,
  transfer_refused_before_a_snapshot,
  // replication
  conflict_truncated_the_log,
  conflict_truncated_a_configuration,
  truncation_clipped_a_pending_write,
  late_completion_of_an_overwritten_write,
  late_append_left_the_log_alone,
  append_partly_known,
  append_left_a_gap,
  append_contradicted_the_log,
  followers_hint_jumped_over_a_term,
  leaders_probe_jumped_over_a_term,
  stale_refusal_ignored,
  proposals_waited_for_a_batch,
  batch_took_too_long,
  batch_waited_for_clients,
  clients_stayed_away,
  append_refused_by_a_full_state_machine,
  write_refused_by_a_full_log,
  commit_waited_for_the_own_term,
  commit_ahead_of_a_slow_disk,
  commit_waited_for_the_other_majority,
  commit_by_a_leader_that_is_leaving,
  commit_stopped_before_a_foreign_tail,
  entries_read_back_from_disk,
  read_back_came_too_late,
  peer_restarted,
  answer_to_an_earlier_run_dropped,
  lost_promise_repaired,
  // reads
  read_waited_for_the_own_terms_commit,
  reads_fell_with_the_leader,
  read_refused_too_many_wait,
  lone_leader_confirmed_its_reads,
  // membership
  learner_promoted_by_joint_consensus,
  replacement_promoted,
  replacements_old_member_left,
  joint_change_finished_by_a_successor,
  removed_leader_stepped_down,
  change_refused_before_the_own_terms_commit,
  change_refused_during_another,
  change_was_fulfilled_already,
  removal_of_the_last_voter_refused,
  removed_instance_refused,
  name_of_a_living_member_refused,
  given_up_learner_dropped,
  learner_left_in_one_step,
  farewell_said,
  farewell_given_up,
  change_waited_for_a_transfer,
  // snapshots
  peer_needs_a_snapshot,
  snapshot_over_a_longer_log,
  snapshot_contradicted_the_log,
  snapshot_brought_a_configuration,
  snapshot_replaced_a_lost_state,
  snapshot_waited_for_the_state_machine,
  snapshot_overtaken_by_the_log,
  snapshot_dropped_with_its_term,
  snapshot_outlived_its_term,
  snapshot_began_anew,
  chunk_came_early,
  chunk_came_again,
  stream_resumed,
  stream_given_up,
  stream_failed_at_its_receiver,
  stream_ended_by_the_log,
  stream_ended_by_a_restart,
  log_cut_during_a_stream,
  log_kept_for_a_stream,
  snapshot_waited_for_a_free_stream,
  view_older_than_what_was_applied,
  // a node and its clients
  write_lost_to_another_leader,
  write_survived_its_leader,
  write_skipped_by_a_snapshot,
  writes_outcome_given_up,
  request_timed_out,
  forward_came_twice,
  forward_for_another_run,
  forward_lost_with_its_connection,
  forwards_answer_came_too_late,
  stale_incarnation_dropped,
  frame_for_another_member,
  damaged_frame_refused,
  read_saw_more_than_was_reported,
  removal_waited_for_the_new_configuration,
  transfer_won_by_another,
  stale_read_refused_without_a_state,
  default_read_refused_by_a_new_leader,
};
inline constexpr std::size_t kMarks =
    static_cast<std::size_t>(Mark::default_read_refused_by_a_new_leader) + 1;

struct MarkText {
  Mark mark;
  std::string_view name;    // as reports and metrics have it
  std::string_view source;  // paper: "§5.3"; "diss. 4.2.3"; "rule n": docs/raft-notes.md
  std::string_view what;    // one sentence
};
[[nodiscard]] const MarkText& text_of(Mark mark);

// A set of marks: as many bits.
class MarkSet {
 public:
  void set(Mark mark) { words_[at(mark)] |= bit(mark); }
  [[nodiscard]] bool test(Mark mark) const { return (words_[at(mark)] & bit(mark)) != 0; }
  [[nodiscard]] bool any() const {
    std::uint64_t all = 0;
    for (const std::uint64_t word : words_) all |= word;
    return all != 0;
  }
  void clear() { words_ = {}; }
  MarkSet& operator|=(const MarkSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
    return *this;
  }
  // Calls f(Mark) for each, in the order of the table.
  template <typename F>
  void for_each(F f) const {
    for (std::size_t i = 0; i < kMarks; ++i) {
      if (test(static_cast<Mark>(i))) f(static_cast<Mark>(i));
    }
  }
  bool operator==(const MarkSet&) const = default;

 private:
  static std::size_t at(Mark mark) { return static_cast<std::size_t>(mark) / 64; }
  static std::uint64_t bit(Mark mark) {
    return std::uint64_t{1} << (static_cast<std::size_t>(mark) % 64);
  }
  std::array<std::uint64_t, (kMarks + 63) / 64> words_{};
};

}  // namespace raftkv
