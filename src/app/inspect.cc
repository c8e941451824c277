#include "src/app/inspect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json.hpp>

#include "src/app/table.h"
#include "src/base/bytes.h"
#include "src/storage/inspection.h"

namespace raftkv::app {
namespace {

namespace json = boost::json;
using storage::DatabaseInspection;
using storage::DataDirectory;
using storage::Inspection;

Said failed(const Error& error) {
  return {.exit_code = kNotFound, .out = {}, .err = fmt::format("raftkv: {}\n", error.message)};
}

std::string_view name_of(DataDirectory::Stage stage) {
  switch (stage) {
    case DataDirectory::Stage::empty:
      return "empty";
    case DataDirectory::Stage::unfinished:
      return "unfinished";
    case DataDirectory::Stage::joining:
      return "joining";
    case DataDirectory::Stage::node:
      break;
  }
  return "node";
}

// The shape is that of both outputs: text is this, a line a member.
json::object identity_of(const storage::Promise& promise) {
  return {{"id", promise.names.name},
          {"cluster", to_hex(promise.identity.cluster.value)},
          {"member", promise.identity.member.value},
          {"instance", to_hex(promise.identity.instance.value)},
          {"incarnation", promise.identity.incarnation.value},
          {"httpAddr", promise.names.http_address},
          {"raftAddr", promise.names.raft_address}};
}

json::object promise_of(const storage::Promise& promise, const std::string& trouble) {
  json::object out = {{"term", promise.hard_state.current_term.value},
                      {"votedFor", promise.hard_state.voted_for.value},
                      {"throughIndex", promise.through.index.value},
                      {"throughTerm", promise.through.term.value},
                      {"throughSequence", promise.through.sequence},
                      {"lost", promise.lost}};
  if (!trouble.empty()) out["trouble"] = trouble;
  return out;
}

json::object database_of(const DatabaseInspection& database) {
  json::object out = {{"directory", database.directory}, {"bytes", database.bytes}};
  if (!database.scan) {
    out["trouble"] = database.trouble;
    return out;
  }
  const storage::DatabaseScan& scan = *database.scan;
  std::uint64_t table_bytes = 0;
  for (const auto& [number, size] : scan.manifest.tables) table_bytes += size;
  json::array wals;
  for (const storage::ScannedWal& wal : scan.wals) {
    wals.push_back(
        json::object{{"number", wal.number}, {"bytes", wal.size}, {"batches", wal.batches}});
  }
  out["manifest"] = scan.manifest.file;
  out["tables"] = scan.manifest.tables.size();
  out["tableBytes"] = table_bytes;
  out["wals"] = std::move(wals);
  out["lastSequence"] = scan.last_sequence;
  if (scan.broken) out["broken"] = scan.broken->why;
  return out;
}

json::array terms_of(const std::vector<raft::TermRun>& runs) {
  json::array terms;
  for (const raft::TermRun& run : runs) {
    terms.push_back(json::object{{"term", run.term.value}, {"first", run.first.value}});
  }
  return terms;
}

json::object start_of(const storage::NodeInspection& node) {
  json::array members;
  for (const raft::Member& member : node.state.configuration.get().members) {
    members.emplace_back(member.name);
  }
  json::object out = {{"firstIndex", node.first.value},
                      {"lastIndex", node.recovered.last.value},
                      {"terms", terms_of(node.recovered.terms)},
                      {"appliedIndex", node.state.applied.value},
                      {"appliedTerm", node.state.applied_term.value},
                      {"digest", to_hex(node.state.digest)},
                      {"members", std::move(members)},
                      {"promiseLost", node.recovered.promise_lost}};
  if (!node.loss.empty()) out["loss"] = node.loss;
  if (!node.state_damage.empty()) out["stateDamage"] = node.state_damage;
  return out;
}

json::object object_of(const Inspection& inspection) {
  json::object out = {{"holds", name_of(inspection.stage)}};
  if (inspection.promise) {
    out["node"] = identity_of(*inspection.promise);
    out["promise"] = promise_of(*inspection.promise, inspection.promise_trouble);
  } else if (!inspection.promise_trouble.empty()) {
    out["promise"] = json::object{{"trouble", inspection.promise_trouble}};
  }
  if (inspection.stage == DataDirectory::Stage::node) {
    out["log"] = database_of(inspection.log);
    out["state"] = database_of(inspection.state);
  }
  if (inspection.node) out["start"] = start_of(*inspection.node);
  if (!inspection.refusal.empty()) out["refusal"] = inspection.refusal;
  return out;
}

std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_array()) {
    std::vector<std::string> parts;
    for (const json::value& part : value.get_array()) parts.push_back(text_of(part));
    return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, "; "));
  }
  if (!value.is_object()) return json::serialize(value);
  std::vector<std::string> parts;
  for (const auto& member : value.get_object()) {
    parts.push_back(fmt::format("{} {}", std::string_view(member.key()), text_of(member.value())));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Two levels deep: sections, and a line a member.
std::string text_of(const json::object& object) {
  Table table({"", ""});
  for (const auto& section : object) {
    const std::string name(section.key());
    if (!section.value().is_object()) {
      table.add({name, text_of(section.value())});
      continue;
    }
    for (const auto& member : section.value().get_object()) {
      table.add(
          {fmt::format("{}.{}", name, std::string_view(member.key())), text_of(member.value())});
    }
  }
  const std::string text = table.text();
  return text.substr(text.find('\n') + 1);  // without the header
}

json::array array_of(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

std::string lines_of(std::string_view word, const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += fmt::format("{}: {}\n", word, text);
  return out;
}

}  // namespace

Said run_inspect(const InspectOptions& options, storage::Disk& disk) {
  const auto inspection = storage::inspect(disk, options.data);
  if (!inspection) return failed(inspection.error());
  const json::object object = object_of(*inspection);
  return {.exit_code = kDone,
          .out = options.json ? json::serialize(object) + "\n" : text_of(object),
          .err = {}};
}

Said run_check(const CheckOptions& options, storage::Disk& disk) {
  const auto checked = storage::check(disk, options.data);
  if (!checked) return failed(checked.error());
  const bool whole =
      checked->damages.empty() && checked->inspection.stage == DataDirectory::Stage::node;
  const int exit_code = whole ? kDone : kNotFound;
  if (options.json) {
    const json::object object = {{"whole", whole},
                                 {"holds", name_of(checked->inspection.stage)},
                                 {"damages", array_of(checked->damages)},
                                 {"leftovers", array_of(checked->leftovers)},
                                 {"tables", checked->tables},
                                 {"entries", checked->entries},
                                 {"keys", checked->keys}};
    return {.exit_code = exit_code, .out = json::serialize(object) + "\n", .err = {}};
  }
  std::string out =
      lines_of("damaged", checked->damages) + lines_of("left over", checked->leftovers);
  if (checked->inspection.stage != DataDirectory::Stage::node) {
    out += fmt::format("{} holds no node ({})\n", options.data, name_of(checked->inspection.stage));
  } else {
    out += fmt::format("{}: {} tables, {} entries of the log, {} keys of the state\n",
                       whole ? "whole" : "not whole", checked->tables, checked->entries,
                       checked->keys);
  }
  return {.exit_code = exit_code, .out = std::move(out), .err = {}};
}

}  // namespace raftkv::app
