// What can be set about consensus. Every bound has its name and its default here.
#pragma once

#include <cstddef>
#include <string>

#include "src/base/time.h"

namespace raftkv::raft {

struct Options {
  // Where this node is reached: told to those whom it asks for votes or leads, because their
  // configuration may name a place that it has left. Empty: what its own configuration says.
  std::string address = {};
  // A follower that hears nothing from a leader waits between this and twice this long before it
  // campaigns (§9.3); it is also how long a node sticks to its leader, how often a leader checks
  // its quorum, and how long a log write may be pending before the leader steps down.
  Duration election_timeout = 1s;
  // A leader sends to each peer at least this often. Less than a third of the election timeout.
  Duration heartbeat_interval = 100ms;
  // A follower whose leader's connection was reset tries PreVote once after a random part of this.
  Duration reset_election_delay_max = 150ms;

  // What is proposed while a batch is on its way to a majority waits until it is committed, but no
  // longer than this: one sync, one message and one acknowledgement then do for all of it (diss.
  // 10.2.2). Then it waits for those who were just answered, for as long as the batch took at most,
  // and no longer than this either (Batching). 0: everything leaves at once.
  Duration batch_wait_max = 5ms;

  std::size_t entries_per_message_max = 4096;
  std::size_t bytes_per_message_max = 1u << 20;  // one larger entry still goes alone
  std::size_t inflight_messages_max = 64;  // per peer, AppendEntries with entries, not acknowledged
  std::size_t inflight_bytes_max = 8u << 20;      // per peer
  std::size_t uncommitted_bytes_max = 64u << 20;  // a leader refuses proposals above it
  std::size_t unapplied_bytes_max =
      128u << 20;  // committed, not yet applied: above it appends are not taken
  std::size_t cached_bytes_max = 16u << 20;  // applied entries kept in memory for slow peers
  std::size_t reads_waiting_max = 65536;     // consistent reads without a confirmed round

  // The log that the durable state covers is cut in steps of at least log_cut_step_bytes (§7). Its
  // last log_kept_bytes stay for peers that are a bit behind, and while a snapshot is being sent
  // all that its receiver will need behind it, up to log_kept_for_streams_bytes.
  std::size_t log_cut_step_bytes = 64u << 20;
  std::size_t log_kept_bytes = 64u << 20;
  std::size_t log_kept_for_streams_bytes = 1u << 30;
  std::size_t snapshot_streams_max = 2;         // open at a time, each to another peer
  std::size_t snapshot_chunk_bytes = 1u << 20;  // one larger pair still goes alone
  std::size_t snapshot_window_chunks = 4;       // per stream: sent or read, not acknowledged
  Duration snapshot_stall_max = 10s;            // a stream on which nothing moves is given up
  Duration snapshot_life_max = 10min;  // a stream's view holds files on the disk: no longer
};

}  // namespace raftkv::raft
