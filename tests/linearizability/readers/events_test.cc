// The log lines and both EDN forms.
#include "linearizability/readers/events.h"

#include "tests/linearizability/readers/reading.h"

namespace raftkv::linearizability {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const ReadOptions kIndependent{.independent = true};

TEST(JepsenLog, AFailedCasTookEffectAsAFailedComparison) {
  EXPECT_THAT(lines_of("INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\n"
                       "INFO  jepsen.util - 0\t:fail\t:cas\t[1 2]\n"
                       "INFO  jepsen.util - 0   :invoke :cas    [2 3]\n"
                       "INFO  jepsen.util - 0   :ok     :cas    [2 3]\n"
                       "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\n"
                       "INFO  jepsen.util - 0\t:fail\t:cas\t:timed-out\n"),
              ElementsAre("0 cas 1 -> 2: ok false", "0 cas 2 -> 3: ok true", "0 cas 1 -> 2: fail"));
}

TEST(JepsenLog, AReadOfNilFoundNothingAndATimedOutOneSaysNothing) {
  EXPECT_THAT(lines_of("INFO  jepsen.util - 0\t:invoke\t:read\tnil\n"
                       "INFO  jepsen.util - 0\t:ok\t:read\tnil\n"
                       "INFO  jepsen.util - 0\t:invoke\t:read\tnil\n"
                       "INFO  jepsen.util - 0\t:fail\t:read\t:timed-out\n"
                       "INFO  jepsen.util - 0\t:invoke\t:write\t4\n"
                       "INFO  jepsen.util - 0\t:info\t:write\t:timed-out\n"),
              ElementsAre("0 read: ok nil", "0 read: fail", "0 write 4: info"));
}

TEST(JepsenLog, OtherLinesAreNoise) {
  EXPECT_THAT(lines_of("INFO  jepsen.core - Worker 3 starting\n"
                       "\n"
                       "2015-01-01 12:00:00,000 INFO  jepsen.util - 3\t:invoke\t:write\t4\r\n"
                       "INFO  jepsen.util - something else\n"
                       "INFO  jepsen.util - 3\t:ok\t:write\t4\tand more\n"
                       "Exception in thread 3 :ok :write 4\n"),
              ElementsAre("3 write 4: ok"));
}

TEST(JepsenLog, TheNemesisMakesFaults) {
  const auto reading = read_history(
      "INFO  jepsen.util - 3\t:invoke\t:write\t4\n"
      "INFO  jepsen.util - :nemesis\t:info\t:start\tnil\n"
      "INFO  jepsen.util - :nemesis\t:info\t:start\t\"cut off n1\"\n"
      "INFO  jepsen.util - 3\t:ok\t:write\t4\n"
      "INFO  jepsen.util - :nemesis\t:info\t:stop\tnil\n"
      "INFO  jepsen.util - :nemesis\t:info\t:stop\t\"healed\"\n");
  ASSERT_TRUE(reading) << reading.error().message;
  ASSERT_EQ(reading->history.faults().size(), 1u);
  EXPECT_EQ(reading->history.faults()[0].from, 1u);
  EXPECT_EQ(reading->history.faults()[0].to, 2u);
}

TEST(JepsenLog, RefusesImpossibleHistoriesWithTheLine) {
  const std::string invoke = "INFO  jepsen.util - 3\t:invoke\t:write\t4\n";
  EXPECT_THAT(refusal_of("noise\n" + invoke + invoke),
              StartsWith("line 3: process 3 has two operations at once (line 2)"));
  EXPECT_THAT(refusal_of("INFO  jepsen.util - 3\t:ok\t:write\t4\n"),
              StartsWith("line 1: a return without an invocation"));
  EXPECT_THAT(refusal_of(invoke + "INFO  jepsen.util - 3\t:info\t:write\t:timed-out\n" + invoke),
              StartsWith("line 3: process 3 invokes again after"));
  EXPECT_THAT(refusal_of(invoke + "INFO  jepsen.util - 3\t:ok\t:read\t4\n"),
              HasSubstr("line 2: process 3 returns from :read"));
  EXPECT_THAT(refusal_of(invoke + "INFO  jepsen.util - 3\t:ok\n"),
              StartsWith("line 2: an event wants"));
  EXPECT_THAT(refusal_of("INFO  jepsen.util - 3\t:invoke\t:enqueue\t4\n"),
              HasSubstr(":enqueue is unknown"));
}

TEST(Edn, AFailDidNotHappenAndAReadOfNilSaysNothing) {
  const std::string text = R"(; a comment
[{:process 0, :type :invoke, :f :cas, :value [1 2]}
 {:process 0, :type :fail, :f :cas, :value [1 2]}
 {:process 0, :type :invoke, :f :read, :value nil}
 {:process 0, :type :ok, :f :read, :value nil}
 {:process 0, :type :invoke, :f :read, :value 4}
 {:process 0, :type :ok, :f :read, :value 3}]
)";
  EXPECT_THAT(lines_of(text), ElementsAre("0 cas 1 -> 2: fail", "0 read: ok", "0 read: ok 3"));
  EXPECT_THAT(lines_of(text, {.nil_is_value = true}),
              ElementsAre("0 cas 1 -> 2: fail", "0 read: ok nil", "0 read: ok 3"));
}

