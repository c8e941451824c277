#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "src/base/check.h"
#include "src/raft/membership.h"
#include "src/replica/administration.h"
#include "src/replica/host_impl.h"

namespace raftkv::replica {
namespace {

static_assert(kv::kCommandHeadroom == raft::kEntryHeaderSize,
              "a command leaves room for the entry's header");

constexpr std::uint64_t kClientTicketEnd = std::uint64_t{1} << 63;

bool needs_leader(const Request& request) {
  if (const auto* read = std::get_if<Read>(&request)) return read->level != Level::stale;
  if (const auto* barrier = std::get_if<Barrier>(&request)) return barrier->level != Level::stale;
  return !std::holds_alternative<GetMembers>(request) &&
         !std::holds_alternative<GetStatus>(request);
}

}  // namespace

void Host::Impl::submit(Ticket ticket, Request request) {
  CHECK(ticket.value < kClientTicketEnd);
  begin(Origin{.ticket = ticket, .member = {}, .incarnation = {}}, std::move(request));
}

void Host::Impl::begin(const Origin& origin, Request request) {
  wake();
  if (!takes_part() || stop_) {
    return answer(origin, not_applied(Problem::stopping,
                                      fatal_ ? "this node's disk has failed; ask another node"
                                             : "this node is being stopped; ask another node"));
  }
  if (requests_.full()) {
    return answer(
        origin,
        not_applied(Problem::busy, "this node has as many open requests as it takes; try again"));
  }
  if (needs_leader(request) && !leads()) {
    const bool may_forward = options_.forward && !origin.member && raft_.leader() &&
                             !std::holds_alternative<Barrier>(request);
    return may_forward ? forward(origin, std::move(request)) : answer(origin, not_leader());
  }
  std::visit([&](auto& r) { take(origin, std::move(r)); }, request);
}

// --- each kind of request ---

void Host::Impl::take(const Origin& origin, Write&& request) {
  const auto place =
      raft_.propose(raft::EntryDraft(raft::EntryKind::command, std::move(request.command)), now());
  if (!place) return answer(origin, failed(place.error()));
  pending_.add(*place, open({.origin = origin, .kind = RequestKind::write}));
}

void Host::Impl::take(const Origin& origin, Read&& request) {
  OpenRequest read{.origin = origin, .kind = RequestKind::read, .level = request.level};
  read.abandoned = Effect::not_applied;
  switch (request.level) {
    case Level::consistent: {
      read.text = std::move(request.key);
      const Handle handle = open(std::move(read));
      return raft_.read(Ticket(handle.value), now());
    }
    case Level::default_: {
      if (!raft_.may_serve_default_reads()) {
        mark(Mark::default_read_refused_by_a_new_leader);
        return answer(origin, failed(raft::Refusal::not_ready));
      }
      // Commit may run ahead of the leader's own disk, and a follower that has applied it may have
      // shown it to somebody.
      const Index read_index = raft_.commit_index();
      const Handle handle = open(std::move(read));
      return reads_.grant(handle, std::move(request.key), read_index, applied_.applied);
    }
    case Level::stale:
      if (raft_.state_lost()) {
        mark(Mark::stale_read_refused_without_a_state);
        return answer(origin, not_applied(Problem::not_ready,
                                          "this node has lost its state and waits for a snapshot"));
      }
      break;
  }
  reads_.allow(open(std::move(read)), std::move(request.key));
}

// A read of the key that nobody can set.
void Host::Impl::take(const Origin& origin, Barrier&& request) {
  take(origin, Read{.key = {}, .level = request.level});
}

void Host::Impl::take(const Origin& origin, Join&& request) {
  const raft::AddMember change{.name = request.name,
                               .instance = request.instance,
                               .http_address = std::move(request.http_address),
                               .raft_address = std::move(request.raft_address)};
  OpenRequest join{.origin = origin, .kind = RequestKind::join};
  join.text = std::move(request.name);
  join.instance = request.instance;
  change_members(std::move(join), change);
}

void Host::Impl::take(const Origin& origin, Remove&& request) {
  const raft::RemoveMember change{.name = std::move(request.name)};
  change_members({.origin = origin, .kind = RequestKind::remove}, change);
}

void Host::Impl::change_members(OpenRequest request, const raft::MemberChange& change) {
  const auto place = raft_.change_members(change, now());
  if (!place) return answer(request.origin, failed(place.error()));
  const Handle handle = open(std::move(request));
  if (place->index <= applied_.applied) {
    // The cluster is as asked already.
    answer(handle, outcome_of(*requests_.find(handle), place->index, {}));
  } else {
    pending_.add(*place, handle);
  }
}

void Host::Impl::take(const Origin& origin, Transfer&& request) {
  raft::MemberId target;  // 0: whoever is most advanced
  if (!request.name.empty()) {
    const raft::Member* const member = raft_.configuration().find_name(request.name);
    if (member == nullptr) return answer(origin, failed(raft::Refusal::unknown_member));
    target = member->id;
  }
  // Until the end of the one before has been told, it could be taken for the end of this one.
  if (transfer_) return answer(origin, failed(raft::Refusal::transferring));
  const auto begun = raft_.transfer_leadership(target, now());
  if (!begun) return answer(origin, failed(begun.error()));
  OpenRequest transfer{.origin = origin, .kind = RequestKind::transfer};
  transfer.text = std::move(request.name);
  transfer_ = open(std::move(transfer));
}

void Host::Impl::take(const Origin& origin, GetMembers&&) {
  answer(origin, members_of(raft_, now()));
}

void Host::Impl::take(const Origin& origin, GetStatus&&) {
  answer(origin, status());
}

NodeStatus Host::Impl::status() {
  const Time time = now();
  commits_.note(raft_.known_commit_index(), time);
  const raft::Identity& identity = raft_.identity();
  NodeStatus out;
  out.name = options_.name;
  out.member = identity.member;
  out.cluster = identity.cluster;
  out.role = role_of(raft_);
  out.term = raft_.current_term();
  out.commit_index = raft_.commit_index();
  out.applied_index = applied_.applied;
  out.first_index = raft_.log().first_index();
  out.last_index = raft_.log().last_index();
  out.digest = applied_.digest;
  out.incarnation = identity.incarnation;
  out.uptime_ms = std::chrono::duration_cast<std::chrono::milliseconds>(time - started_).count();
  if (fatal_) {
    out.not_ready = "its disk has failed and it takes no further part";
  } else if (stop_) {
    out.not_ready = "being stopped";
  } else {
    out.not_ready = not_ready_because(raft_, applied_.applied, commits_.before_lag(time));
  }
  out.ready = out.not_ready.empty();
  return out;
}

// --- from open to answered ---

Handle Host::Impl::open(OpenRequest request) {
  request.deadline = now() + options_.request_timeout;
  return requests_.open(std::move(request));
}

void Host::Impl::answer(Handle handle, Answer answer) {
  const OpenRequest request = requests_.close(handle);
  Reply reply = make_reply(std::move(answer));
  if (request.kind == RequestKind::read && request.level == Level::stale) {
    reply.last_contact_ms = last_contact_ms(now());
  }
  outbox_.push_back({request.origin, std::move(reply)});
}

void Host::Impl::answer(const Origin& origin, Answer answer) {
  outbox_.push_back({origin, make_reply(std::move(answer))});
}

// For a request that may have been answered before: by its timeout, say.
void Host::Impl::abandon(Handle handle, Problem problem, std::string_view detail) {
  const OpenRequest* const request = requests_.find(handle);
  if (request == nullptr) return;
  answer(handle,
         Failed{.problem = problem, .effect = request->abandoned, .detail = std::string(detail)});
}

void Host::Impl::abandon_all(Problem problem, std::string_view detail) {
  while (const auto oldest = requests_.oldest()) abandon(*oldest, problem, detail);
}

void Host::Impl::deliver_answers() {
  // Whoever gets an answer may submit the next request from within.
  CHECK(delivering_.empty());
  std::swap(delivering_, outbox_);
  for (OutgoingAnswer& out : delivering_) {
    if (!out.origin.member) {
      ports_.responder.respond(out.origin.ticket, std::move(out.reply));
    } else if (!fatal_) {
      send_frame(out.origin.member, out.origin.incarnation, raft::FrameKind::forward_reply,
                 encode(ForwardReply{.ticket = out.origin.ticket, .reply = std::move(out.reply)}));
    }
  }
  delivering_.clear();
}

Answer Host::Impl::outcome_of(const OpenRequest& request, Index index,
                              const kv::Outcome& outcome) const {
  if (request.kind == RequestKind::write) return Written{.index = index, .outcome = outcome};
  if (request.kind == RequestKind::remove) return Removed{.index = index};
  CHECK(request.kind == RequestKind::join);
  const raft::Member* const member =
      joined_member(raft_.configuration(), request.text, request.instance);
  if (member == nullptr) {
    return Failed{.problem = Problem::removed_instance,
                  .effect = Effect::unknown,
                  .detail = "the member was added and has been removed again since"};
  }
  return Joined{.cluster = raft_.identity().cluster,
                .member = member->id,
                .members = members_of(raft_, ports_.clock.now())};
}

void Host::Impl::resolve(const PendingProposals::Resolved& resolved,
                         std::span<const raft::Entry> entries, const ApplyResult& result) {
  const OpenRequest* const request = requests_.find(resolved.handle);
  if (request == nullptr) return;  // timed out
  if (!resolved.applied) {
    mark(Mark::write_lost_to_another_leader);
    return answer(
        resolved.handle,
        not_applied(Problem::leadership_lost,
                    "another leader's entry was committed in its place; it is safe to try again"));
  }
  if (request->kind == RequestKind::remove && leads() &&
      raft_.configuration_index() > applied_.applied) {
    // C_old,new is committed and C_new appended: the member is gone when that is committed too.
    mark(Mark::removal_waited_for_the_new_configuration);
    pending_.add({raft_.configuration_index(), raft_.current_term()}, resolved.handle);
    return;
  }
  if (!leads()) mark(Mark::write_survived_its_leader);
  answer(resolved.handle, outcome_of(*request, entries[resolved.position].index(),
                                     result.outcomes[resolved.position]));
}

void Host::Impl::grant(const raft::ReadGranted& granted) {
  const Handle handle(granted.ticket.value);
  OpenRequest* const request = requests_.find(handle);
  if (request != nullptr)
    reads_.grant(handle, std::move(request->text), granted.read_index, applied_.applied);
}

void Host::Impl::refuse(const raft::ReadRefused& refused) {
  const Handle handle(refused.ticket.value);
  if (requests_.find(handle) == nullptr) return;
  answer(handle,
         refused.refusal == raft::Refusal::not_leader ? not_leader() : failed(refused.refusal));
}

void Host::Impl::transfer_ended(const raft::TransferEnded& ended) {
  if (!transfer_) return;
  if (ended.done && ended.target != raft_.identity().member) {
    successor_ = ended.target;  // told to campaign; whether it wins is seen by who leads next
    return;
  }
  const Handle handle = *std::exchange(transfer_, std::nullopt);
  if (requests_.find(handle) == nullptr) return;
  if (ended.done) return answer(handle, Transferred{options_.name});
  abandon(handle, Problem::transfer_failed,
          "the member did not take over within an election timeout; GET /status tells who leads");
}

void Host::Impl::transfer_decided(raft::MemberId leader) {
  if (!transfer_ || !successor_ || !leader) return;
  const Handle handle = *std::exchange(transfer_, std::nullopt);
  const raft::MemberId successor = std::exchange(successor_, raft::MemberId());
  if (requests_.find(handle) == nullptr) return;
  const raft::Member* const member = raft_.configuration().find(leader);
  const std::string name = member == nullptr ? std::string() : member->name;
  if (leader == successor) return answer(handle, Transferred{name});
  mark(Mark::transfer_won_by_another);
  abandon(handle, Problem::transfer_failed,
          fmt::format("the member did not win the election; {} leads now", name));
}

void Host::Impl::expire_requests(Time time) {
  while (requests_.next_deadline() <= time) {
    mark(Mark::request_timed_out);
    abandon(*requests_.oldest(), Problem::timeout, "no answer within the time limit for a request");
  }
  handles_.clear();
  pending_.expire(time, handles_);
  if (!handles_.empty()) mark(Mark::writes_outcome_given_up);
  for (const Handle handle : handles_) {
    abandon(handle, Problem::leadership_lost,
            "this node lost its leadership before it knew the outcome; read before you try again");
  }
}

// --- replies ---

Reply Host::Impl::make_reply(Answer answer) const {
  Index applied = applied_.applied;
  // The read worker may see a batch of which the apply worker has not told us yet.
  const auto* const read = std::get_if<ReadResult>(&answer);
  if (read != nullptr && read->value) applied = std::max(applied, Index(read->value->index));
  return {.answer = std::move(answer),
          .node = options_.name,
          .index = applied,
          .term = raft_.current_term(),
          .leader = leader_hint(),
          .last_contact_ms = std::nullopt};
}

std::optional<LeaderHint> Host::Impl::leader_hint() const {
  const raft::Member* const leader = raft_.configuration().find(raft_.leader());
  if (leader == nullptr) return std::nullopt;
  return LeaderHint{.name = leader->name, .http_address = leader->http_address};
}

std::optional<std::int64_t> Host::Impl::last_contact_ms(Time time) const {
  if (leads()) return 0;
  const std::optional<Time> contact = raft_.last_leader_contact();
  if (!contact) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(time - *contact).count();
}

Failed Host::Impl::not_leader() const {
  const std::optional<LeaderHint> leader = leader_hint();
  return not_applied(Problem::not_leader,
                     leader ? fmt::format("this node does not lead; {} at {} does", leader->name,
                                          leader->http_address)
                            : "no leader is known at the moment; try again shortly");
}

}  // namespace raftkv::replica
