#include "src/storage/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace raftkv::storage {
namespace {

using raft::Index;
using raft::Term;

constexpr std::size_t kReadBytes = 1 << 20;  // of the log's tail, at a time

// Does the log hold what the promise file says that it held?
Result<bool> reaches(LevelDbLogStore& log, const Through& through) {
  if (through.index > log.last()) return false;
  if (through.index < log.first().prev()) return true;  // a snapshot stands for it
  const auto term = log.term(through.index);
  if (!term) return failure(term);
  return *term == through.term;
}

// The applied entry is the log's, or the one before its first.
Status agree(LevelDbLogStore& log, const replica::StateMeta& state) {
  const auto term = log.term(state.applied);
  if (!term) return failure(term);
  if (*term != state.applied_term) {
    return failure(ErrorCode::corrupt,
                   fmt::format("entry {} is of term {} in the log, of term {} in the state",
                               state.applied.value, term->value, state.applied_term.value));
  }
  return {};
}

Status check_configuration(const raft::Entry& entry) {
  if (entry.kind() != raft::EntryKind::configuration) return {};
  const auto configuration = raft::Configuration::decode(entry.payload());
  if (!configuration) return failure(configuration);
  return {};
}

Status read_tail(LevelDbLogStore& log, Index before, std::vector<raft::Entry>& tail) {
  for (Index from = before.next(); from <= log.last();) {
    auto entries = log.read(from, log.last(), kReadBytes);
    if (!entries) return failure(entries);
    for (const raft::Entry& entry : *entries) {
      if (Status readable = check_configuration(entry); !readable) return readable;
    }
    from = entries->back().index().next();
    tail.insert(tail.end(), std::make_move_iterator(entries->begin()),
                std::make_move_iterator(entries->end()));
  }
  return {};
}

// Terms, tail and last of the log; or of one that ends with the applied entry.
Status read_log(LevelDbLogStore& log, const replica::StateMeta& state, raft::Recovered& out) {
  if (state.applied > log.last()) {
    out.first = state.applied.next();
    out.prev_term = state.applied_term;
    out.last = state.applied;
    return {};
  }
  out.state_lost = state.applied < log.first().prev();
  if (!out.state_lost) {
    if (Status agreed = agree(log, state); !agreed) return agreed;
  }
  out.last = log.last();
  auto runs = log.term_runs();
  if (!runs) return failure(runs);
  out.terms = std::move(*runs);
  out.first = log.first();
  const auto prev_term = log.term(log.first().prev());
  if (!prev_term) return failure(prev_term);
  out.prev_term = *prev_term;
  const Index before_tail = std::max(state.applied, log.first().prev());
  out.bytes_before_tail = log.bytes_through(before_tail);
  return read_tail(log, before_tail, out.tail);
}

}  // namespace

Result<raft::Recovered> recover(LevelDbLogStore& log, const Promise& promise,
                                const replica::StateMeta& state) {
  raft::Recovered out;
  out.hard_state = promise.hard_state;
  out.applied = state.applied;
  out.configuration = state.configuration;
  out.configuration_index = state.configuration_index;
  const auto reached = reaches(log, promise.through);
  if (!reached) return failure(reached);
  out.promise_lost = promise.lost || !*reached || state.applied > log.last();
  if (Status read = read_log(log, state, out); !read) return failure(read);
  if (out.last_term() > out.hard_state.current_term) {
    out.promise_lost = true;
    out.hard_state = {.current_term = out.last_term(), .voted_for = {}};
  }
  return out;
}

bool nobody_else_has_it(const raft::Recovered& recovered, const Promise& promise) {
  raft::Configuration last = recovered.configuration;
  for (const raft::Entry& entry : recovered.tail) {
    if (entry.kind() != raft::EntryKind::configuration) continue;
    auto configuration = raft::Configuration::decode(entry.payload());
    if (configuration) last = std::move(*configuration);
  }
  const raft::Identity& self = promise.identity;
  if (last.members.empty()) {
    return self.member == raft::MemberId(1) && !self.incarnation;  // 1: entry 1 added it
  }
  return !last.joint() && last.voters.size() == 1 && last.is_voter(self.member);
}

}  // namespace raftkv::storage
