// The own form. Positions of events are what decides: most tests look at them.
#include "linearizability/readers/json_lines.h"

#include "tests/linearizability/readers/reading.h"

namespace raftkv::linearizability {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(JsonLines, ReadsEachFunction) {
  EXPECT_THAT(
      lines_of(R"(
{"process":0,"invoke":10,"return":20,"end":"ok","f":"write","key":"x","value":"1"}
{"process":0,"invoke":30,"return":40,"end":"ok","f":"read","key":"x","result":"1"}
{"process":0,"invoke":50,"return":60,"end":"ok","f":"get","key":"y","result":null,"index":7}
{"process":0,"invoke":70,"return":80,"end":"ok","f":"cas","value":[1,2],"result":false}
{"process":0,"invoke":90,"return":91,"end":"ok","f":"cas","value":[1,2]}
{"process":0,"invoke":92,"return":93,"end":"fail","f":"append","key":"x","value":"b"}
{"process":0,"invoke":94,"return":95,"f":"delete","key":"x","result":true}
{"process":0,"invoke":96,"return":97,"f":"set","value":{"a":"1","b":"2"}}
{"process":0,"invoke":98,"return":99,"f":"set","value":{"a":"1"}}
{"process":0,"invoke":100,"return":101,"f":"txn","value":[["read","a","1"],["write","b",3]]}
{"process":0,"invoke":102,"return":103,"f":"acquire"}
{"process":0,"invoke":104,"return":105,"f":"release"}
{"process":0,"invoke":106,"f":"txn","value":[["r","a",5],["w","b",4]]}
)"),
      ElementsAre(
          "0 write \"x\" \"1\": ok", "0 read \"x\": ok \"1\"", "0 read \"y\": ok nil @7",
          "0 cas 1 -> 2: ok false", "0 cas 1 -> 2: ok true", "0 append \"x\" \"b\": fail",
          "0 remove \"x\": ok true", "0 transaction [write \"a\" \"1\"] [write \"b\" \"2\"]: ok",
          "0 write \"a\" \"1\": ok", "0 transaction [read \"a\" \"1\"] [write \"b\" 3]: ok",
          "0 acquire: ok", "0 release: ok", "0 transaction [read \"a\" _] [write \"b\" 4]: info"));
}

TEST(JsonLines, ReadsSetsEvenWhenTheFirstWordDoesNotTell) {
  EXPECT_THAT(
      lines_of(R"({"process":0,"invoke":1,"return":2,"f":"read","result":[]}
{"process":0,"invoke":3,"return":4,"f":"add","value":5,"result":true}
{"process":0,"invoke":5,"return":6,"f":"read","result":[5,6]}
{"process":0,"invoke":7,"f":"read"}
{"process":1,"invoke":7,"return":9,"f":"contains","value":5,"result":false}
)"),
      ElementsAre("0 read-all: ok", "0 add 5: ok true", "0 read-all [contains 5] [contains 6]: ok",
                  "0 read-all: info", "1 contains 5: ok false"));
}

TEST(JsonLines, ANamedModelSaysWhetherReadsAreOfSets) {
  const std::string operations = R"({"process":0,"invoke":3,"return":4,"f":"add","value":5}
{"process":0,"invoke":5,"return":6,"f":"read","result":5}
)";
  EXPECT_THAT(lines_of("{\"history\":1,\"model\":\"counter\"}\n" + operations),
              ElementsAre("0 add 5: ok", "0 read: ok 5"));
  EXPECT_THAT(refusal_of("{\"history\":1,\"model\":\"set\"}\n" + operations),
              StartsWith("line 3: "));
  EXPECT_THAT(refusal_of(operations), StartsWith("line 2: a set's read answers with an array"));
}

TEST(JsonLines, AReadThatSaysNothingIsNoReadOfNothing) {
  const auto said = read_history(R"({"process":0,"invoke":1,"return":2,"f":"read","result":null})");
  const auto unsaid = read_history(R"({"process":0,"invoke":1,"return":2,"f":"read"})");
  EXPECT_EQ(said->history[0].result, kNil);
  EXPECT_EQ(unsaid->history[0].result, kUnsaid);
}

TEST(JsonLines, PutsOperationsInOrderOfTime) {
  const auto reading = read_history(R"({"process":1,"invoke":5,"return":9,"f":"write","value":2}
{"process":0,"invoke":1,"return":7,"f":"write","value":1}
)");
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->history.print(0), "0 write 1: ok");
  EXPECT_THAT(reading->lines, ElementsAre(2, 1));
  EXPECT_EQ(reading->history[0].invoked, 0u);
  EXPECT_EQ(reading->history[1].invoked, 1u);
  EXPECT_EQ(reading->history[0].returned, 2u);
  EXPECT_EQ(reading->history.invoke_time(0), 1);
  EXPECT_EQ(reading->history.return_time(0), 7);
  EXPECT_EQ(reading->history.return_time(1), 9);
}

TEST(JsonLines, WhatTouchesAtOneTimeIsAtOnce) {
  const auto reading = read_history(R"({"process":0,"invoke":1,"return":5,"f":"write","value":1}
{"process":1,"invoke":5,"return":8,"f":"read","result":1}
)");
  ASSERT_TRUE(reading);
  EXPECT_FALSE(reading->history[0].precedes(reading->history[1]));
}

