// lincheck as a process: what it prints, and its exit codes.
#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/linearizability/program.h"

namespace raftkv::linearizability {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;

const std::string kGood = R"({"history":1,"model":"register","initial":null}
{"process":0,"invoke":1,"return":5,"f":"write","value":1}
{"process":1,"invoke":2,"return":6,"f":"read","result":null}
{"process":1,"invoke":7,"return":9,"f":"read","result":1}
)";
const std::string kStale = R"({"process":0,"invoke":1,"return":2,"f":"write","value":1}
{"process":0,"invoke":3,"return":4,"f":"write","value":2}
{"process":1,"invoke":5,"return":6,"f":"read","result":1}
{"process":1,"invoke":7,"return":8,"f":"read","result":2}
)";
const std::string kTwoAtOnce = R"({"process":0,"invoke":1,"return":5,"f":"read"}
{"process":0,"invoke":3,"return":9,"f":"read"}
)";

TEST(Check, PrintsALineAFileInTheirOrder) {
  const Folder folder;
  const std::string good = folder.write("good.jsonl", kGood),
                    bad = folder.write("bad.jsonl", kStale);
  const ProgramOutcome outcome = lincheck({good, bad, good});
  EXPECT_THAT(outcome.out, MatchesRegex(good + ": linearizable ops=3 ms=[0-9.]+\n" + bad +
                                        ": not-linearizable ops=4 ms=[0-9.]+\n" + good +
                                        ": linearizable ops=3 ms=[0-9.]+\n"));
}

TEST(Check, ExitsWith0IfAllAreLinearizable) {
  const Folder folder;
  const ProgramOutcome outcome = lincheck({folder.write("good.jsonl", kGood)});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST(Check, ExitsWith1IfOneIsNotWhateverTheOthers) {
  const Folder folder;
  const ProgramOutcome outcome =
      lincheck({folder.write("good.jsonl", kGood), folder.write("cut.jsonl", "{"),
                folder.write("bad.jsonl", kStale)});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("3 operations contradict each other"));
  EXPECT_THAT(outcome.err, HasSubstr("line 3: process 1 read: 1 (ok)"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("line 4")));
}

TEST(Check, ExitsWith2IfAVerdictIsUnknown) {
  const Folder folder;
  const ProgramOutcome outcome =
      lincheck({"--timeout", "100ms", folder.write("hard.jsonl", hard_history()),
                folder.write("good.jsonl", kGood)});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.out, ContainsRegex("hard.jsonl: unknown ops=31 ms="));
  EXPECT_THAT(outcome.out, ContainsRegex("good.jsonl: linearizable"));
  EXPECT_THAT(outcome.err, HasSubstr("the time limit struck"));
}

TEST(Check, ExitsWith64OnWrongUsage) {
  const Folder folder;
  const std::string good = folder.write("good.jsonl", kGood);
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"--model", "queue", good},
      {"--format", "xml", good},
      {"--timeout", "soon", good},
      {"--memory", "-1", good},
      {"--frob"},
      {"--jobs", "0", good},
      {"verify"},
      {"--initial", "[", good},
  };
  for (const auto& arguments : wrong) {
    const ProgramOutcome outcome = lincheck(arguments);
    EXPECT_EQ(outcome.code, 64) << ::testing::PrintToString(arguments);
    EXPECT_THAT(outcome.err, Not(IsEmpty()));
  }
}

TEST(Check, ExitsWith65OnUnreadableInputAndNamesTheLine) {
  const Folder folder;
  EXPECT_EQ(lincheck({folder.path("nowhere")}).code, 65);
  EXPECT_EQ(lincheck({folder.path("nowhere")}).err,
            folder.path("nowhere") + ": No such file or directory\n");
  EXPECT_THAT(lincheck({folder.write("run.jsonl.gz", "\x1f\x8b\x08")}).err, HasSubstr("gunzip"));
  const ProgramOutcome outcome =
      lincheck({folder.write("good.jsonl", kGood), folder.write("two.jsonl", kTwoAtOnce)});
  EXPECT_EQ(outcome.code, 65);
  EXPECT_THAT(outcome.out, Not(HasSubstr("two.jsonl")));
  EXPECT_THAT(outcome.err, HasSubstr("two.jsonl: line 2: process 0 has two operations at once"));
  EXPECT_EQ(lincheck({folder.write("text", "hello")}).code, 65);
  EXPECT_EQ(lincheck({"--model", "mutex", folder.path("good.jsonl")}).code, 65);
}

TEST(Check, HelpTeaches) {
  const ProgramOutcome outcome = lincheck({"--help"});
  EXPECT_EQ(outcome.code, 0);
  for (const char* word : {"linearizable", "--model", "cas-register", "--initial", "--html",
                           "--json", "verify", "Exit codes", "65"}) {
    EXPECT_THAT(outcome.out, HasSubstr(word));
  }
}

TEST(Check, ReadsTheStandardInput) {
  const ProgramOutcome outcome = lincheck({"-"}, kStale);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, MatchesRegex("-: not-linearizable ops=4 ms=[0-9.]+\n"));
}

