// Node: a Host with everything real plugged into its ports (docs/architecture.md, "Two worlds, six
// ports").
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <memory>

#include "src/app/backups.h"
#include "src/app/event_log.h"
#include "src/app/front.h"
#include "src/app/loop.h"
#include "src/app/loop_clock.h"
#include "src/app/metrics.h"
#include "src/app/options.h"
#include "src/app/thread_worker.h"
#include "src/app/timed_log_store.h"
#include "src/http/server.h"
#include "src/net/network.h"
#include "src/replica/host.h"
#include "src/storage/data_directory.h"

namespace raftkv::app {

class Node {
 public:
  // `options` with all addresses filled in. `opened` and `context` must outlive it.
  Node(boost::asio::io_context& context, const ServeOptions& options, storage::OpenedNode& opened,
       std::unique_ptr<net::Network> network);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Begins to serve clients and peers. Errors: those of http::Server::listen.
  [[nodiscard]] Status start();
  // Runs until the node is told to stop by a signal, or its disk fails. Gives the exit code.
  [[nodiscard]] int run();

 private:
  void turn();
  void wait_for_signal();
  void stop(int signal);
  void disk_failed(const Error& why);
  void finish();

  boost::asio::io_context& context_;
  Loop loop_;
  const ServeOptions options_;
  storage::OpenedNode& opened_;
  Metrics metrics_;
  LoopClock clock_;
  std::unique_ptr<net::Network> network_;
  Backups backups_;  // before the server, whose connections hold its bodies
  Front front_;
  http::Server server_;
  EventLog event_log_;
  TimedLogStore log_store_;
  boost::asio::signal_set signals_;
  bool stopping_ = false;
  bool failed_ = false;
  std::unique_ptr<replica::Host> host_;
  // Last: their jobs end before what they work with does.
  ThreadWorker log_worker_;
  ThreadWorker apply_worker_;
  ThreadWorker read_worker_;
  ThreadWorker upkeep_worker_;
};

}  // namespace raftkv::app
