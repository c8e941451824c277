// What the commands of `raftkv` can be told (docs/architecture.md; `raftkv COMMAND --help`).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "src/base/result.h"
#include "src/base/time.h"
#include "src/kv/command.h"
#include "src/raft/options.h"

namespace raftkv::app {

inline constexpr const char* kDefaultHttp = "127.0.0.1:8091";
inline constexpr const char* kDefaultRaft = "127.0.0.1:8089";

struct InitOptions {
  std::string data;
  std::string id;
  std::string http = kDefaultHttp;
  std::string raft = kDefaultRaft;
};

struct ServeOptions {
  std::string data;
  std::string id;                 // empty: as the data directory says
  std::vector<std::string> join;  // HOST:PORT (HTTP) of members
  std::string http;               // to listen on; empty: as init or the join said, else the default
  std::string raft;
  std::string advertise_http;  // empty: the address that it listens on
  std::string advertise_raft;
  bool forward = false;
  bool log_json = false;
  std::string log_level = "info";
  Duration election_timeout = raft::Options{}.election_timeout;
  Duration heartbeat_interval = raft::Options{}.heartbeat_interval;
  Duration request_timeout = 5s;
  Duration join_timeout = 30s;
  Duration stop_timeout = 5s;
  Duration busy_poll = 200us;
  std::size_t value_size_max = kv::kValueSizeMaxDefault;
  std::size_t log_kept_bytes = raft::Options{}.log_kept_bytes;
};

// `raftkv inspect` and `raftkv check`: a directory that no process uses.
struct InspectOptions {
  std::string data;
  bool json = false;
};
struct CheckOptions {
  std::string data;
  bool json = false;
};

// Of every client command.
struct ClientOptions {
  std::vector<std::string> endpoints = {kDefaultHttp};  // HOST:PORT
  Duration timeout = 10s;                               // of the whole command
};
struct Get {
  std::string key;
  std::string level = "default";
};
struct Set {
  std::string key;
  std::string value;
};
struct Del {
  std::string key;
};
struct ShowStatus {
  bool json = false;
};
struct ShowMembers {
  bool json = false;
};
struct RemoveMember {
  std::string id;
};
struct TransferLeader {
  std::string id;
};
using ClientVerb =
    std::variant<Get, Set, Del, ShowStatus, ShowMembers, RemoveMember, TransferLeader>;
struct ClientCommand {
  ClientOptions options;
  ClientVerb verb;
};

// `raftkv backup`: a client command that writes a file.
struct BackupOptions {
  ClientOptions client;
  std::string file;
  std::string level = "consistent";
  bool force = false;  // a file of this name goes
};
// `raftkv restore`: a new cluster of one node.
struct RestoreOptions {
  std::string file;
  InitOptions node;
};
// `raftkv recover`: the same, from another node's directory. Names that are empty are as there.
struct RecoverOptions {
  std::string from;
  InitOptions node = {.data = {}, .id = {}, .http = {}, .raft = {}};
  bool yes = false;
};

// Nothing to run: --help, --version, or a mistake.
struct Said {
  int exit_code = 0;
  std::string out;  // for standard output
  std::string err;  // for standard error
};

using Command = std::variant<InitOptions, ServeOptions, InspectOptions, CheckOptions, ClientCommand,
                             BackupOptions, RestoreOptions, RecoverOptions, Said>;

// Understands a command line (without the program's name). Environment variables (RAFTKV_ENDPOINTS
// and those that
// --help names) stand in for flags that are not given. A value "-" of `set` is left for the caller
// to read.
[[nodiscard]] Command parse_command_line(std::vector<std::string> arguments);

// What can be said about options without looking at the machine, once all addresses are filled in.
// Errors: invalid, one sentence with what to do.
[[nodiscard]] Status validate(const InitOptions& options);
[[nodiscard]] Status validate(const ServeOptions& options);

// "200us", "250ms", "2s", "1m". Errors: invalid.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);
// HOST:PORT of "http://HOST:PORT/" or "HOST:PORT". Errors: invalid.
[[nodiscard]] Result<std::string> parse_endpoint(std::string_view text);

// The exit codes of all commands (design, section 8).
enum ExitCode : int {
  kDone = 0,
  kNotFound = 1,  // of serve, init, inspect, check, restore and recover: it did not work, or is
                  // not whole; of backup: the file cannot be written
  kUsage = 2,
  kUnreachable = 3,  // no leader, or nobody answers
  kRefused = 4,
  kUnknown = 5,  // a write that may have happened
};

}  // namespace raftkv::app
