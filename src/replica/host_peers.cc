#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "src/raft/membership.h"
#include "src/replica/host_impl.h"

namespace raftkv::replica {

// --- frames ---

Status Host::Impl::receive(SharedBytes bytes) {
  if (!takes_part()) return failure(ErrorCode::unavailable, "this node takes no further part");
  Status taken = take_frame(std::move(bytes));
  if (!taken) ports_.observer.observe(FrameRefused{taken.error().message});
  return taken;
}

Status Host::Impl::take_frame(SharedBytes bytes) {
  auto frame = raft::parse_frame(std::move(bytes));
  if (!frame) {
    mark(Mark::damaged_frame_refused);
    return failure(frame);
  }
  const auto admitted = peers_.admit(frame->route, raft_.configuration());
  if (!admitted) {
    mark(frame->route.to != raft_.identity().member ? Mark::frame_for_another_member
                                                    : Mark::stale_incarnation_dropped);
    return failure(admitted);
  }
  wake();
  if (admitted->restarted) forwards_lost(frame->route.from, "the leader was restarted");
  if (frame->kind == raft::FrameKind::forward) return take_forward(*frame);
  if (frame->kind == raft::FrameKind::forward_reply) return take_forward_reply(*frame);
  auto envelope = raft::decode(std::move(*frame));
  if (!envelope) return failure(envelope);
  raft_.receive(std::move(*envelope), now());
  return {};
}

void Host::Impl::peer_event(raft::MemberId peer, raft::PeerEvent event) {
  if (!takes_part()) return;
  wake();
  raft_.peer_event(peer, event, now());
  if (event == raft::PeerEvent::disconnected)
    forwards_lost(peer, "the connection to the leader broke");
}

// --- forwarding ---

// Says for which run of the leader the request is meant: one that comes late must not reach the
// next run, which does not know what the one before has executed already.
void Host::Impl::forward(const Origin& origin, Request&& request) {
  const raft::MemberId leader = raft_.leader();
  OpenRequest open_request{.origin = origin, .kind = RequestKind::write};
  if (const auto* read = std::get_if<Read>(&request)) {
    open_request.kind = RequestKind::read;
    open_request.level = read->level;
    open_request.abandoned = Effect::not_applied;
  }
  const Handle handle = open(std::move(open_request));
  forwards_.trim([this](Handle h) { return requests_.find(h) != nullptr; });
  const Ticket ticket = forwards_.sent(handle, leader);
  send_frame(leader, peers_.incarnation(leader), raft::FrameKind::forward,
             encode(Forward{.ticket = ticket, .request = std::move(request)}));
}

Status Host::Impl::take_forward(const raft::ReceivedFrame& frame) {
  auto forward = decode_forward(frame.body.view());
  if (!forward) return failure(forward);
  // Not for this run. Only a node that tells its new addresses may not know the run; it may say so
  // twice.
  const raft::Incarnation meant_for = frame.route.to_incarnation;
  const bool for_any_run = !meant_for && std::holds_alternative<Join>(forward->request);
  if (meant_for != raft_.identity().incarnation && !for_any_run) {
    mark(Mark::forward_for_another_run);
    return {};
  }
  if (!peers_.first_time(frame.route.from, forward->ticket)) {
    mark(Mark::forward_came_twice);
    return {};
  }
  begin(Origin{.ticket = forward->ticket,
               .member = frame.route.from,
               .incarnation = frame.route.from_incarnation},
        std::move(forward->request));
  return {};
}

Status Host::Impl::take_forward_reply(const raft::ReceivedFrame& frame) {
  auto reply = decode_forward_reply(frame.body.view());
  if (!reply) return failure(reply);
  if (frame.route.to_incarnation != raft_.identity().incarnation) return {};
  const auto handle = forwards_.replied(reply->ticket, frame.route.from);
  if (!handle || requests_.find(*handle) == nullptr) {
    mark(Mark::forwards_answer_came_too_late);
    return {};
  }
  outbox_.push_back({requests_.close(*handle).origin, std::move(reply->reply)});
  return {};
}

void Host::Impl::forwards_lost(raft::MemberId to, std::string_view why) {
  handles_.clear();
  forwards_.lost(to, handles_);
  if (handles_.empty()) return;
  mark(Mark::forward_lost_with_its_connection);
  const std::string detail = fmt::format("{} after the request had been passed on to it", why);
  for (const Handle handle : handles_) abandon(handle, Problem::leadership_lost, detail);
}

// --- sending ---

void Host::Impl::send_frame(raft::MemberId to, raft::Incarnation to_incarnation,
                            raft::FrameKind kind, std::string_view body) {
  const raft::Identity& identity = raft_.identity();
  const raft::Route route{.cluster = identity.cluster,
                          .from = identity.member,
                          .from_incarnation = identity.incarnation,
                          .to = to,
                          .to_incarnation = to_incarnation};
  const std::string* const address = address_of(to);
  if (address == nullptr) return;
  ports_.network.send(PeerAddress{to, *address},
                      raft::make_frame(kind, route, raft_.current_term(), body));
}

// What a leader or a candidate of this term says of itself is newer than a configuration that this
// node may have slept over.
const std::string* Host::Impl::address_of(raft::MemberId id) const {
  if (id == raft_.leader() && !raft_.leader_address().empty()) return &raft_.leader_address();
  if (const std::string* const told = raft_.told_address(id)) return told;
  const raft::Member* const member = raft_.configuration().find(id);
  if (member != nullptr) return &member->raft_address;
  // One that is leaving: it is still told that its removal is committed.
  const auto departing = std::ranges::find(departing_, id, &PeerAddress::member);
  return departing == departing_.end() ? nullptr : &departing->address;
}

void Host::Impl::keep_connections() {
  if (!connections_changed_ && heard_address_ == raft_.leader_address()) return;
  connections_changed_ = false;
  heard_address_ = raft_.leader_address();
  note_departures();
  kept_.clear();
  const auto keep = [this](raft::MemberId id) {
    const std::string* const address = address_of(id);
    if (id != raft_.identity().member && address != nullptr) kept_.push_back({id, *address});
  };
  for (const raft::Member& member : raft_.configuration().members) keep(member.id);
  if (raft_.leader() && raft_.configuration().find(raft_.leader()) == nullptr) keep(raft_.leader());
  for (const PeerAddress& peer : departing_) kept_.push_back(peer);
  ports_.network.keep(kept_);
}

// Where the members are that a leader goes on sending to though they are none any more.
void Host::Impl::note_departures() {
  const auto& progress = raft_.progress();
  const auto departs = [&](const PeerAddress& peer) {
    const auto it = progress.find(peer.member);
    return it != progress.end() && it->second.departing;
  };
  std::erase_if(departing_, [&](const PeerAddress& peer) { return !departs(peer); });
  for (const PeerAddress& peer : kept_) {
    const bool noted =
        std::ranges::find(departing_, peer.member, &PeerAddress::member) != departing_.end();
    if (!noted && departs(peer)) departing_.push_back(peer);
  }
}

// --- telling the leader this node's addresses ---

// Whenever the configuration is another one.
void Host::Impl::compare_advertised() {
  const raft::Member* const self = raft_.configuration().find(raft_.identity().member);
  advertised_differs_ = self != nullptr && (self->http_address != options_.http_address ||
                                            self->raft_address != options_.raft_address);
}

// No reply is waited for: it could not reach this node before its record is right.
void Host::Impl::advertise(Time time) {
  if (!advertised_differs_ || time < advertise_at_ || stop_) return;
  advertise_at_ = time + options_.raft.election_timeout;
  const std::string& name = raft_.configuration().find(raft_.identity().member)->name;
  if (leads()) {
    // Refused: another change is under way, or it is too early; the next time will come.
    (void)raft_.change_members(raft::AddMember{.name = name,
                                               .instance = raft_.identity().instance,
                                               .http_address = options_.http_address,
                                               .raft_address = options_.raft_address},
                               time);
    compare_advertised();
    wake();
    return;
  }
  const raft::MemberId to = whom_to_tell();
  if (!to) return;
  const Join join{.name = name,
                  .http_address = options_.http_address,
                  .raft_address = options_.raft_address,
                  .instance = raft_.identity().instance};
  const Ticket ticket = forwards_.sent_without_reply();
  send_frame(to, peers_.incarnation(to), raft::FrameKind::forward,
             encode(Forward{.ticket = ticket, .request = join}));
}

// A leader that does not know where this node is cannot introduce itself: then one member after the
// other is told, and one of them leads.
raft::MemberId Host::Impl::whom_to_tell() {
  if (raft_.leader()) return raft_.leader();
  const auto& members = raft_.configuration().members;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const raft::MemberId id = members[advertised_++ % members.size()].id;
    if (id != raft_.identity().member) return id;
  }
  return {};
}

}  // namespace raftkv::replica