TEST(JsonLines, AProcessMayGoOnAtTheTimeOfItsReturn) {
  const auto reading = read_history(R"({"process":0,"invoke":1,"return":5,"f":"write","value":1}
{"process":0,"invoke":5,"return":5,"f":"write","value":2}
{"process":0,"invoke":5,"return":9,"f":"write","value":3}
{"process":1,"invoke":5,"return":9,"f":"read","result":1}
{"process":2,"invoke":2,"return":5,"f":"read","result":1}
)");
  ASSERT_TRUE(reading) << reading.error().message;
  const History& history = reading->history;
  EXPECT_EQ(reading->lines, (std::vector<std::uint32_t>{1, 5, 4, 2, 3}));
  EXPECT_TRUE(history[0].precedes(history[3]));
  EXPECT_TRUE(history[3].precedes(history[4]));
  EXPECT_FALSE(history[0].precedes(history[2]));  // process 1
  EXPECT_FALSE(history[1].precedes(history[4]));  // process 2
}

TEST(JsonLines, ReadsTheHeaderAndFaults) {
  const auto reading = read_history(R"({"history":1,"model":"kv","initial":null,"seed":7}
{"fault":"partition 1 | 2","from":3,"to":7}
{"fault":"kill 1","from":8,"to":null}
{"process":0,"invoke":1,"return":5,"f":"set","value":{"x":"1"},"node":3}
)");
  ASSERT_TRUE(reading) << reading.error().message;
  EXPECT_EQ(reading->model, "kv");
  EXPECT_TRUE(reading->model_is_named);
  EXPECT_EQ(reading->initial, "nil");
  ASSERT_EQ(reading->history.faults().size(), 2u);
  const Fault& fault = reading->history.faults()[0];
  EXPECT_EQ(fault.name, "partition 1 | 2");
  EXPECT_EQ(fault.from, 1u);
  EXPECT_EQ(fault.to, 2u);
  EXPECT_EQ(fault.from_ns, 3);
  EXPECT_EQ(reading->history.faults()[1].to, kOpen);
}

TEST(JsonLines, StampsCanBeNumbersOfEvents) {
  const auto reading = read_history(
      "{\"history\":1,\"time\":\"events\"}\n{\"process\":0,\"invoke\":1,\"f\":\"read\"}\n");
  ASSERT_TRUE(reading);
  EXPECT_FALSE(reading->history.has_times());
}

TEST(JsonLines, RefusesImpossibleHistoriesWithTheLine) {
  EXPECT_THAT(refusal_of(R"({"process":3,"invoke":1,"return":5,"f":"read"}

{"process":3,"invoke":4,"return":9,"f":"read"})"),
              StartsWith("line 3: process 3 has two operations at once"));
  EXPECT_THAT(refusal_of(R"({"process":3,"invoke":1,"return":5,"f":"read","end":"info"}
{"process":3,"invoke":7,"return":9,"f":"read"})"),
              StartsWith("line 2: process 3 invokes again after an operation of unknown end"));
  EXPECT_THAT(refusal_of(R"({"process":3,"invoke":1,"f":"read"}
{"process":3,"invoke":7,"return":9,"f":"read"})"),
              StartsWith("line 2: process 3 has two operations at once (line 1)"));
  EXPECT_THAT(refusal_of(R"({"process":3,"invoke":7,"return":6,"f":"read"})"),
              StartsWith("line 1: time goes back"));
  EXPECT_THAT(refusal_of(R"({"process":3,"invoke":7,"end":"ok","f":"read"})"),
              HasSubstr("wants \"return\""));
  EXPECT_THAT(refusal_of(R"({"fault":"x","from":7,"to":6})"), StartsWith("line 1: time goes back"));
}

TEST(JsonLines, RefusesWhatIsNotTheFormWithTheLine) {
  const std::string good = R"({"process":0,"invoke":1,"return":2,"f":"read"})";
  for (const char* bad : {R"({"process":1,"invoke":1,"return":2,"f":"re)",
                          R"([1])",
                          R"({"invoke":1,"f":"read"})",
                          R"({"process":-1,"invoke":1,"f":"read"})",
                          R"({"process":1,"f":"read"})",
                          R"({"process":1,"invoke":1.5,"f":"read"})",
                          R"({"process":1,"invoke":1})",
                          R"({"process":1,"invoke":1,"f":"frobnicate"})",
                          R"({"process":1,"invoke":1,"f":"write"})",
                          R"({"process":1,"invoke":1,"f":"cas","value":[1]})",
                          R"({"process":1,"invoke":1,"f":"cas","value":3})",
                          R"({"process":1,"invoke":1,"f":"txn","value":[["append",1,2]]})",
                          R"({"process":1,"invoke":1,"f":"txn","value":[["w",1]]})",
                          R"({"process":1,"invoke":1,"f":"read","end":"maybe"})",
                          R"({"process":1,"invoke":1,"f":"read"} x)",
                          R"({"process":1,"invoke":1,"return":"2","f":"read"})",
                          R"({"history":2})",
                          R"({"history":1,"time":"weeks"})",
                          R"({"process":1,"invoke":1,"f":"read","index":-3})",
                          R"({"fault":3,"from":1})",
                          R"({"fault":"x"})",
                          "x"}) {
    EXPECT_THAT(refusal_of(good + "\n" + bad + "\n"), StartsWith("line 2: ")) << bad;
  }
}

}  // namespace
}  // namespace raftkv::linearizability
