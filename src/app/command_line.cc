// The command lines of all commands, in CLI11's words.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>

#include "src/app/options.h"
#include "src/app/version.h"

namespace raftkv::app {
namespace {

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 not found, 2 usage, 3 no leader or nobody reachable, 4 refused,\n"
    "5 outcome unknown: the write may have happened, or may happen later.\n";

std::string duration_check(const std::string& text) {
  const auto parsed = parse_duration(text);
  return parsed ? "" : parsed.error().message;
}
std::string endpoint_check(const std::string& text) {
  const auto parsed = parse_endpoint(text);
  return parsed ? "" : parsed.error().message;
}

// The command line as it is being understood: CLI11 writes into these.
struct Parsed {
  InitOptions init;
  ServeOptions serve;
  InspectOptions inspect;
  CheckOptions check;
  RestoreOptions restore;
  RecoverOptions recover;
  BackupOptions backup;
  // By the name of the command: CLI11 lets an environment variable speak for all of them.
  std::map<std::string, ClientOptions> client;
  std::string on_follower = "redirect";
  std::string log_format = "text";
  Get get;
  Set set;
  Del del;
  ShowStatus status;
  ShowMembers members;
  RemoveMember remove;
  TransferLeader transfer;
};

void add_duration(CLI::App& app, const std::string& flag, Duration& into, const std::string& help,
                  const std::string& environment) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(into).count();
  app.add_option_function<std::string>(
         flag, [&into](const std::string& text) { into = parse_duration(text).value_or(into); },
         help)
      ->type_name("TIME")
      ->check(duration_check)
      ->default_str(us % 1000 == 0 ? fmt::format("{}ms", us / 1000) : fmt::format("{}us", us))
      ->envname(environment);
}

void add_init(CLI::App& app, InitOptions& options) {
  CLI::App& init = *app.add_subcommand("init", "make a new cluster of this one node, once");
  init.add_option("--data", options.data, "directory for the node's data; made if it is not there")
      ->required()
      ->envname("RAFTKV_DATA");
  init.add_option("--id", options.id, "the node's name, unique in the cluster")
      ->required()
      ->envname("RAFTKV_ID");
  init.add_option("--http", options.http, "HOST:PORT where clients reach it")
      ->capture_default_str()
      ->envname("RAFTKV_HTTP");
  init.add_option("--raft", options.raft, "HOST:PORT where other members reach it")
      ->capture_default_str()
      ->envname("RAFTKV_RAFT");
  init.footer(
      "Then start it:      raftkv serve --data DIR\n"
      "and let others in:  raftkv serve --data DIR2 --id node02 --join HOST:PORT --http ... --raft "
      "...\n"
      "A directory that already has a node is left as it is (exit code 1).");
}

void add_serve(CLI::App& app, Parsed& parsed) {
  ServeOptions& options = parsed.serve;
  CLI::App& serve = *app.add_subcommand("serve", "run a node");
  serve.add_option("--data", options.data, "directory for the node's data")
      ->required()
      ->envname("RAFTKV_DATA");
  serve.add_option("--id", options.id, "the node's name; needed to join")->envname("RAFTKV_ID");
  serve
      .add_option("--join", options.join,
                  "HOST:PORT (HTTP) of members of the cluster to join, separated by commas;\n"
                  "does nothing once the node has joined")
      ->delimiter(',')
      ->type_name("HOST:PORT,...")
      ->check(endpoint_check)
      ->envname("RAFTKV_JOIN");
  serve
      .add_option(
          "--http", options.http,
          fmt::format("HOST:PORT to serve clients on; else as the last init or join said, or {}",
                      kDefaultHttp))
      ->envname("RAFTKV_HTTP");
  serve
      .add_option(
          "--raft", options.raft,
          fmt::format("HOST:PORT to talk to other members on; else as before, or {}", kDefaultRaft))
      ->envname("RAFTKV_RAFT");
  serve
      .add_option("--advertise-http", options.advertise_http,
                  "HOST:PORT where clients reach it, if not --http")
      ->envname("RAFTKV_ADVERTISE_HTTP");
  serve
      .add_option("--advertise-raft", options.advertise_raft,
                  "HOST:PORT where members reach it, if not --raft")
      ->envname("RAFTKV_ADVERTISE_RAFT");
  serve
      .add_option("--on-follower", parsed.on_follower,
                  "what a follower does with requests for the leader: redirect the client (307)\n"
                  "or forward them itself")
      ->check(CLI::IsMember({"redirect", "forward"}))
      ->capture_default_str()
      ->envname("RAFTKV_ON_FOLLOWER");
  serve.add_option("--value-size-max", options.value_size_max, "largest value, in bytes")
      ->check(CLI::Range(std::size_t{1}, std::size_t{32} << 20))
      ->capture_default_str();
  serve
      .add_option("--log-kept-bytes", options.log_kept_bytes,
                  "how much of its log's end a node keeps, for members that were away; one that "
                  "was away\nfor longer gets a snapshot of the whole state")
      ->check(CLI::Range(std::size_t{64} << 10, std::size_t{1} << 40))
      ->capture_default_str()
      ->envname("RAFTKV_LOG_KEPT_BYTES");
  add_duration(serve, "--election-timeout", options.election_timeout,
               "a follower that hears nothing waits this to twice this long",
               "RAFTKV_ELECTION_TIMEOUT");
  add_duration(serve, "--heartbeat", options.heartbeat_interval,
               "the leader speaks at least this often", "RAFTKV_HEARTBEAT");
  add_duration(serve, "--request-timeout", options.request_timeout,
               "a request that takes longer is answered with 504", "RAFTKV_REQUEST_TIMEOUT");
  add_duration(serve, "--join-timeout", options.join_timeout, "how long to try to join",
               "RAFTKV_JOIN_TIMEOUT");
  add_duration(serve, "--stop-timeout", options.stop_timeout, "how long a clean stop may take",
               "RAFTKV_STOP_TIMEOUT");
  add_duration(serve, "--busy-poll", options.busy_poll,
               "how long a thread looks for more work before it sleeps, while work comes quickly;\n"
               "0us where CPU time is dearer than latency",
               "RAFTKV_BUSY_POLL");
  serve
      .add_option("--log-format", parsed.log_format,
                  "text or json, one line an event, to standard error")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str()
      ->envname("RAFTKV_LOG_FORMAT");
  serve.add_option("--log-level", options.log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str()
      ->envname("RAFTKV_LOG_LEVEL");
  serve.footer(
      "serve never makes a cluster: the first node is made by `raftkv init`, all others join it.\n"
      "SIGTERM and SIGINT hand leadership over and stop cleanly; a second one stops at once.\n"
      "Exit codes: 0 stopped cleanly, 1 it did not work (one sentence says why), 2 usage.");
}

template <typename Options>
CLI::App& add_look(CLI::App& app, const std::string& name, const std::string& help,
                   Options& options) {
  CLI::App& look = *app.add_subcommand(name, help);
  look.add_option("DIR", options.data, "the node's data directory; no process may be using it")
      ->required();
  look.add_flag("--json", options.json, "a JSON object instead of text");
  return look;
}

void add_looks(CLI::App& app, Parsed& parsed) {
  add_look(app, "inspect", "show what is in a data directory, and change nothing", parsed.inspect)
      .footer(
          "Identity, promise, log, state and files; and what the next start would find.\n"
          "Exit codes: 0 shown, 1 it cannot be shown (one sentence says why), 2 usage.");
  add_look(app, "check", "verify all checksums of a data directory, and change nothing",
           parsed.check)
      .footer(
          "Reads every file that counts; a node that is damaged can often still be started:\n"
          "`raftkv inspect` says what a start would make of it.\n"
          "Exit codes: 0 all is as it was written, 1 it is not (a line for each reason), 2 usage.");
}

void add_client(CLI::App& command, ClientOptions& options) {
  command
      .add_option_function<std::vector<std::string>>(
          "--endpoints",
          [&options](const std::vector<std::string>& urls) {
            options.endpoints.clear();
            for (const auto& url : urls)
              options.endpoints.push_back(parse_endpoint(url).value_or(url));
          },
          "HTTP addresses of some members, separated by commas; redirects to the leader are "
          "followed")
      ->delimiter(',')
      ->type_name("URL,...")
      ->check(endpoint_check)
      ->default_str(kDefaultHttp)
      ->envname("RAFTKV_ENDPOINTS");
  add_duration(command, "--timeout", options.timeout, "how long to try", "RAFTKV_TIMEOUT");
}

CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& help,
                      Parsed& parsed) {
  CLI::App& command = *app.add_subcommand(name, help);
  add_client(command, parsed.client[name]);
  command.footer(kExitCodes);
  return command;
}

void add_addresses(CLI::App& command, InitOptions& node, const std::string& otherwise) {
  const auto address = [&](const char* flag, std::string& into, const char* help,
                           const char* name) {
    CLI::Option* option = command.add_option(flag, into, help + otherwise)->envname(name);
    if (otherwise.empty()) option->capture_default_str();
  };
  address("--http", node.http, "HOST:PORT where clients reach it", "RAFTKV_HTTP");
  address("--raft", node.raft, "HOST:PORT where other members reach it", "RAFTKV_RAFT");
}

void add_restore(CLI::App& app, RestoreOptions& options) {
  CLI::App& restore =
      *app.add_subcommand("restore", "make a new cluster of one node with the state of a backup");
  restore.add_option("FILE", options.file, "what `raftkv backup` has written")->required();
  restore
      .add_option("--data", options.node.data,
                  "directory for the new node's data; made if it is not there")
      ->required()
      ->envname("RAFTKV_DATA");
  restore.add_option("--id", options.node.id, "the new node's name")
      ->required()
      ->envname("RAFTKV_ID");
  add_addresses(restore, options.node, "");
  restore.footer(
      "The cluster is a new one, with a new id: nodes of the old one cannot talk to it. Keys keep\n"
      "the indexes of their last changes (ETag). Others join it with `raftkv serve --join`, in "
      "new\n"
      "directories. All of the backup is verified; after an interruption, run it again.\n"
      "Exit codes: 0 made, 1 it did not work (one sentence says why), 2 usage.");
}

void add_recover(CLI::App& app, RecoverOptions& options) {
  CLI::App& recover = *app.add_subcommand(
      "recover", "make a new cluster of one node after the loss of a quorum for good");
  recover
      .add_option("--data", options.from,
                  "directory of a stopped node of the old cluster; it is not changed")
      ->required();
  recover
      .add_option("--to", options.node.data,
                  "directory for the new node's data; made if it is not there")
      ->required();
  recover.add_option("--id", options.node.id, "the new node's name; else as in --data");
  add_addresses(recover, options.node, "; else as in --data");
  recover.add_flag("--yes", options.yes, "go on without being asked");
  recover.footer(
      "For when a majority of the voters will never come back. What was acknowledged and is not "
      "in\n"
      "this node's log is lost; what is in its log becomes committed, also what never was. Choose\n"
      "the node whose log goes furthest (`raftkv inspect DIR`: start.terms, start.lastIndex).\n"
      "The cluster is a new one, with a new id: nodes of the old one cannot talk to it.\n"
      "Exit codes: 0 made, 1 it did not work (one sentence says why), 2 usage, or not confirmed.");
}

void add_backup(CLI::App& app, BackupOptions& options) {
  CLI::App& backup = *app.add_subcommand("backup", "write the state of a running node to a file");
  add_client(backup, options.client);
  backup.add_option("-o,--output", options.file, "the file; FILE.part until it is whole")
      ->type_name("FILE")
      ->required();
  backup
      .add_option("--level", options.level,
                  "consistent: all that was acknowledged before, from the leader; default: by the\n"
                  "node that believes to lead; stale: by any node, what it has")
      ->check(CLI::IsMember({"default", "consistent", "stale"}))
      ->capture_default_str();
  backup.add_flag("--force", options.force, "replace a file that has this name");
  backup.footer(
      "The state is that of one moment, whatever is written meanwhile. --timeout is for the time\n"
      "until it begins to come; then it is given up when nothing comes for 30 s.\n"
      "`raftkv restore FILE` makes a new cluster of it.\n"
      "Exit codes: 0 written and verified, 1 the file cannot be written, 2 usage, 3 no leader or\n"
      "nobody reachable, 4 refused.");
}

void add_key_commands(CLI::App& app, Parsed& parsed) {
  CLI::App& get = add_command(app, "get", "print the value of a key", parsed);
  get.add_option("KEY", parsed.get.key, "the key, as it is: nothing is decoded")->required();
  get.add_option("--level", parsed.get.level,
                 "default: by the node that believes to lead; consistent: never old;\n"
                 "stale: by any node, what it has")
      ->check(CLI::IsMember({"default", "consistent", "stale"}))
      ->capture_default_str();
  get.footer(std::string("The value is printed as it is; on a terminal a newline follows.\n") +
             kExitCodes);

  CLI::App& set = add_command(app, "set", "set a key to a value", parsed);
  set.add_option("KEY", parsed.set.key, "the key, as it is")->required();
  set.add_option("VALUE", parsed.set.value, "the value; - reads it from standard input")
      ->required();

  CLI::App& del = add_command(app, "del", "delete a key", parsed);
  del.add_option("KEY", parsed.del.key, "the key, as it is")->required();
  del.footer(std::string("Exit code 1: there was no such key.\n") + kExitCodes);
}

void add_administration(CLI::App& app, Parsed& parsed) {
  CLI::App& status =
      add_command(app, "status", "show what the nodes at --endpoints say of themselves", parsed);
  status.add_flag("--json", parsed.status.json, "a JSON array of their /status answers");
  CLI::App& members =
      add_command(app, "members", "show the members of the cluster and how far they are", parsed);
  members.add_flag("--json", parsed.members.json, "the leader's /members answer as it is");

  CLI::App& member = *app.add_subcommand("member", "change the members of the cluster");
  member.require_subcommand(1);
  CLI::App& remove = add_command(member, "remove", "remove a member from the cluster", parsed);
  remove.add_option("ID", parsed.remove.id, "its name, as `raftkv members` shows it")->required();

  CLI::App& leader = *app.add_subcommand("leader", "change the leader of the cluster");
  leader.require_subcommand(1);
  CLI::App& transfer = add_command(leader, "transfer", "hand leadership to a member", parsed);
  transfer.add_option("ID", parsed.transfer.id, "its name, as `raftkv members` shows it")
      ->required();
}

// The deepest command that was named: whose help is meant.
const CLI::App& named(const CLI::App& app) {
  const auto below = app.get_subcommands();
  return below.empty() ? app : named(*below.front());
}

// "raftkv leader transfer" for that command.
std::string path_of(const CLI::App& app) {
  const auto below = app.get_subcommands();
  return app.get_name() + (below.empty() ? "" : " " + path_of(*below.front()));
}

std::string help_of(const CLI::App& app) {
  const std::string path = path_of(app);
  const std::size_t last = path.rfind(' ');
  return named(app).help(last == std::string::npos ? "" : path.substr(0, last));
}

Said mistake(const CLI::App& app, std::string_view what) {
  return {.exit_code = kUsage,
          .out = {},
          .err = fmt::format("raftkv: {} (`{} --help` says more)\n", what, path_of(app))};
}

Command chosen(const CLI::App& app, Parsed& parsed) {
  if (app.got_subcommand("init")) return parsed.init;
  if (app.got_subcommand("serve")) {
    parsed.serve.forward = parsed.on_follower == "forward";
    parsed.serve.log_json = parsed.log_format == "json";
    for (auto& endpoint : parsed.serve.join) endpoint = parse_endpoint(endpoint).value_or(endpoint);
    return parsed.serve;
  }
  if (app.got_subcommand("inspect")) return parsed.inspect;
  if (app.got_subcommand("check")) return parsed.check;
  if (app.got_subcommand("restore")) return parsed.restore;
  if (app.got_subcommand("recover")) return parsed.recover;
  if (app.got_subcommand("backup")) return parsed.backup;
  const auto client = [&](ClientVerb verb) {
    return ClientCommand{parsed.client.at(named(app).get_name()), std::move(verb)};
  };
  if (app.got_subcommand("get")) return client(parsed.get);
  if (app.got_subcommand("set")) return client(parsed.set);
  if (app.got_subcommand("del")) return client(parsed.del);
  if (app.got_subcommand("status")) return client(parsed.status);
  if (app.got_subcommand("members")) return client(parsed.members);
  if (app.got_subcommand("member")) return client(parsed.remove);
  return client(parsed.transfer);
}

}  // namespace

