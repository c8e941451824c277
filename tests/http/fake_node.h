// A node for tests of the HTTP interface: one map, answers at once, in whatever mood the test asks
// for.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "src/http/server.h"
#include "src/replica/request.h"

namespace raftkv::http {

class FakeNode final : public Backend {
 public:
  using Answer = std::function<void(replica::Ticket, replica::Reply)>;

  // Who takes the answers; set before the first submit().
  void answer_to(Answer answer) { answer_ = std::move(answer); }

  // One line that says how to behave from now on:
  //   leads                              the initial mood: leads, everything works
  //   follows NAME HOST:PORT | follows nobody
  //   fails PROBLEM not_applied|unknown
  //   holds                              keeps tickets until it releases
  //   releases | releases last           answers what is held, in order; or the youngest of it
  //   alone unready                            status says that it is not ready misfits answers
  //   every request as if it were another one
  // CHECKs that the line is one of these.
  void set_mood(const std::string& line);
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  [[nodiscard]] std::size_t submitted() const { return submitted_; }
  [[nodiscard]] replica::Reply reply_to(replica::Request&& request);

  void submit(replica::Ticket ticket, replica::Request request) override;
  [[nodiscard]] NodeSummary summary() override;
  [[nodiscard]] std::string metrics() override { return "raftkv_up 1\n"; }

 private:
  void release();
  void release_last();
  struct Stored {
    std::string bytes;
    std::uint64_t index = 0;
  };
  [[nodiscard]] replica::Answer execute(replica::Request& request);
  [[nodiscard]] replica::Answer write(const std::string& command);
  [[nodiscard]] replica::Answer read(const std::string& key) const;
  [[nodiscard]] replica::Answer status() const;

  Answer answer_;
  std::map<std::string, Stored> store_;
  std::uint64_t index_ = 4;
  std::size_t submitted_ = 0;
  bool holding_ = false;
  bool ready_ = true;
  bool misfits_ = false;
  std::optional<replica::LeaderHint> leader_ = replica::LeaderHint{"node01", "127.0.0.1:8091"};
  std::optional<replica::Failed> failure_;
  std::vector<std::pair<replica::Ticket, replica::Request>> held_;
};

}  // namespace raftkv::http
