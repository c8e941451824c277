#include "sim/client_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <variant>

#include "sim/invariants.h"
#include "src/base/checksum.h"
#include "src/kv/command.h"

namespace raftkv::sim {
namespace {

// The first version at or behind the one in force at `floor` that is what was read; nullopt if none
// is.
std::optional<Version> find_version(const KeyHistory& history, Index floor,
                                    const std::optional<kv::Value>& read) {
  const auto is = [&](const Version& version) {
    if (!read) return !version.value.has_value();
    return version.index.value == read->index && version.value == checksum64(read->bytes);
  };
  auto it = std::ranges::upper_bound(history.versions, floor, {}, &Version::index);
  if (it == history.versions.begin()) {
    if (is(Version{})) return Version{};
  } else {
    --it;
  }
  it = std::find_if(it, history.versions.end(), is);
  return it == history.versions.end() ? std::nullopt : std::optional(*it);
}

}  // namespace

const KeyHistory& ClientChecks::history(std::string_view key) const {
  static const KeyHistory kNothing;
  const auto found = ghost_.keys.find(key);
  return found == ghost_.keys.end() ? kNothing : found->second;
}

std::uint32_t ClientChecks::invoked(std::uint32_t process, const Action& action, Instant now) {
  Operation operation;
  operation.process = process;
  operation.action = &action;
  operation.invoked = now;
  operation.invoked_order = order_++;
  if (action.verb == Verb::get) operation.floor = history(action.pairs.front().first).acknowledged;
  operations_.push_back(std::move(operation));
  return static_cast<std::uint32_t>(operations_.size() - 1);
}

void ClientChecks::served(std::size_t node, std::uint32_t number, const replica::Reply& reply) {
  Operation& operation = operations_[number];
  if (const auto* written = std::get_if<replica::Written>(&reply.answer)) {
    served_write(node, operation, *written);
  } else if (const auto* read = std::get_if<replica::ReadResult>(&reply.answer)) {
    served_read(node, operation, reply, *read);
  }
}

void ClientChecks::served_write(std::size_t node, const Operation& operation,
                                const replica::Written& written) {
  const auto fail = [&](std::string_view what) {
    verdict_.fail("I13", fmt::format("n{}: acknowledges '{}' at index {}: {}", node + 1,
                                     print(*operation.action), written.index.value, what));
  };
  if (written.index > ghost_.committed_last() || !written.index)
    return fail("nothing is committed there");
  for (const auto& [key, value] : operation.action->pairs) {
    const KeyHistory& versions = history(key);
    const Version version = versions.at(written.index);
    if (operation.action->verb == Verb::put) {
      if (version.index != written.index || version.value != checksum64(value)) {
        return fail("another entry is committed there");
      }
    } else if (version.value || (version.index == written.index) != written.outcome.deleted) {
      return fail("the key is not deleted there, or the answer is wrong");
    }
  }
}

void ClientChecks::served_read(std::size_t node, Operation& operation, const replica::Reply& reply,
                               const replica::ReadResult& read) {
  const std::string& key = operation.action->pairs.front().first;
  const Level level = operation.action->level;
  const auto fail = [&](std::string_view what) {
    verdict_.fail(
        "I13",
        fmt::format("n{}: '{}' answers {}: {} (acknowledged is {}, applied here {})", node + 1,
                    print(*operation.action),
                    read.value ? fmt::format("the version {}", read.value->index) : "nothing", what,
                    operation.floor.value, reply.index.value));
  };
  const KeyHistory& versions = history(key);
  if (read.value && read.value->index > reply.index.value)
    return fail("it is newer than what the node says that it has applied");
  if (level == Level::stale) {
    const auto kept = ghost_.keys.find(key);
    if (kept == ghost_.keys.end()) return read.value ? fail("nobody has written it") : void();
    auto& served = kept->second.stale_served;
    if (served.size() <= node) served.resize(node + 1);
    KeyHistory::Served& last = served[node];
    const GhostNode& server = ghost_.nodes[node];
    if (last.member != server.member || last.incarnation != server.incarnation) {
      last = {server.member, server.incarnation, Index()};
    }
    const auto version = find_version(versions, last.index, read.value);
    if (!version)
      return fail(
          fmt::format("it goes back behind {} on this node, or was never true", last.index.value));
    last.index = version->index;
    return;
  }
  if (find_version(versions, operation.floor, read.value)) return;
  if (level == Level::consistent) return fail("it does not see what was acknowledged before");
  // A default read may be old, but only on a leader that is cut off; and it was true once.
  if (!find_version(versions, Index(), read.value)) return fail("it was never true");
  if (ghost_.leaders.empty()) return fail("it is old, and nobody led");
  const Leader& latest = ghost_.leaders.rbegin()->second;
  if (latest.node == node && latest.incarnation == ghost_.nodes[node].incarnation) {
    fail("it is old, and no later leader exists");
  }
}

void ClientChecks::refused(std::uint32_t number) {
  ++operations_[number].attempts_refused;
  check_refused(operations_[number]);
}

// Values are unique: each attempt of a write can be in the log at most once.
void ClientChecks::check_refused(const Operation& operation) {
  if (operation.action->verb != Verb::put || operation.attempts_refused == 0) return;
  const auto& [key, value] = operation.action->pairs.front();
  const auto times =
      std::ranges::count(history(key).versions, std::optional(checksum64(value)), &Version::value);
  if (static_cast<std::uint64_t>(times) > operation.attempts - operation.attempts_refused) {
    verdict_.fail("I13",
                  fmt::format("'{}' is in the log {} times; of {} attempts {} were not applied",
                              print(*operation.action), times, operation.attempts,
                              operation.attempts_refused));
  }
}

void ClientChecks::returned(std::uint32_t number, Outcome outcome, Instant now) {
  Operation& operation = operations_[number];
  operation.outcome = outcome;
  operation.returned = now;
  operation.returned_order = order_++;
  if (outcome != Outcome::ok) return;
  const Action& action = *operation.action;
  const bool tells = is_write(action.verb) || action.level == Level::consistent;
  if (!tells) return;
  for (const auto& pair : action.pairs) {
    const auto found = ghost_.keys.find(pair.first);
    if (found == ghost_.keys.end()) continue;
    Index& acknowledged = found->second.acknowledged;
    acknowledged = std::max(acknowledged, Index(operation.index));
  }
}

void ClientChecks::finish() {
  for (const Operation& operation : operations_) check_refused(operation);
}

}  // namespace raftkv::sim