Command parse_command_line(std::vector<std::string> arguments) {
  CLI::App app("raftkv: a replicated key-value store", "raftkv");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("raftkv ") + kVersion);
  app.footer("`raftkv COMMAND --help` says more about each command.");
  app.get_formatter()->column_width(34);
  Parsed parsed;
  add_init(app, parsed.init);
  add_serve(app, parsed);
  add_looks(app, parsed);
  add_restore(app, parsed.restore);
  add_recover(app, parsed.recover);
  add_backup(app, parsed.backup);
  add_key_commands(app, parsed);
  add_administration(app, parsed);

  const auto is_first = [&](const CLI::App* command) {
    return command->get_name() == arguments.front();
  };
  if (!arguments.empty() && !arguments.front().starts_with('-') &&
      app.get_subcommands(is_first).empty()) {
    return mistake(app, fmt::format("there is no command '{}'", arguments.front()));
  }
  std::ranges::reverse(arguments);  // CLI11 takes them from the back
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    return Said{.exit_code = kDone, .out = help_of(app), .err = {}};
  } catch (const CLI::CallForVersion&) {
    return Said{.exit_code = kDone, .out = fmt::format("raftkv {}\n", kVersion), .err = {}};
  } catch (const CLI::ParseError& error) {
    return mistake(app, error.what());
  }
  return chosen(app, parsed);
}

}  // namespace raftkv::app
