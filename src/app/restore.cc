#include "src/app/restore.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <utility>

#include "src/app/random_id.h"
#include "src/base/bytes.h"
#include "src/storage/backup_file.h"
#include "src/storage/data_directory.h"
#include "src/storage/salvage.h"

namespace raftkv::app {
namespace {

using storage::DataDirectory;

constexpr std::string_view kYes = "recover";

Said failed(int exit_code, std::string_view sentence) {
  return {.exit_code = exit_code, .out = {}, .err = fmt::format("raftkv: {}\n", sentence)};
}

struct Made {
  raft::ClusterId cluster;
  replica::StateMeta state;
};

Result<Made> make_cluster(storage::Disk& disk, const InitOptions& node, const storage::Seed& seed) {
  auto directory = DataDirectory::take(disk, node.data, true);
  if (!directory) return failure(directory);
  const raft::ClusterId cluster(random_id());
  auto state = (*directory)
                   ->create_cluster_from(cluster, raft::InstanceId(random_id()),
                                         {node.id, node.http, node.raft}, seed);
  if (!state) {
    if ((*directory)->stage() != DataDirectory::Stage::unfinished) return failure(state);
    return failure(state.error().code,
                   fmt::format("{}; {} is unfinished", state.error().message, node.data));
  }
  return Made{.cluster = cluster, .state = std::move(*state)};
}

std::string next_steps(const InitOptions& node) {
  return fmt::format(
      "start it with:      raftkv serve --data {}\n"
      "and let others in:  raftkv serve --data NEWDIR --id NAME --join {} --http ... --raft ...\n",
      node.data, node.http);
}

std::string names_of(const raft::Configuration& configuration) {
  std::string names;
  for (const raft::Member& member : configuration.members) {
    names += (names.empty() ? "" : ", ") + member.name;
    if (configuration.is_learner(member.id)) names += " (learner)";
  }
  return names;
}

// What an operator has to know before a history goes on without those who agreed on it.
std::string warning_of(const storage::Salvage& salvage, const RecoverOptions& options) {
  const storage::OpenedNode& node = salvage.node();
  const raft::Recovered& recovered = node.recovered;
  std::string text = fmt::format(
      "{} is the directory of {} in cluster {}, whose members are: {}.\n"
      "Its log ends with entry {} of term {}; it had applied entry {} at least. How far the\n"
      "cluster had committed is not known here. If you go on:\n"
      " - What others have committed and this log does not hold is lost, also writes that were\n"
      "   acknowledged: entries {} and later, and others in place of those behind {}.\n",
      options.from, node.names.name, to_hex(node.identity.cluster.value),
      names_of(salvage.configuration()), recovered.last.value, recovered.last_term().value,
      recovered.applied.value, recovered.last.value + 1, recovered.applied.value);
  if (recovered.promise_lost) {
    text += fmt::format(
        " - This node has lost a part of its own log ({}): what it had acknowledged\n"
        "   there is lost, too, unless it was applied.\n",
        node.loss.empty() ? "an earlier start noticed" : node.loss);
  }
  if (recovered.last > recovered.applied) {
    text += fmt::format(
        " - Entries {} to {} become committed, also those that never were and whose writes were\n"
        "   answered with an unknown outcome, or with none.\n",
        recovered.applied.value + 1, recovered.last.value);
  }
  text += fmt::format(
      " - A new cluster begins in {}. No member of the old one can talk to it, and none may go on\n"
      "   serving clients beside it: do this only if they are gone for good.\n"
      "{} itself stays as it is: keep it until you are sure.\n",
      options.node.data, options.from);
  return text;
}

void fill_in(InitOptions& node, const storage::NodeNames& names) {
  if (node.id.empty()) node.id = names.name;
  if (node.http.empty()) node.http = names.http_address;
  if (node.raft.empty()) node.raft = names.raft_address;
}

}  // namespace

Said run_restore(const RestoreOptions& options, storage::Disk& disk) {
  if (auto valid = validate(options.node); !valid) return failed(kUsage, valid.error().message);
  auto file = storage::BackupFileReader::open(disk, options.file);
  if (!file) return failed(kNotFound, file.error().message);
  const storage::Seed seed = {.next = [&file] { return file->next(); }, .tail = {}, .term = {}};
  const auto made = make_cluster(disk, options.node, seed);
  if (!made) return failed(kNotFound, made.error().message);
  return {.exit_code = kDone,
          .out = fmt::format("made cluster {} of {} in {} from {}: what cluster {} was as of index "
                             "{}, {} keys\n{}",
                             to_hex(made->cluster.value), options.node.id, options.node.data,
                             options.file, to_hex(file->header().cluster.value),
                             file->header().applied.value, file->totals().pairs - 1,
                             next_steps(options.node)),
          .err = {}};
}

Said run_recover(const RecoverOptions& given, storage::Disk& disk, const Ask& ask) {
  RecoverOptions options = given;
  if (options.from == options.node.data) {
    return failed(kUsage, "--to must be another directory than --data, which stays as it is");
  }
  const auto salvage = storage::Salvage::open(disk, options.from);
  if (!salvage) return failed(kNotFound, salvage.error().message);
  fill_in(options.node, (*salvage)->node().names);
  if (auto valid = validate(options.node); !valid) return failed(kUsage, valid.error().message);
  const std::string warning = warning_of(**salvage, options);
  if (!options.yes && ask(warning) != kYes) {
    return {.exit_code = kUsage,
            .out = {},
            .err = fmt::format("{}raftkv: nothing was done: say --yes if this is what you want\n",
                               warning)};
  }
  const auto seed = (*salvage)->seed();
  if (!seed) return failed(kNotFound, seed.error().message);
  const auto made = make_cluster(disk, options.node, *seed);
  if (!made) return failed(kNotFound, made.error().message);
  return {.exit_code = kDone,
          .out = fmt::format("made cluster {} of {} in {} as of index {}\n{}",
                             to_hex(made->cluster.value), options.node.id, options.node.data,
                             made->state.applied.value, next_steps(options.node)),
          .err = options.yes ? warning : std::string()};
}

std::string ask_terminal(const std::string& warning) {
  if (::isatty(STDIN_FILENO) != 1) return {};
  fmt::print(stderr, "{}Type \"{}\" to go on: ", warning, kYes);
  std::fflush(stderr);
  std::string line;
  std::getline(std::cin, line);
  return line;
}

}  // namespace raftkv::app
