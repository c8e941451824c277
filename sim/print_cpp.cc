#include "sim/print_cpp.h"

namespace raftkv::sim {
namespace {

std::string cpp(const Who& who) {
  switch (who.kind) {
    case Who::Kind::none:
      return "{}";
    case Who::Kind::node:
      return "node(" + std::to_string(who.number) + ")";
    case Who::Kind::leader:
      return "leader()";
    case Who::Kind::follower:
      return "follower()";
    case Who::Kind::deposed:
      return "deposed_leader()";
    case Who::Kind::majority:
      return "majority()";
    case Who::Kind::minority:
      return "minority()";
  }
  return {};
}

std::string cpp_pairs(const Action& action) {
  if (action.pairs.size() == 1)
    return "\"" + action.pairs[0].first + "\", \"" + action.pairs[0].second + "\"";
  std::string text = "{";
  for (const auto& [key, value] : action.pairs) {
    if (text.size() > 1) text += ", ";
    text += "{\"" + key + "\", \"" + value + "\"}";
  }
  return text + "}";
}

std::string cpp_level(Level level) {
  return level == Level::consistent ? "Level::consistent"
         : level == Level::stale    ? "Level::stale"
                                    : "Level::default_";
}

std::string cpp_arguments(const Action& action) {
  switch (action.verb) {
    case Verb::put:
      return cpp_pairs(action);
    case Verb::get:
      return "\"" + action.pairs[0].first + "\", " + cpp_level(action.level);
    case Verb::del:
      return "\"" + action.pairs[0].first + "\"";
    case Verb::split: {
      std::string group = "{";
      for (const Who& who : action.group) group += (group.size() > 1 ? ", " : "") + cpp(who);
      return group + "}";
    }
    case Verb::ring:
    case Verb::heal:
      return {};
    case Verb::weather:
      return std::to_string(action.count) + ", " + std::to_string(action.count2) + ", " +
             std::to_string(action.count3);
    case Verb::flip:
    case Verb::zero:
    case Verb::chop:
      return cpp(action.who) + ", " + std::to_string(action.count) + ", " +
             std::to_string(action.count2);
    case Verb::strike:
    case Verb::full:
    case Verb::lose:
    case Verb::disk:
      return cpp(action.who) + ", " + std::to_string(action.count);
    case Verb::clog:
    case Verb::reset:
      return cpp(action.who) + ", " + cpp(action.other);
    case Verb::unclog:
      return action.who.kind == Who::Kind::none ? "" : cpp(action.who) + ", " + cpp(action.other);
    default:
      return cpp(action.who);
  }
}

std::string cpp(const Action& action) {
  // The verb as print() writes it is the name of the function that makes it.
  const std::string line = print(action);
  const std::size_t verb = line.find(' ') + 1;
  std::string text = "at(" + print(action.at) + ", " +
                     line.substr(verb, line.find(' ', verb) - verb) + "(" + cpp_arguments(action) +
                     ")";
  const bool addressed = is_operation(action.verb) || is_administration(action.verb);
  if (addressed && action.other.kind != Who::Kind::none)
    text += ".through(" + cpp(action.other) + ")";
  if (action.label != 0) text += ".named(" + std::to_string(action.label) + ")";
  if (action.client != 0) text += ".by(" + std::to_string(action.client) + ")";
  return text + ")";
}

}  // namespace

std::string print_test(const Options& options, std::string_view suite, std::string_view name) {
  std::string text = "TEST(";
  text.append(suite).append(", ").append(name).append(") {\n  Options options;\n");
  Options plain = options;
  plain.schedule.clear();
  std::string lines = print(plain);  // "name value"
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = lines.find('\n', at);
    const std::string line = lines.substr(at, end - at);
    const std::size_t space = line.find(' ');
    text += "  options." + line.substr(0, space) + " = " + line.substr(space + 1) + ";\n";
    at = end + 1;
  }
  if (!options.schedule.empty()) {
    text += "  options.schedule = {\n";
    for (const Action& action : options.schedule) text += "      " + cpp(action) + ",\n";
    text += "  };\n";
  }
  return text + "  expect_clean(options);\n}\n";
}

}  // namespace raftkv::sim
