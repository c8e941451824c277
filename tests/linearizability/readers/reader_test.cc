#include "linearizability/readers/reader.h"

#include "tests/linearizability/readers/reading.h"

namespace raftkv::linearizability {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string form_of(std::string_view text) {
  const auto reading = read_history(text);
  return reading ? std::string(to_string(reading->format)) : reading.error().message;
}

TEST(Reader, TellsTheFormByTheContent) {
  EXPECT_EQ(form_of(R"({"process":0,"invoke":1,"f":"read"})"), "json");
  EXPECT_EQ(form_of("\n { \"history\":1}"), "json");
  EXPECT_EQ(form_of("{:process 0 :type :invoke :f :read}"), "edn-lines");
  EXPECT_EQ(form_of("#op {:process 0 :type :invoke :f :read}"), "edn-lines");
  EXPECT_EQ(form_of("; jepsen.util\n[{:process 0 :type :invoke :f :read}]"), "edn");
  EXPECT_EQ(form_of("({:process 0 :type :invoke :f :read})"), "edn");
  EXPECT_EQ(form_of("starting\nINFO  jepsen.util - 0 :invoke :read nil\n"), "jepsen-log");
  EXPECT_EQ(form_of("[main] INFO  jepsen.util - 0 :invoke :read nil\n"), "jepsen-log");
  EXPECT_EQ(form_of("\xef\xbb\xbf[{:process 0 :type :invoke :f :read}]"), "edn");
  EXPECT_EQ(form_of("\xef\xbb\xbf{\"process\":0,\"invoke\":1,\"f\":\"read\"}"), "json");
  EXPECT_EQ(form_of(""), "edn-lines");
  EXPECT_EQ(form_of("[{\"process\" 0, \"type\" :invoke, \"f\" :read}]").find("a JSON array"),
            std::string::npos);
  EXPECT_THAT(form_of("[\n {\"process\": 0}]"), StartsWith("line 1: a JSON array"));
  EXPECT_THAT(form_of("hello"), StartsWith("line 1: this is no form"));
}

TEST(Reader, AFormCanBeForced) {
  EXPECT_THAT(refusal_of("[]", {.format = Format::json_lines}),
              StartsWith("line 1: a line is a JSON object"));
  EXPECT_EQ(refusal_of("hello", {.format = Format::jepsen_log}), "");
  for (const std::string_view name : format_names()) EXPECT_EQ(to_string(*find_format(name)), name);
  EXPECT_FALSE(find_format("xml"));
}

TEST(Reader, SuggestsAModel) {
  const auto model = [](std::string_view f) {
    return read_history(R"({"process":0,"invoke":1,"value":[],"f":")" + std::string(f) + "\"}")
        ->model;
  };
  EXPECT_EQ(model("read"), "register");
  EXPECT_EQ(model("write"), "register");
  EXPECT_EQ(model("get"), "kv");
  EXPECT_EQ(model("set"), "kv");
  EXPECT_EQ(model("delete"), "kv");
  EXPECT_EQ(model("append"), "append-kv");
  EXPECT_EQ(model("add"), "set");
  EXPECT_EQ(model("acquire"), "mutex");
  EXPECT_EQ(model("txn"), "multi-register");
  EXPECT_EQ(read_history(R"({"process":0,"invoke":1,"value":[1,2],"f":"cas"})")->model,
            "cas-register");
}

TEST(Reader, ReadsInitialValues) {
  auto history =
      read_history(R"([{:process 0 :type :invoke :f :txn :value [[:read :x nil] [:write :y 1]]}])")
          ->history;
  const auto printed = [&history](std::string_view text) {
    const auto value = read_initial(history, text);
    return value ? history.values().print(*value) : "refused: " + value.error().message;
  };
  EXPECT_EQ(printed("nil"), "nil");
  EXPECT_EQ(printed("null"), "nil");
  EXPECT_EQ(printed("-3"), "-3");
  EXPECT_EQ(printed("\"\""), "\"\"");
  EXPECT_EQ(printed("word"), "\"word\"");
  EXPECT_EQ(printed("free"), "_");
  EXPECT_EQ(printed("{x 0, y 0}"), "0");
  EXPECT_EQ(printed(R"({"x":0,"y":0,"z":1})"), "0");
  EXPECT_EQ(printed("{}"), "nil");
  EXPECT_THAT(printed("{x 0}"), HasSubstr("different values"));
  EXPECT_THAT(printed("{x 0, y 1}"), HasSubstr("different values"));
  EXPECT_THAT(printed("[1"), StartsWith("refused"));
  EXPECT_THAT(printed("1 2"), StartsWith("refused"));
  EXPECT_THAT(printed("{x}"), StartsWith("refused"));
}

}  // namespace
}  // namespace raftkv::linearizability
