// The HTTP server with nothing behind it: each request is answered at once, writes as done and
// reads with 256 bytes. What scripts/compare measures of it bounds what any node can do on the same
// machine with the same load generator.
#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <string>
#include <utility>
#include <variant>

#include "src/app/loop.h"
#include "src/app/options.h"
#include "src/http/server.h"

namespace raftkv::bench {
namespace {

class Nothing final : public http::Backend {
 public:
  void attach(http::Server& server) { server_ = &server; }

  void submit(replica::Ticket ticket, replica::Request request) override {
    replica::Reply reply;
    if (std::holds_alternative<replica::Write>(request)) {
      reply.answer = replica::Written{.index = raft::Index(++writes_), .outcome = {}};
    } else {
      reply.answer = replica::ReadResult{.value = kv::Value{std::string(256, 'v'), 1}};
    }
    reply.node = "nothing";
    reply.index = raft::Index(writes_);
    reply.term = raft::Term(1);
    server_->respond(ticket, std::move(reply));
  }
  http::NodeSummary summary() override { return {}; }
  std::string metrics() override { return {}; }

 private:
  http::Server* server_ = nullptr;
  std::uint64_t writes_ = 0;
};

int serve(const std::string& address) {
  boost::asio::io_context context{1};
  app::Loop loop(context, app::ServeOptions{}.busy_poll);
  Nothing nothing;
  http::Server server(context, {}, nothing);
  nothing.attach(server);
  loop.attach([&] { server.flush(); }, [] {});
  if (const Status listening = server.listen(address); !listening) {
    std::fprintf(stderr, "http_alone: %s\n", listening.error().message.c_str());
    return 1;
  }
  loop.run();
  return 0;
}

}  // namespace
}  // namespace raftkv::bench

int main(int count, char** arguments) {
  if (count != 2 || arguments[1][0] == '-') {
    std::fprintf(stderr,
                 "usage: http_alone HOST:PORT\n\nServes the REST interface of raftkv with nothing "
                 "behind it, until it is killed.\n");
    return count == 2 ? 0 : 2;
  }
  return raftkv::bench::serve(arguments[1]);
}