TEST(Check, TheInitialValueDecides) {
  const std::string text = R"({"process":0,"invoke":1,"return":5,"f":"read","result":7})";
  EXPECT_EQ(lincheck({"-"}, text).code, 1);
  EXPECT_EQ(lincheck({"--initial", "7", "-"}, text).code, 0);
  EXPECT_EQ(lincheck({"-"}, "{\"history\":1,\"initial\":7}\n" + text).code, 0);
  EXPECT_EQ(lincheck({"--initial", "8", "-"}, "{\"history\":1,\"initial\":7}\n" + text).code, 1);
}

TEST(Check, TheModelDecides) {
  const std::string text = R"({"process":0,"invoke":1,"return":2,"f":"write","key":"x","value":"a"}
{"process":0,"invoke":3,"return":4,"f":"append","key":"x","value":"b"}
{"process":0,"invoke":5,"return":6,"f":"read","key":"x","result":"ab"}
)";
  EXPECT_EQ(lincheck({"-"}, text).code, 0);  // append-kv, as the functions suggest
  EXPECT_EQ(lincheck({"--model", "register", "-"}, text).code, 65);
}

TEST(Check, JsonHasVerdictAndWitness) {
  const Folder folder;
  const std::string good = folder.write("a \"good\" one.jsonl", kGood);
  const ProgramOutcome outcome = lincheck({"--json", good});
  const auto object = boost::json::parse(outcome.out).as_object();
  EXPECT_EQ(object.at("file").as_string(), good);
  EXPECT_EQ(object.at("verdict").as_string(), "linearizable");
  EXPECT_EQ(object.at("model").as_string(), "register");
  EXPECT_EQ(object.at("ops").as_int64(), 3);
  EXPECT_EQ(object.at("witness"), boost::json::parse("[1,0,2]"));
  EXPECT_EQ(outcome.code, 0);
}

TEST(Check, JsonHasTheCoreAndWhy) {
  const ProgramOutcome outcome = lincheck({"--json", "-"}, kStale);
  const auto object = boost::json::parse(outcome.out).as_object();
  EXPECT_EQ(object.at("verdict").as_string(), "not-linearizable");
  const auto& core = object.at("core").as_object();
  EXPECT_TRUE(core.at("minimal").as_bool());
  EXPECT_EQ(core.at("operations"), boost::json::parse("[0,1,2]"));
  EXPECT_EQ(core.at("described").as_array()[2].as_object().at("line"), 3);
  EXPECT_EQ(object.at("explanation").as_object().at("failing"), 2);
  EXPECT_EQ(outcome.code, 1);
}

TEST(Check, JsonIsUtf8WhateverTheKeys) {
  const std::string text =
      "{\"process\":0,\"invoke\":1,\"return\":2,\"f\":\"read\",\"key\":\"\xff\xc3\xa9\xe2\x82\","
      "\"result\":1}";
  const auto object = boost::json::parse(lincheck({"--json", "-"}, text).out).as_object();
  const auto& described = object.at("core").as_object().at("described").as_array();
  EXPECT_EQ(described[0].as_object().at("what").as_string(),
            "read \"\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\": 1");
}

TEST(Check, JsonOfAnUnreadableFileHasTheError) {
  const ProgramOutcome outcome = lincheck({"--json", "-"}, "hello");
  EXPECT_THAT(std::string(boost::json::parse(outcome.out).as_object().at("error").as_string()),
              HasSubstr("line 1"));
  EXPECT_EQ(outcome.code, 65);
}

TEST(Check, HtmlOfSeveralFilesIsAFolder) {
  const Folder folder;
  const std::string good = folder.write("good.jsonl", kGood),
                    bad = folder.write("bad.jsonl", kStale);
  EXPECT_EQ(lincheck({"--html", folder.path("one.html"), good}).code, 0);
  EXPECT_THAT(read_file(folder.path("one.html")), HasSubstr("</html>"));
  EXPECT_EQ(lincheck({"--html", folder.path("pages"), good, bad}).code, 1);
  std::string name = bad + ".html";
  std::ranges::replace(name, '/', '_');
  EXPECT_THAT(read_file(folder.path("pages/" + name)), HasSubstr("not-linearizable"));
  EXPECT_NE(lincheck({"--html", folder.path("no/such/folder.html"), good}).code, 0);
}

TEST(Check, TheExampleOfTheDocumentIsWhatHappens) {
  const std::string text = read_file(RAFTKV_SOURCE_DIR "/docs/linearizability.md");
  const std::size_t first = text.find("```json\n") + 8;
  const ProgramOutcome outcome =
      lincheck({"-"}, text.substr(first, text.find("```", first) - first));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("not-linearizable ops=7"));
  std::string line;
  for (std::istringstream lines(outcome.err); std::getline(lines, line);) {
    EXPECT_THAT(text, HasSubstr("\n    " + line + "\n"));
  }
}

TEST(Check, IndependentKeysAreJudgedAlone) {
  const std::string text = R"({:process 0, :type :invoke, :f :write, :value [1 5]}
{:process 0, :type :ok, :f :write, :value [1 5]}
{:process 0, :type :invoke, :f :write, :value [2 6]}
{:process 0, :type :ok, :f :write, :value [2 6]}
{:process 1, :type :invoke, :f :read, :value [1 nil]}
{:process 1, :type :ok, :f :read, :value [1 5]}
)";
  EXPECT_EQ(lincheck({"--independent", "-"}, text).code, 0);
  EXPECT_EQ(lincheck({"-"}, text).code, 0 + 1);  // without it the value [2 6] was written last
}

}  // namespace
}  // namespace raftkv::linearizability
