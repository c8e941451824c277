#include "src/base/marks.h"

#include "src/base/check.h"

namespace raftkv {
namespace {

// clang-format off: a mark is a line, however long.
constexpr std::array<MarkText, kMarks> kTexts = {{
    // elections
    {Mark::stickiness_refused_a_higher_term, "stickiness refused a higher term", "diss. 4.2.3", "a follower that hears its leader dropped a RequestVote or PreVote of a higher term, and kept its term"},
    {Mark::leader_refused_a_higher_term, "leader refused a higher term", "diss. 4.2.3", "a leader that has its quorum dropped a RequestVote or PreVote of a higher term"},
    {Mark::transfers_vote_passed_stickiness, "transfers vote passed stickiness", "diss. 4.2.3", "a RequestVote of a transfer was let through where any other would have been dropped"},
    {Mark::pre_vote_refused_for_a_living_leader, "pre vote refused for a living leader", "diss. 9.6", "a PreVote of the own term was refused because the leader is heard from"},
    {Mark::pre_vote_of_an_older_term_answered, "pre vote of an older term answered", "diss. 9.6", "a candidate that is behind was told the term"},
    {Mark::append_of_an_older_term_answered, "append of an older term answered", "§5.1", "a deposed leader was told the term"},
    {Mark::snapshot_of_an_older_term_answered, "snapshot of an older term answered", "Figure 13, 1", "a deposed leader that sends a snapshot was told the term"},
    {Mark::vote_refused_to_a_shorter_log, "vote refused to a shorter log", "§5.4.1", "a candidate whose log is not as up to date as the voter's was refused"},
    {Mark::vote_refused_it_was_given, "vote refused it was given", "§5.2", "the vote of this term had gone to another candidate"},
    {Mark::vote_asked_for_twice, "vote asked for twice", "§5.2", "the candidate that had the vote asked again, and got the same answer"},
    {Mark::vote_refused_by_a_lost_promise, "vote refused by a lost promise", "rule 10", "a node that may have forgotten a vote gave none"},
    {Mark::vote_waited_for_a_slow_disk, "vote waited for a slow disk", "rule 1", "a vote was given while log writes from before were on their way to the disk"},
    {Mark::promise_overtaken_by_a_term, "promise overtaken by a term", "rule 1", "a higher term came before a promise was durable: it was never sent"},
    {Mark::pre_vote_lost, "pre vote lost", "diss. 9.6", "a majority refused: the term stays as it is"},
    {Mark::election_lost, "election lost", "§5.2", "a majority refused after the term was raised"},
    {Mark::election_without_a_winner, "election without a winner", "§5.2", "a candidate's time ran out: a split vote, or nobody answered"},
    {Mark::candidate_found_its_leader, "candidate found its leader", "§5.2", "a candidate heard from another that won its term"},
    {Mark::leader_deposed_by_a_higher_term, "leader deposed by a higher term", "§5.1", "a leader learned that there is a later term"},
    {Mark::leader_lost_its_quorum, "leader lost its quorum", "diss. 6.2", "a leader that no majority answers stepped down"},
    {Mark::leader_left_for_its_stalled_disk, "leader left for its stalled disk", "rule 3", "a leader whose log write took an election timeout stepped down"},
    {Mark::stalled_disk_did_not_campaign, "stalled disk did not campaign", "rule 3", "a voter heard from no leader, and let others try because its disk has stalled"},
    {Mark::lost_promise_did_not_campaign, "lost promise did not campaign", "rule 10", "a voter heard from no leader, and let others try because it may have forgotten a promise"},
    {Mark::lost_state_did_not_campaign, "lost state did not campaign", "rule 10", "a voter heard from no leader, and let others try because it waits for a snapshot"},
    {Mark::candidate_may_campaign_no_more, "candidate may campaign no more", "rule 3", "a candidate's disk stalled, or its removal was committed, while it campaigned"},
    {Mark::removed_voter_campaigned, "removed voter campaigned", "diss. 4.2.2", "a voter that an uncommitted configuration leaves out asked for votes"},
    {Mark::removed_voter_won, "removed voter won", "diss. 4.2.2", "and was elected"},
    {Mark::election_won_in_two_majorities, "election won in two majorities", "§6", "a candidate was elected under C_old,new"},
    {Mark::early_election_after_a_reset, "early election after a reset", "rule 5", "the leader's process is gone: PreVote at once, not after an election timeout"},
    {Mark::candidate_told_its_address, "candidate told its address", "§6", "asked by a candidate, or by a leader of an older term, that its own configuration does not name, or names elsewhere"},
    {Mark::removed_member_kept_silent, "removed member kept silent", "rule 9", "a member whose removal is committed heard from no leader, and did not campaign"},
    // leadership transfer
    {Mark::leadership_handed_over, "leadership handed over", "diss. 3.10", "a follower campaigned at once because its leader asked it to"},
    {Mark::transfer_waited_for_the_log, "transfer waited for the log", "diss. 3.10", "the target of a transfer had to catch up first"},
    {Mark::transfer_timed_out, "transfer timed out", "diss. 3.10", "the target did not take over within an election timeout: the leader goes on"},
    {Mark::timeout_now_repeated, "timeout now repeated", "diss. 3.10", "TimeoutNow may have been lost: it was sent again"},
    {Mark::timeout_now_came_too_late, "timeout now came too late", "diss. 3.10", "TimeoutNow reached a node that has another leader, or may not campaign"},
    {Mark::write_refused_during_a_transfer, "write refused during a transfer", "diss. 3.10", "a leader that hands over takes no writes"},
    {Mark::transfer_refused_before_a_snapshot, "transfer refused before a snapshot", "diss. 3.10", "the target needs a snapshot first"},
    // replication
    {Mark::conflict_truncated_the_log, "conflict truncated the log", "§5.3", "a follower dropped entries that its leader's contradict"},
    {Mark::conflict_truncated_a_configuration, "conflict truncated a configuration", "§6", "a configuration rolled back with its entry"},
    {Mark::truncation_clipped_a_pending_write, "truncation clipped a pending write", "rule 2", "entries were dropped while they were on their way to the disk"},
    {Mark::late_completion_of_an_overwritten_write, "late completion of an overwritten write", "rule 2", "the disk reported a write some of whose entries had been dropped: they count for nothing"},
    {Mark::late_append_left_the_log_alone, "late append left the log alone", "§5.3, 3", "an AppendEntries that came late or twice did not cut off what followed"},
    {Mark::append_partly_known, "append partly known", "§5.3, 4", "of an AppendEntries the first entries were there, the others not"},
    {Mark::append_left_a_gap, "append left a gap", "§5.3, 2", "an AppendEntries began behind the end of the log"},
    {Mark::append_contradicted_the_log, "append contradicted the log", "§5.3, 2", "an AppendEntries began behind an entry of another term"},
    {Mark::followers_hint_jumped_over_a_term, "followers hint jumped over a term", "§5.3", "a follower excluded a whole term of its own in one answer"},
    {Mark::leaders_probe_jumped_over_a_term, "leaders probe jumped over a term", "§5.3", "a leader excluded a whole term of its own for one answer"},
    {Mark::stale_refusal_ignored, "stale refusal ignored", "§5.3", "a refusal came after what it refused had matched"},
    {Mark::proposals_waited_for_a_batch, "proposals waited for a batch", "diss. 10.2.2", "a leader held entries back while those before them were on their way to a majority"},
    {Mark::batch_took_too_long, "batch took too long", "diss. 10.2.2", "a batch was not committed in time: the next one left all the same"},
    {Mark::batch_waited_for_clients, "batch waited for clients", "diss. 10.2.2", "a leader held entries back for those whose last ones it had just committed"},
    {Mark::clients_stayed_away, "clients stayed away", "diss. 10.2.2", "of those too few proposed again in time: the batch left without them"},
    {Mark::append_refused_by_a_full_state_machine, "append refused by a full state machine", "rule 11", "a follower took no entries until it had applied those it had"},
    {Mark::write_refused_by_a_full_log, "write refused by a full log", "rule 11", "a leader took no writes until those it had were committed, or applied"},
    {Mark::commit_waited_for_the_own_term, "commit waited for the own term", "§5.4.2, Figure 8", "a majority held an entry of an earlier term, and it was not committed by counting"},
    {Mark::commit_ahead_of_a_slow_disk, "commit ahead of a slow disk", "rule 3", "a leader committed what its own disk had been working on for a heartbeat"},
    {Mark::commit_waited_for_the_other_majority, "commit waited for the other majority", "§6", "a majority of one half of C_old,new held an entry that the other half's did not"},
    {Mark::commit_by_a_leader_that_is_leaving, "commit by a leader that is leaving", "§6", "a leader that is no voter of its configuration committed without counting itself"},
    {Mark::commit_stopped_before_a_foreign_tail, "commit stopped before a foreign tail", "Figure 2, 5", "a follower's log was longer than what it knew to match, and the leader's commit lay behind that"},
    {Mark::entries_read_back_from_disk, "entries read back from disk", "rule 7", "a peer was so far behind that its entries were in no memory any more"},
    {Mark::read_back_came_too_late, "read back came too late", "rule 7", "entries came back from the disk when they were no longer what the peer needs"},
    {Mark::peer_restarted, "peer restarted", "rule 4", "a leader forgot what a peer had acknowledged, for it runs anew"},
    {Mark::answer_to_an_earlier_run_dropped, "answer to an earlier run dropped", "rule 4", "an answer was to a question that the run before this one had asked"},
    {Mark::lost_promise_repaired, "lost promise repaired", "rule 10", "a node that may have forgotten a promise has all that could depend on it, and votes again"},
    // reads
    {Mark::read_waited_for_the_own_terms_commit, "read waited for the own terms commit", "§8", "a consistent read reached a leader that did not know yet what its predecessors committed"},
    {Mark::reads_fell_with_the_leader, "reads fell with the leader", "diss. 6.4", "consistent reads waited when the leadership was lost"},
    {Mark::read_refused_too_many_wait, "read refused too many wait", "rule 11", "as many consistent reads waited as a leader takes"},
    {Mark::lone_leader_confirmed_its_reads, "lone leader confirmed its reads", "diss. 6.4", "a leader that is its own quorum served consistent reads"},
    // membership
    {Mark::learner_promoted_by_joint_consensus, "learner promoted by joint consensus", "diss. 4.2.1", "a learner had caught up: C_old,new"},
    {Mark::replacement_promoted, "replacement promoted", "rule 9", "it takes the place of a member of its name"},
    {Mark::replacements_old_member_left, "replacements old member left", "rule 9", "the member that was replaced left with C_new"},
    {Mark::joint_change_finished_by_a_successor, "joint change finished by a successor", "§6", "a leader left a C_old,new that another had begun"},
    {Mark::removed_leader_stepped_down, "removed leader stepped down", "§6", "a leader stepped down when the configuration without it was committed"},
    {Mark::change_refused_before_the_own_terms_commit, "change refused before the own terms commit", "diss. 4.1", "a new leader changed no members before an entry of its term was committed"},
    {Mark::change_refused_during_another, "change refused during another", "§6", "one change of members at a time"},
    {Mark::change_was_fulfilled_already, "change was fulfilled already", "rule 9", "a change of members was asked for that had happened"},
    {Mark::removal_of_the_last_voter_refused, "removal of the last voter refused", "rule 9", "nobody would have been left"},
    {Mark::removed_instance_refused, "removed instance refused", "rule 9", "a node that had been removed asked to join with the data it had"},
    {Mark::name_of_a_living_member_refused, "name of a living member refused", "rule 9", "a node asked to replace one that is heard from"},
    {Mark::given_up_learner_dropped, "given up learner dropped", "rule 9", "a learner came again as another instance before it was promoted"},
    {Mark::learner_left_in_one_step, "learner left in one step", "diss. 4.2.1", "a learner was removed: no quorum changes by that"},
    {Mark::farewell_said, "farewell said", "rule 9", "a removed member was told that its removal is committed"},
    {Mark::farewell_given_up, "farewell given up", "rule 9", "a removed member could not be told of it"},
    {Mark::change_waited_for_a_transfer, "change waited for a transfer", "diss. 3.10", "nothing is appended while the target catches up"},
    // snapshots
    {Mark::peer_needs_a_snapshot, "peer needs a snapshot", "§7", "what a peer needs next is no longer in the log"},
    {Mark::snapshot_over_a_longer_log, "snapshot over a longer log", "Figure 13, 6", "a snapshot agreed with a log that goes on behind it: that part stayed"},
    {Mark::snapshot_contradicted_the_log, "snapshot contradicted the log", "Figure 13, 7", "a snapshot took the place of a whole log"},
    {Mark::snapshot_brought_a_configuration, "snapshot brought a configuration", "Figure 13, 8", "a snapshot's configuration was not the one in force"},
    {Mark::snapshot_replaced_a_lost_state, "snapshot replaced a lost state", "rule 10", "a node without its state got another"},
    {Mark::snapshot_waited_for_the_state_machine, "snapshot waited for the state machine", "§7", "a snapshot was whole while entries were being applied to the old state"},
    {Mark::snapshot_overtaken_by_the_log, "snapshot overtaken by the log", "§7", "a snapshot was whole when the log had reached as far"},
    {Mark::snapshot_dropped_with_its_term, "snapshot dropped with its term", "§7", "a higher term came while a snapshot was being received"},
    {Mark::snapshot_outlived_its_term, "snapshot outlived its term", "§7", "a higher term came while a whole snapshot was on its way to be the state"},
    {Mark::snapshot_began_anew, "snapshot began anew", "§7", "a leader's newer stream took the place of one that was being received"},
    {Mark::chunk_came_early, "chunk came early", "Figure 13, 3", "a chunk overtook one that stands before it, and was kept"},
    {Mark::chunk_came_again, "chunk came again", "Figure 13, 3", "a chunk came that had been taken"},
    {Mark::stream_resumed, "stream resumed", "§7", "chunks that nobody acknowledged were sent again"},
    {Mark::stream_given_up, "stream given up", "rule 11", "a stream did not move for too long, or its view had become too old"},
    {Mark::stream_failed_at_its_receiver, "stream failed at its receiver", "§7", "the receiver could not use what it got"},
    {Mark::stream_ended_by_the_log, "stream ended by the log", "§7", "the peer turned out to have what the log begins with"},
    {Mark::stream_ended_by_a_restart, "stream ended by a restart", "rule 4", "the peer of a stream runs anew"},
    {Mark::log_cut_during_a_stream, "log cut during a stream", "§7", "the peer had its snapshot, and needed another one"},
    {Mark::log_kept_for_a_stream, "log kept for a stream", "§7", "the log was not cut, because who gets a snapshot needs what follows it"},
    {Mark::snapshot_waited_for_a_free_stream, "snapshot waited for a free stream", "rule 11", "there were more peers that need a snapshot than streams"},
    {Mark::view_older_than_what_was_applied, "view older than what was applied", "§7", "a view of the state was opened while an installed snapshot was not yet the state"},
    // a node and its clients
    {Mark::write_lost_to_another_leader, "write lost to another leader", "rule 8", "another leader's entry was committed in a write's place: it certainly did not happen"},
    {Mark::write_survived_its_leader, "write survived its leader", "rule 8", "a write was applied when its leader no longer led"},
    {Mark::write_skipped_by_a_snapshot, "write skipped by a snapshot", "rule 8", "a snapshot passed a write's index: its outcome is unknown"},
    {Mark::writes_outcome_given_up, "writes outcome given up", "rule 8", "a leader lost its leadership, and an election timeout later nobody knew what became of a write"},
    {Mark::request_timed_out, "request timed out", "rule 11", "a request was open for as long as one may be"},
    {Mark::forward_came_twice, "forward came twice", "rule 4", "a request that was passed on arrived a second time"},
    {Mark::forward_for_another_run, "forward for another run", "rule 4", "a request was passed on to the run before this one"},
    {Mark::forward_lost_with_its_connection, "forward lost with its connection", "rule 8", "a request had been passed on when the leader's connection broke"},
    {Mark::forwards_answer_came_too_late, "forwards answer came too late", "rule 8", "a request that was passed on had been given up when the answer came"},
    {Mark::stale_incarnation_dropped, "stale incarnation dropped", "rule 4", "a frame came from a run of a peer that is over"},
    {Mark::frame_for_another_member, "frame for another member", "rule 4", "a frame was meant for who lived at this address before"},
    {Mark::damaged_frame_refused, "damaged frame refused", "rule 4", "a frame's checksum or structure was wrong"},
    {Mark::read_saw_more_than_was_reported, "read saw more than was reported", "diss. 6.4", "a read found a batch applied of which the apply worker had not told"},
    {Mark::removal_waited_for_the_new_configuration, "removal waited for the new configuration", "§6", "a removal was answered when C_new was committed, not C_old,new"},
    {Mark::transfer_won_by_another, "transfer won by another", "diss. 3.10", "who was handed leadership lost the election"},
    {Mark::stale_read_refused_without_a_state, "stale read refused without a state", "rule 10", "a node without its state answered no read"},
    {Mark::default_read_refused_by_a_new_leader, "default read refused by a new leader", "§8", "a leader that had not applied an entry of its term served no default read"},
}};
// clang-format on

constexpr bool in_order() {
  for (std::size_t i = 0; i < kMarks; ++i) {
    if (kTexts[i].mark != static_cast<Mark>(i) || kTexts[i].what.empty()) return false;
  }
  return true;
}
static_assert(in_order(), "the table has the order of the enumerators");

}  // namespace

const MarkText& text_of(Mark mark) {
  const auto at = static_cast<std::size_t>(mark);
  CHECK(at < kMarks);
  return kTexts[at];
}

}  // namespace raftkv
