// Front: what stands between the HTTP server and the Host. Counts and times every request, and says
// what the node is at this moment.
#pragma once

#include <unordered_map>

#include "src/app/backups.h"
#include "src/app/metrics.h"
#include "src/http/server.h"
#include "src/net/network.h"
#include "src/replica/host.h"

namespace raftkv::app {

class Front final : public http::Backend, public replica::Responder {
 public:
  Front(replica::Clock& clock, Metrics& metrics, const net::Network& network, Backups& backups)
      : clock_(clock), metrics_(metrics), network_(network), backups_(backups) {}

  // Before any other function. Both must outlive the last request.
  void attach(replica::Host& host, http::Server& server);

  // From the server.
  void submit(replica::Ticket ticket, replica::Request request) override;
  [[nodiscard]] http::NodeSummary summary() override;
  [[nodiscard]] std::string metrics() override;
  // From the Host.
  void respond(replica::Ticket ticket, replica::Reply reply) override;

 private:
  struct Begun {
    RequestKind kind;
    Time at;
    bool backup = false;
  };

  void begin_backup(replica::Ticket ticket, replica::Reply reply);

  replica::Clock& clock_;
  Metrics& metrics_;
  const net::Network& network_;
  Backups& backups_;
  replica::Host* host_ = nullptr;
  http::Server* server_ = nullptr;
  std::unordered_map<std::uint64_t, Begun> begun_;
};

}  // namespace raftkv::app
