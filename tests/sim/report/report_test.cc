// What the recorder keeps and the page is given; page_test.cc looks at it in a browser.
#include <gmock/gmock.h>

#include <algorithm>
#include <boost/json.hpp>
#include <string>

#include "sim/report/page.h"
#include "sim/report/recorder.h"
#include "sim/report/words.h"
#include "sim/simulate.h"
#include "sim/swarm.h"

namespace raftkv::sim {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace json = boost::json;

struct Seen {
  Run run;
  Recorder recorder;
  [[nodiscard]] const Record& record() const { return recorder.record(); }
};

void watch(const Options& options, Seen& seen) {
  SimulateOptions how;
  how.watcher = &seen.recorder;
  seen.run = simulate(options, how);
}

Options a_cut_and_a_crash() {
  Options options;
  options.duration = 3s;
  options.liveness = 0;
  options.schedule = {
      at(500ms, isolate(node(1))), at(1s, put("k", "v").through(node(2))),
      at(1500ms, heal()),          at(1600ms, kill(node(3))),
      at(1700ms, pause(node(1))),  at(1800ms, disk(node(2), 10)),
  };
  return options;
}

const NodeMoment& moment_at(const Record& record, std::size_t node, Instant time) {
  const auto& moments = record.nodes[node].moments;
  const auto behind = std::ranges::upper_bound(moments, time, {}, &NodeMoment::at);
  return *std::prev(behind);
}

json::object data_of(const std::string& page) {
  const std::string_view begin = "<script type=\"application/json\" id=\"run\">";
  const std::size_t first = page.find(begin) + begin.size();
  return json::parse(page.substr(first, page.find("</script>", first) - first)).as_object();
}

TEST(Recorder, DoesNotChangeTheRun) {
  for (const std::uint64_t seed : {3u, 7u, 12u}) {
    const Options options = draw_options(seed, {.voters = 0, .duration = 5s});
    Seen seen;
    watch(options, seen);
    EXPECT_EQ(seen.run.trace_hash, simulate(options).trace_hash);
    EXPECT_EQ(seen.record().nodes.size(), options.voters + options.learners + options.spares);
  }
}

TEST(Recorder, SeesRolesCutsCrashesPausesAndDisks) {
  Seen seen;
  watch(a_cut_and_a_crash(), seen);
  const Record& record = seen.record();
  EXPECT_EQ(moment_at(record, 0, 600ms).deaf_to, 0b110u);
  EXPECT_EQ(moment_at(record, 0, 600ms).mute_to, 0b110u);
  EXPECT_EQ(moment_at(record, 1, 600ms).deaf_to, 0b001u);
  EXPECT_EQ(moment_at(record, 0, 1550ms).deaf_to, 0u);
  EXPECT_EQ(moment_at(record, 2, 1650ms).part, Part::down);
  EXPECT_TRUE(moment_at(record, 0, 1750ms).paused);
  EXPECT_EQ(moment_at(record, 1, 1850ms).disk_factor, 10u);
  const auto leads = [&](std::size_t node) {
    return moment_at(record, node, 1450ms).part == Part::leader;
  };
  EXPECT_NE(leads(1), leads(2));
  ASSERT_EQ(record.operations.size(), 1u);
  EXPECT_EQ(record.operations[0].outcome, Outcome::ok);
  EXPECT_EQ(record.operations[0].text, "put k=v through n2");
}

TEST(Recorder, KnowsEveryLogAndTheFateOfEveryMessage) {
  Seen seen;
  watch(a_cut_and_a_crash(), seen);
  for (const Record::OfNode& node : seen.record().nodes) {
    std::uint64_t last = 0;
    for (const LogMoment& change : node.logs) {
      EXPECT_LE(change.keep, last);
      last = change.keep + change.terms.size();
    }
    EXPECT_EQ(last, node.moments.back().last);
  }
  const auto cut = [](const MessageMoment& m) {
    return m.sent >= 500ms && m.sent < 1500ms && (m.from == 0 || m.to == 0);
  };
  std::size_t lost = 0;
  for (const MessageMoment& message : seen.record().messages) {
    const bool is_lost = message.fate == MessageMoment::Fate::lost;
    EXPECT_EQ(is_lost, cut(message)) << message.text;
    lost += is_lost ? 1 : 0;
  }
  EXPECT_GT(lost, 0u);
}

TEST(Recorder, ALongRunIsThinnedAndThePageSaysSo) {
  Options options;  // a leader that says often that it is there
  options.voters = 7;
  options.duration = 30s;
  options.liveness = 0;
  options.heartbeat_interval = 2ms;
  Seen seen;
  watch(options, seen);
  const Record& record = seen.record();
  EXPECT_LE(record.messages.size(), kRecordedMessagesMax);
  EXPECT_GT(record.idle_messages_dropped, 0u);
  std::size_t changes = 0;
  for (const Record::OfNode& node : record.nodes) changes += node.moments.size();
  EXPECT_LE(changes, kRecordedChangesMax + record.nodes.size());
  const json::object data = data_of(render_page(record, options, {}, {"t", "r", ""}));
  EXPECT_THAT(std::string(data.at("leftOut").as_string()), HasSubstr("are left out"));
}

TEST(RunPage, HoldsTheViolationTheScheduleAndItsWords) {
  const Options options = a_cut_and_a_crash();
  Seen seen;
  watch(options, seen);
  Failure failure;
  failure.violation = {"I3", "n1: </script> & two logs differ"};
  failure.at = 2s;
  const std::string page = render_page(seen.record(), options, failure, {"<b>", "again", "h.html"});
  EXPECT_THAT(page, HasSubstr("<title>&lt;b&gt;</title>"));
  const json::object data = data_of(page);
  EXPECT_EQ(data.at("failure").at("what").as_string(), failure.violation.what);
  EXPECT_EQ(data.at("failure").at("at"), 2'000'000);
  EXPECT_EQ(data.at("history").as_string(), "h.html");
  EXPECT_EQ(data.at("nodes").as_array().size(), 3u);
  EXPECT_EQ(data.at("actions").as_array()[0],
            json::parse(
                R"([500000,0,"isolate n1","n1 and the others cannot reach each other","500ms"])"));
  EXPECT_EQ(data.at("operations").as_array().size(), 1u);
}

TEST(RunPage, LoadsNothingFromElsewhere) {
  const std::string page(empty_page());
  for (const char* way :
       {"http:", "https:", "src=", "href=", "import ", "fetch(", "XMLHttpRequest", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(way)));
  }
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
}

TEST(Words, SayWhatEveryActionIs) {
  EXPECT_EQ(explain(weather(50'000, 0, 0)), "from now on, of messages 5 % are lost");
  EXPECT_EQ(explain(weather(0, 0, 0)), "from now on no message is lost, doubled or damaged");
  EXPECT_EQ(explain(get("k", Level::consistent).through(deposed_leader())),
            "a client reads k (consistent: never old) through the deposed leader");
  EXPECT_EQ(explain(split({node(1), node(2)})), "n1, n2 and the others cannot reach each other");
  const Who n = node(1);
  for (const Action& action :
       {kill(n),        power(n),   strike(n, 2), start(n),   pause(n),  resume(n),
        wipe(n),        isolate(n), mute(n),      deafen(n),  bridge(n), ring(),
        cut_clients(n), heal(),     heal(2),      clog(n, n), unclog(),  unclog(n, n),
        reset(n, n),    disk(n, 0), disk(n, 1),   disk(n, 5), remove(n), transfer(n),
        put("k", "v"),  del("k")}) {
    EXPECT_FALSE(explain(action).empty()) << print(action);
  }
}

}  // namespace
}  // namespace raftkv::sim