TEST(Edn, ReadsMapsALine) {
  EXPECT_THAT(lines_of(R"({:process 0, :type :invoke, :f :append, :key "0", :value "x 0 0 y"}
{:process 1, :type :invoke, :f :get, :key "0", :value nil}
{:process 0, :type :ok, :f :append, :key "0", :value "x 0 0 y"}
{:process 1, :type :ok, :f :get, :key "0", :value ""}
)"),
              ElementsAre("0 append \"0\" \"x 0 0 y\": ok", "1 read \"0\": ok \"\""));
}

TEST(Edn, ReadsWhatJepsenWritesToday) {
  EXPECT_THAT(
      lines_of(
          R"(#jepsen.history.Op{:index 0, :time 10, :type :invoke, :process 2, :f :txn, :value [[:r :x nil] [:w 5 6]]}
#jepsen.history.Op{:index 1, :time 11, :type :info, :process :nemesis, :f :start-partition, :value {:n1 #{"n2" "n3"}}}
#_ {:type :ok, :process 2}
#jepsen.history.Op{:index 2, :time 12, :type :ok, :process 2, :f :txn, :value [[:r :x 3] [:w 5 6]], :error [:a "b]"], "odd" 1}
)"),
      ElementsAre("2 transaction [read :x 3] [write 5 6]: ok"));
}

TEST(Edn, ReadsSets) {
  EXPECT_THAT(
      lines_of(R"([{:process 0 :type :invoke :f :read} {:process 0 :type :ok :f :read :value #{}}
 {:process 0 :type :invoke :f :add :value 3} {:process 0 :type :ok :f :add :value 3}
 {:process 0 :type :invoke :f :read :value nil} {:process 0 :type :ok :f :read :value (3 4)}])"),
      ElementsAre("0 read-all: ok", "0 add 3: ok", "0 read-all [contains 3] [contains 4]: ok"));
}

TEST(Edn, IndependentValuesAreTuplesOfKeyAndValue) {
  EXPECT_THAT(lines_of(R"({:process 0, :type :invoke, :f :write, :value [7 1]}
{:process 1, :type :invoke, :f :read, :value #jepsen.independent.Tuple [7 nil]}
{:process 0, :type :ok, :f :write, :value [7 1]}
{:process 1, :type :ok, :f :read, :value [7 1]}
{:process 0, :type :invoke, :f :cas, :value ["a" [1 2]]}
{:process 0, :type :ok, :f :cas, :value ["a" [1 2]]}
)",
                       kIndependent),
              ElementsAre("0 write 7 1: ok", "1 read 7: ok 1", "0 cas \"a\" 1 -> 2: ok true"));
  EXPECT_THAT(refusal_of("{:process 0, :type :invoke, :f :write, :value 7}", kIndependent),
              StartsWith("line 1: with --independent"));
  EXPECT_THAT(refusal_of("{:process 0, :type :invoke, :f :read, :value [7 nil]}\n{:process 0, "
                         ":type :ok, :f :read, :value [8 1]}",
                         kIndependent),
              StartsWith("line 2: the return is of another key"));
}

TEST(Edn, TheOrderOfTheLinesDecidesNotTheTimes) {
  const auto reading = read_history(R"([{:process 0, :type :invoke, :f :read, :time 100}
{:process 1, :type :invoke, :f :read, :time 90}
{:process 1, :type :ok, :f :read, :time 95}
{:process 0, :type :ok, :f :read, :time 120}])");
  ASSERT_TRUE(reading) << reading.error().message;
  EXPECT_EQ(reading->history[1].invoked, 1u);
  EXPECT_EQ(reading->history.invoke_time(1), 100);
}

TEST(Edn, RefusesImpossibleHistoriesWithTheLine) {
  EXPECT_THAT(
      refusal_of(R"([{:process 0, :type :invoke, :f :read, :time 100}

 {:process 0, :type :ok, :f :read, :value 3
  :time 90}])"),
      StartsWith("line 3: time goes back: the return is at 90, the invocation (line 1) at 100"));
  EXPECT_THAT(
      refusal_of("[{:process 0, :type :invoke, :f :read}\n{:process 0, :type :invoke, :f :read}]"),
      StartsWith("line 2: process 0 has two operations at once (line 1)"));
  EXPECT_THAT(refusal_of("[{:process 0, :type :ok, :f :read}]"),
              StartsWith("line 1: a return without"));
}

TEST(Edn, RefusesWhatIsNotTheFormWithTheLine) {
  for (const char* bad :
       {"[{:process 0 :type :invoke :f :read}", "{:process 0 :type :invoke :f :read",
        "{:process 0 :type :invoke}", "{:process 0 :f :read}", "{:type :invoke :f :read}",
        "{:process -1 :type :invoke :f :read}", "{:process 0 :type :began :f :read}",
        "{:process 0 :type :invoke :f \"read\"}", "{:process 0 :type :invoke :f :write}",
        "{:process 0 :type :invoke :f :cas :value [1]}",
        "{:process 0 :type :invoke :f :cas :value 3}",
        "{:process 0 :type :invoke :f :txn :value [[:append 1 2]]}", "[] 3", "[3]",
        "[{:process 0 :type :invoke :f :read :value [1)}]",
        "{:process 0 :type :invoke :f :read :value #_}", "#_", "[#_", "{:a"}) {
    EXPECT_THAT(refusal_of(bad), StartsWith("line 1: ")) << bad;
  }
}

}  // namespace
}  // namespace raftkv::linearizability
