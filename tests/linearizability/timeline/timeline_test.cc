// What the page is given to draw; page_test.cc looks at it in a browser.
#include "linearizability/timeline/timeline.h"

#include <gmock/gmock.h>

#include "linearizability/timeline/page.h"
#include "tests/linearizability/timeline/rendered.h"

namespace raftkv::linearizability {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace json = boost::json;

constexpr std::string_view kStale = R"({"history":1,"model":"register"}
{"fault":"partition 1 | 2","from":250,"to":450}
{"process":7,"invoke":100,"return":200,"f":"write","key":"x","value":1}
{"process":7,"invoke":300,"return":400,"f":"write","key":"x","value":2}
{"process":3,"invoke":500,"return":600,"f":"read","key":"x","result":1}
{"process":3,"invoke":700,"return":800,"f":"read","key":"x","result":2}
{"process":4,"invoke":150,"end":"info","f":"write","key":"y","value":3}
{"process":5,"invoke":150,"return":160,"end":"fail","f":"write","key":"y","value":4}
)";

TEST(Timeline, HasALaneForEachProcessAndABarForEachOperation) {
  const json::object data = data_of(rendered(kStale));
  EXPECT_EQ(data.at("processes"), json::parse(R"(["3","4","5","7"])"));
  const json::object& ops = data.at("ops").as_object();
  EXPECT_EQ(ops.at("process"), json::parse("[3,1,2,3,0,0]"));
  EXPECT_EQ(ops.at("invoke"), json::parse("[0,50,50,200,400,600]"));  // from the first on
  EXPECT_EQ(ops.at("return"), json::parse("[100,-1,60,300,500,700]"));
  EXPECT_EQ(ops.at("end"), json::parse("[0,2,1,0,0,0]"));
  EXPECT_EQ(ops.at("line"), json::parse("[3,7,8,4,5,6]"));
  EXPECT_EQ(data.at("unit").as_string(), "ns");
}

TEST(Timeline, ShowsTheCoreFirstWithStatesAndReasons) {
  const json::object data = data_of(rendered(kStale));
  EXPECT_EQ(data.at("verdict").as_string(), "not-linearizable");
  const json::object& core = data.at("core").as_object();
  EXPECT_EQ(core.at("ops").as_array().size(), 3u);
  EXPECT_EQ(core.at("states"), json::parse(R"(["2"])"));
  ASSERT_EQ(core.at("next").as_array().size(), 1u);
  EXPECT_EQ(core.at("next").as_array()[0].as_object().at("op"), 4);
  EXPECT_THAT(std::string(core.at("text").as_string()), HasSubstr("Nothing can be dropped"));
  EXPECT_TRUE(data.at("witness").as_array().empty());
}

TEST(Timeline, ShadesFaults) {
  const json::object data = data_of(rendered(kStale));
  EXPECT_EQ(data.at("faults"), json::parse(R"([{"name":"partition 1 | 2","from":150,"to":350}])"));
}

TEST(Timeline, DrawsTheWitness) {
  const json::object data =
      data_of(rendered(R"({"process":0,"invoke":1,"return":5,"f":"write","value":1}
{"process":1,"invoke":2,"return":6,"f":"read","result":null})"));
  EXPECT_EQ(data.at("witness"), json::parse("[1,0]"));
  EXPECT_TRUE(data.at("core").is_null());
}

TEST(Timeline, WithoutTimesEventsAreTheUnit) {
  const json::object data =
      data_of(rendered("{:process 0 :type :invoke :f :read}{:process 0 :type :ok :f :read}"));
  EXPECT_EQ(data.at("unit").as_string(), "event");
  EXPECT_EQ(data.at("ops").as_object().at("return"), json::parse("[1]"));
}

TEST(Timeline, NothingInAHistoryCanBreakOutOfItsScript) {
  const std::string evil = R"(</script><script>alert(1)</script><!--)";
  const std::string page = rendered(R"({"fault":")" + evil + R"(","from":1,"to":2}
{"process":0,"invoke":1,"return":5,"f":"write","key":")" +
                                        evil + R"(","value":")" + evil + "\"}",
                                    evil);
  EXPECT_THAT(page, Not(HasSubstr(evil)));
  EXPECT_THAT(text_of_data(page), Not(HasSubstr("<")));
  EXPECT_EQ(data_of(page).at("file").as_string(), evil);
}

TEST(Timeline, ThePageLoadsNothingFromElsewhere) {
  const std::string_view page = timeline_page();
  for (const char* way :
       {"http:", "https:", "src=", "href=", "import ", "fetch(", "XMLHttpRequest", "url("}) {
    EXPECT_THAT(std::string(page), Not(HasSubstr(way)));
  }
  EXPECT_THAT(std::string(page), HasSubstr("default-src 'none'"));
}

TEST(Timeline, ShowsAWindowAroundTheCoreOfAHugeHistory) {
  HistoryBuilder builder;
  const auto run = [&](std::uint32_t process, const Call& call, Value result) {
    const auto id = builder.invoke(process, call);
    EXPECT_TRUE(builder.complete(*id, End::ok, {.result = result, .steps = {}}));
  };
  const std::size_t count = kTimelineOperationsMax * 2;
  for (std::size_t i = 0; i < count; ++i) {
    run(0, write(kUnsaid, builder.values().integer(static_cast<std::int64_t>(i))), kUnsaid);
  }
  run(1, read(kUnsaid), builder.values().integer(static_cast<std::int64_t>(count) - 2));
  const History history = builder.finish();
  Report report;
  report.verdict = Verdict::not_linearizable;
  const auto last = static_cast<OperationId>(count);
  report.core = {.operations = {3, last - 2, last - 1, last}, .weakened = {}, .minimal = true};
  const json::object data = data_of(
      render_timeline(history, report, {}, {}, {.title = "t", .model = "register", .note = {}}));
  const auto& lines = data.at("ops").as_object().at("line").as_array();
  EXPECT_LE(lines.size(), kTimelineOperationsMax + 1);
  EXPECT_EQ(lines[0], 3);  // of the core, though far away
  EXPECT_EQ(lines.back(), count);
  EXPECT_THAT(std::string(data.at("summary").as_string()), HasSubstr("around the core"));
}

TEST(Timeline, LabelsSayWhatWasCalledAndAnswered) {
  const auto reading = read_history(
      R"({"process":0,"invoke":1,"return":2,"f":"cas","key":"x","value":[1,2],"result":false}
{"process":0,"invoke":3,"return":4,"f":"cas","key":"x","value":[1,2]}
{"process":0,"invoke":5,"return":6,"f":"delete","key":"x","result":true}
{"process":0,"invoke":7,"return":8,"f":"set","value":{"a":"1","b":"2"}}
{"process":0,"invoke":9,"return":10,"f":"get","key":"a","result":null})");
  const History& history = reading->history;
  EXPECT_EQ(label_of(history, 0), "cas \"x\" 1 → 2: false");
  EXPECT_EQ(label_of(history, 1), "cas \"x\" 1 → 2");
  EXPECT_EQ(label_of(history, 2), "remove \"x\": true");
  EXPECT_EQ(label_of(history, 3), "transaction [write \"a\" \"1\"] [write \"b\" \"2\"]");
  EXPECT_EQ(label_of(history, 4), "read \"a\": nil");
}

}  // namespace
}  // namespace raftkv::linearizability
