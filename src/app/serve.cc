#include "src/app/serve.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <memory>
#include <optional>
#include <utility>

#include "src/app/joining.h"
#include "src/app/logs.h"
#include "src/app/node.h"
#include "src/app/random_id.h"
#include "src/net/network.h"
#include "src/storage/data_directory.h"

namespace raftkv::app {
namespace {

using storage::DataDirectory;

Said failed(int exit_code, std::string_view sentence) {
  return {.exit_code = exit_code, .out = {}, .err = fmt::format("raftkv: {}\n", sentence)};
}
Said not_started(const Error& error) {
  return failed(kNotFound, error.message);
}

// Every connection is a file: take what the system allows.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

Said no_node_here(const std::string& data) {
  return failed(
      kUsage,
      fmt::format("there is no node in {}: join a cluster with --id NAME --join HOST:PORT, or make "
                  "a new one with `raftkv init`",
                  data));
}

// Flags that were not given are as init or the join said.
void fill_in(ServeOptions& options, const storage::NodeNames* names) {
  const auto fill = [](std::string& address, const std::string& known, const char* otherwise) {
    if (address.empty()) address = known.empty() ? otherwise : known;
  };
  fill(options.http, names != nullptr ? names->http_address : "", kDefaultHttp);
  fill(options.raft, names != nullptr ? names->raft_address : "", kDefaultRaft);
}

void fill_in_advertised(ServeOptions& options) {
  if (options.advertise_http.empty()) options.advertise_http = options.http;
  if (options.advertise_raft.empty()) options.advertise_raft = options.raft;
}

// Starts a node step by step; each step may end it with something to say.
class Start {
 public:
  explicit Start(ServeOptions options) : options_(std::move(options)) {}

  Said run() {
    for (const auto step :
         {&Start::take_directory, &Start::open_known, &Start::take_addresses, &Start::join}) {
      if (auto said = (this->*step)()) return *said;
    }
    return serve();
  }

 private:
  using Step = std::optional<Said>;

  Step take_directory() {
    if (options_.data.empty()) return failed(kUsage, validate(options_).error().message);
    auto taken = DataDirectory::take(storage::posix_disk(), options_.data, !options_.join.empty());
    if (!taken && taken.error().code == ErrorCode::not_found && options_.join.empty()) {
      return no_node_here(options_.data);
    }
    if (!taken) return not_started(taken.error());
    directory_ = std::move(*taken);
    was_node_ = directory_->stage() == DataDirectory::Stage::node;
    if (was_node_) return std::nullopt;
    if (options_.join.empty()) return what_to_make();
    if (options_.id.empty())
      return failed(kUsage, "--join needs --id NAME: the name of this node in the cluster");
    return std::nullopt;
  }

  // There is no node, and none to be joined.
  Said what_to_make() {
    if (directory_->stage() != DataDirectory::Stage::unfinished) return no_node_here(options_.data);
    return failed(kUsage, directory_->open().error().message);
  }

  Step open_known() {
    if (!was_node_) return std::nullopt;
    if (auto said = open()) return said;
    const std::string& name = opened_->names.name;
    if (!options_.id.empty() && options_.id != name) {
      return failed(
          kNotFound,
          fmt::format("{} is the data of node {}, not of {}: leave --id away, or name another "
                      "directory",
                      options_.data, name, options_.id));
    }
    return std::nullopt;
  }

  Step open() {
    auto opened = directory_->open(/*refuse_hopeless=*/true);
    if (!opened) return not_started(opened.error());
    opened_.emplace(std::move(*opened));
    return std::nullopt;
  }

  // Before anything is asked of a cluster: a node that cannot listen must not become a member.
  Step take_addresses() {
    fill_in(options_, opened_ ? &opened_->names : nullptr);
    if (auto valid = validate(options_); !valid) return failed(kUsage, valid.error().message);
    fill_in_advertised(options_);
    constexpr std::string_view kHint = "name another, or end what listens there";
    if (auto free = net::can_listen(loop_, options_.http); !free) {
      return failed(kNotFound, fmt::format("--http {}; {}", free.error().message, kHint));
    }
    auto network = net::Network::open(loop_, options_.raft, {}, Prng(random_id()));
    if (!network)
      return failed(kNotFound, fmt::format("--raft {}; {}", network.error().message, kHint));
    network_ = std::move(*network);
    return std::nullopt;
  }

  Step join() {
    if (was_node_) return std::nullopt;
    const auto instance = directory_->begin_join(raft::InstanceId(random_id()));
    if (!instance) return not_started(instance.error());
    replica::JoinOptions join = {.endpoints = options_.join,
                                 .request = {.name = options_.id,
                                             .http_address = options_.advertise_http,
                                             .raft_address = options_.advertise_raft,
                                             .instance = *instance},
                                 .deadline = options_.join_timeout};
    const auto joined = join_cluster(std::move(join));
    if (!joined) return not_started(joined.error());
    const storage::NodeNames names = {options_.id, options_.advertise_http,
                                      options_.advertise_raft};
    if (auto made = directory_->finish_join(joined->cluster, joined->member, names); !made) {
      return not_started(made.error());
    }
    return open();
  }

  Said serve() {
    set_up_logs(options_.log_json, options_.log_level);
    if (!was_node_) {
      spdlog::info("event=joined id={} member={} cluster={}", options_.id,
                   opened_->identity.member.value, to_hex(opened_->identity.cluster.value));
    }
    if (!opened_->loss.empty()) {
      spdlog::warn("event=promise_lost reason=\"{}\"", opened_->loss);
    }
    if (was_node_ && !options_.join.empty()) {
      spdlog::info("event=join_ignored reason=\"this node has joined before\"");
    }
    Node node(loop_, options_, *opened_, std::move(network_));
    if (auto started = node.start(); !started)
      return failed(kNotFound, "--http " + started.error().message);
    return {.exit_code = node.run(), .out = {}, .err = {}};
  }

  ServeOptions options_;
  bool was_node_ = false;
  boost::asio::io_context loop_{1};
  std::unique_ptr<DataDirectory> directory_;
  std::optional<storage::OpenedNode> opened_;
  std::unique_ptr<net::Network> network_;
};

}  // namespace

Said run_init(const InitOptions& options) {
  if (auto valid = validate(options); !valid) return failed(kUsage, valid.error().message);
  auto directory = DataDirectory::take(storage::posix_disk(), options.data, true);
  if (!directory) return not_started(directory.error());
  const raft::ClusterId cluster(random_id());
  const raft::InstanceId instance(random_id());
  auto made =
      (*directory)->create_cluster(cluster, instance, {options.id, options.http, options.raft});
  if (!made) return not_started(made.error());
  return {.exit_code = kDone,
          .out = fmt::format("made cluster {} of {} in {}; start it with: raftkv serve --data {}\n",
                             to_hex(cluster.value), options.id, options.data, options.data),
          .err = {}};
}

Said run_serve(ServeOptions options) {
  std::signal(SIGPIPE, SIG_IGN);
  raise_file_limit();
  return Start(std::move(options)).run();
}

}  // namespace raftkv::app
