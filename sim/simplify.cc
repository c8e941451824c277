#include "sim/simplify.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

namespace raftkv::sim {
namespace {

// Node `gone` is no more, those behind it move up. False: the action was about it.
bool renumber(Who& who, int gone) {
  if (who.kind != Who::Kind::node) return true;
  if (who.number == gone) return false;
  if (who.number > gone) --who.number;
  return true;
}

bool renumber(Action& action, int gone) {
  std::vector<Who> group;
  for (Who who : action.group) {
    if (renumber(who, gone)) group.push_back(who);
  }
  const bool emptied = group.empty() && !action.group.empty();
  action.group = std::move(group);
  const bool who = renumber(action.who, gone);
  const bool other = renumber(action.other, gone);
  return who && other && !emptied;
}

constexpr std::array<Strong, 8> kStrong = {{{"loss_ppm", 100'000},
                                            {"duplicate_ppm", 200'000},
                                            {"tail_ppm", 100'000},
                                            {"state_sync_bytes", 500},
                                            {"log_cut_step_bytes", 1},
                                            {"log_kept_bytes", 0},
                                            {"log_kept_for_streams_bytes", 0},
                                            {"snapshot_chunk_bytes", 100}}};

constexpr std::array<Strong, 3> kSmallest = {
    {{"inflight_messages_max", 1}, {"inflight_bytes_max", 200}, {"entries_per_message_max", 1}}};

// Well below the default timeouts.
constexpr std::array<Slow, 2> kSlow = {{{&Options::sync_min, &Options::sync_max, 10ms, 30ms},
                                        {&Options::latency_min, &Options::latency_max, 5ms, 15ms}}};

// One that `strong` may change: a count, or a size.
std::uint64_t Options::* field_of(const Strong& strong) {
  const auto field = std::ranges::find(option_fields(), strong.name, &OptionField::name);
  return std::get<std::uint64_t Options::*>(field->member);
}

}  // namespace

bool drop_node(Options& options, std::uint64_t number) {
  std::uint64_t& kind = number <= options.voters                      ? options.voters
                        : number <= options.voters + options.learners ? options.learners
                                                                      : options.spares;
  if (&kind == &options.voters && kind == 1) return false;
  --kind;
  std::erase_if(options.schedule,
                [&](Action& action) { return !renumber(action, static_cast<int>(number)); });
  return true;
}

std::vector<Action> simpler(const Action& action) {
  std::vector<Action> found;
  const auto add = [&](auto change) {
    Action copy = action;
    change(copy);
    if (copy != action) found.push_back(std::move(copy));
  };
  const auto as = [&](Verb verb) {
    add([&](Action& a) {
      a.verb = verb;
      a.count = a.count2 = 0;
      a.group.clear();
    });
  };
  const bool loses_power = action.verb == Verb::strike || action.verb == Verb::wipe ||
                           action.verb == Verb::damage || is_rot(action.verb);
  if (loses_power) as(Verb::kill);
  if (loses_power) as(Verb::power);
  if (action.verb == Verb::zero || action.verb == Verb::chop)
    add([](Action& a) { a.verb = Verb::flip; });
  if (action.verb == Verb::power) as(Verb::kill);
  if (action.verb == Verb::mute || action.verb == Verb::deafen || action.verb == Verb::bridge)
    as(Verb::isolate);
  if (action.group.size() == 1) {
    add([](Action& a) {
      a.verb = Verb::isolate;
      a.who = a.group.front();
      a.group.clear();
    });
  }
  for (std::size_t i = 0; action.group.size() > 1 && i < action.group.size(); ++i)
    add([&](Action& a) { a.group.erase(a.group.begin() + static_cast<std::ptrdiff_t>(i)); });
  if (action.verb == Verb::weather) {
    for (std::uint64_t Action::* part : {&Action::count, &Action::count2, &Action::count3})
      add([&](Action& a) { a.*part = 0; });
  }
  for (std::size_t i = 0; action.pairs.size() > 1 && i < action.pairs.size(); ++i)
    add([&](Action& a) { a.pairs.erase(a.pairs.begin() + static_cast<std::ptrdiff_t>(i)); });
  const bool addressed = is_operation(action.verb) || is_administration(action.verb);
  if (addressed) add([](Action& a) { a.other = {}; });
  add([](Action& a) { a.client = 0; });
  return found;
}

std::span<const Strong> strong_conditions() {
  return kStrong;
}

bool strengthen(Options& options, const Strong& strong) {
  static const Options kDefaults;
  const auto member = field_of(strong);
  return options.*member != kDefaults.*member && set(options, strong);
}

std::span<const Slow> slow_times() {
  return kSlow;
}

bool slow_down(Options& options, const Slow& slow) {
  const bool least = std::exchange(options.*slow.min, slow.least) != slow.least;
  const bool most = std::exchange(options.*slow.max, slow.most) != slow.most;
  return least || most;
}

std::span<const Strong> smallest_limits() {
  return kSmallest;
}

bool set(Options& options, const Strong& strong) {
  return std::exchange(options.*field_of(strong), strong.value) != strong.value;
}

}  // namespace raftkv::sim
