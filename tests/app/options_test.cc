#include "src/app/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace raftkv::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Said said(std::vector<std::string> words) {
  const Command command = parse_command_line(std::move(words));
  EXPECT_TRUE(std::holds_alternative<Said>(command));
  return std::holds_alternative<Said>(command) ? std::get<Said>(command) : Said{};
}

template <typename Kind>
Kind parsed(std::vector<std::string> words) {
  const Command command = parse_command_line(std::move(words));
  const auto* mistake = std::get_if<Said>(&command);
  EXPECT_EQ(mistake, nullptr) << mistake->err;
  EXPECT_TRUE(std::holds_alternative<Kind>(command));
  return std::holds_alternative<Kind>(command) ? std::get<Kind>(command) : Kind{};
}

TEST(CommandLine, HelpHelpsWithEveryCommand) {
  const std::vector<std::vector<std::string>> commands = {{},
                                                          {"init"},
                                                          {"serve"},
                                                          {"inspect"},
                                                          {"check"},
                                                          {"backup"},
                                                          {"restore"},
                                                          {"recover"},
                                                          {"get"},
                                                          {"set"},
                                                          {"del"},
                                                          {"status"},
                                                          {"members"},
                                                          {"member"},
                                                          {"leader"},
                                                          {"member", "remove"},
                                                          {"leader", "transfer"}};
  for (auto words : commands) {
    words.emplace_back("--help");
    const Said help = said(words);
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_TRUE(help.err.empty());
    if (words.size() > 1) {
      EXPECT_THAT(help.out, HasSubstr(words[words.size() - 2]));
    }
  }
  EXPECT_THAT(said({"serve", "--help"}).out, HasSubstr("--election-timeout"));
  EXPECT_THAT(said({"leader", "transfer", "--help"}).out,
              HasSubstr("Usage: raftkv leader transfer"));
  EXPECT_THAT(said({"start"}).err, HasSubstr("there is no command 'start'"));
  EXPECT_THAT(said({"get"}).err, HasSubstr("`raftkv get --help`"));
  EXPECT_THAT(said({"get", "--help"}).out, HasSubstr("5 outcome unknown"));
}

TEST(CommandLine, SaysItsVersion) {
  const Said version = said({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, HasSubstr("raftkv 0."));
}

TEST(CommandLine, AMistakeIsOneLineAndExitCodeTwo) {
  const std::vector<std::vector<std::string>> mistakes = {
      {},
      {"start"},
      {"get"},
      {"get", "k", "--level", "guess"},
      {"get", "k", "extra"},
      {"set", "k"},
      {"inspect"},
      {"check", "d", "extra"},
      {"serve"},
      {"serve", "--data", "d", "--on-follower", "guess"},
      {"serve", "--data", "d", "--no-such-flag"},
      {"serve", "--data", "d", "--election-timeout", "soon"},
      {"serve", "--data", "d", "--id", "n", "--join", "nobody"},
      {"serve", "--data", "d", "--log-format", "xml"},
      {"serve", "--data", "d", "--value-size-max", "0"},
      {"serve", "--data", "d", "--log-kept-bytes", "1"},
      {"init", "--data", "d"},
      {"init", "--id", "n"},
      {"member"},
      {"member", "remove"},
      {"leader", "transfer"},
      {"status", "--endpoints", "https://127.0.0.1:1"},
  };
  for (const auto& words : mistakes) {
    const Said mistake = said(words);
    EXPECT_EQ(mistake.exit_code, kUsage) << testing::PrintToString(words);
    EXPECT_EQ(std::ranges::count(mistake.err, '\n'), 1) << mistake.err;
    EXPECT_TRUE(mistake.out.empty());
  }
}

TEST(CommandLine, UnderstandsServe) {
  const auto options = parsed<ServeOptions>({"serve",
                                             "--data",
                                             "d",
                                             "--id",
                                             "node02",
                                             "--join",
                                             "127.0.0.1:8091,http://h:1/",
                                             "--http",
                                             "127.0.0.1:8093",
                                             "--raft=127.0.0.1:8094",
                                             "--on-follower",
                                             "forward",
                                             "--log-format",
                                             "json",
                                             "--election-timeout",
                                             "250ms",
                                             "--heartbeat",
                                             "20ms",
                                             "--request-timeout",
                                             "2s",
                                             "--busy-poll",
                                             "50us",
                                             "--log-kept-bytes",
                                             "1000000"});
  EXPECT_EQ(options.id, "node02");
  EXPECT_THAT(options.join, ElementsAre("127.0.0.1:8091", "h:1"));
  EXPECT_EQ(options.http, "127.0.0.1:8093");
  EXPECT_EQ(options.raft, "127.0.0.1:8094");
  EXPECT_TRUE(options.forward);
  EXPECT_TRUE(options.log_json);
  EXPECT_EQ(options.election_timeout, 250ms);
  EXPECT_EQ(options.heartbeat_interval, 20ms);
  EXPECT_EQ(options.request_timeout, 2s);
  EXPECT_EQ(options.busy_poll, 50us);
  EXPECT_EQ(options.log_kept_bytes, 1'000'000u);
}

TEST(CommandLine, DefaultsAreTheDesigns) {
  const auto serve = parsed<ServeOptions>({"serve", "--data", "d"});
  EXPECT_EQ(serve.election_timeout, 1s);
  EXPECT_EQ(serve.heartbeat_interval, 100ms);
  EXPECT_EQ(serve.busy_poll, 200us);
  EXPECT_FALSE(serve.forward);
  const auto init = parsed<InitOptions>({"init", "--data", "d", "--id", "n"});
  EXPECT_EQ(init.http, "127.0.0.1:8091");
  EXPECT_EQ(init.raft, "127.0.0.1:8089");
  const auto get = parsed<ClientCommand>({"get", "k"});
  EXPECT_THAT(get.options.endpoints, ElementsAre("127.0.0.1:8091"));
  EXPECT_EQ(std::get<Get>(get.verb).level, "default");
}

TEST(CommandLine, UnderstandsClientCommands) {
  const auto set = parsed<ClientCommand>({"set", "k", "v", "--endpoints", "http://a:1,b:2"});
  EXPECT_THAT(set.options.endpoints, ElementsAre("a:1", "b:2"));
  EXPECT_EQ(std::get<Set>(set.verb).value, "v");
  EXPECT_EQ(std::get<RemoveMember>(parsed<ClientCommand>({"member", "remove", "n2"}).verb).id,
            "n2");
  EXPECT_EQ(std::get<TransferLeader>(parsed<ClientCommand>({"leader", "transfer", "n3"}).verb).id,
            "n3");
  EXPECT_TRUE(std::get<ShowMembers>(parsed<ClientCommand>({"members", "--json"}).verb).json);
}

TEST(CommandLine, TakesValuesThatLookLikeFlagsBehindTwoDashes) {
  const auto set = parsed<ClientCommand>({"set", "--", "-k", "--v"});
  EXPECT_EQ(std::get<Set>(set.verb).key, "-k");
  EXPECT_EQ(std::get<Set>(set.verb).value, "--v");
}

TEST(CommandLine, EnvironmentStandsInForFlags) {
  ::setenv("RAFTKV_ENDPOINTS", "http://a:1,http://b:2", 1);
  const auto from_environment = parsed<ClientCommand>({"get", "k"});
  const auto from_flag = parsed<ClientCommand>({"get", "k", "--endpoints", "c:3"});
  ::unsetenv("RAFTKV_ENDPOINTS");
  EXPECT_THAT(from_environment.options.endpoints, ElementsAre("a:1", "b:2"));
  EXPECT_THAT(from_flag.options.endpoints, ElementsAre("c:3"));
}

ServeOptions serve_options() {
  ServeOptions options;
  options.data = "d";
  options.http = "127.0.0.1:8091";
  options.raft = "127.0.0.1:8089";
  return options;
}

std::string refusal(const ServeOptions& options) {
  const Status valid = validate(options);
  return valid ? "" : valid.error().message;
}

TEST(ServeOptions, ThatFitTogetherAreTaken) {
  EXPECT_EQ(refusal(serve_options()), "");
}

TEST(ServeOptions, MustFitTogether) {
  auto same = serve_options();
  same.raft = same.http;
  EXPECT_THAT(refusal(same), HasSubstr("different ports"));

  auto wildcard = serve_options();
  wildcard.http = "0.0.0.0:8091";
  EXPECT_THAT(refusal(wildcard), HasSubstr("--advertise-http"));
  wildcard.advertise_http = "db1.example:8091";
  EXPECT_EQ(refusal(wildcard), "");
  wildcard.advertise_raft = "[::]:1";
  EXPECT_THAT(refusal(wildcard), HasSubstr("cannot reach"));

  auto hasty = serve_options();
  hasty.heartbeat_interval = 400ms;
  EXPECT_THAT(refusal(hasty), HasSubstr("--heartbeat"));
  hasty.heartbeat_interval = 5ms;
  hasty.election_timeout = 10ms;
  EXPECT_THAT(refusal(hasty), HasSubstr("--election-timeout"));

  auto nowhere = serve_options();
  nowhere.raft = "127.0.0.1:0";
  EXPECT_THAT(refusal(nowhere), HasSubstr("port 0"));
  nowhere.raft = "127.0.0.1";
  EXPECT_THAT(refusal(nowhere), HasSubstr("HOST:PORT"));

  auto odd = serve_options();
  odd.id = "node 1";
  EXPECT_THAT(refusal(odd), HasSubstr("node 1"));
}

TEST(InitOptions, NameTheNodeAndWhereItIs) {
  const InitOptions good = {.data = "d", .id = "node01"};
  EXPECT_TRUE(validate(good));
  for (const InitOptions& bad :
       {InitOptions{.data = "", .id = "n"}, InitOptions{.data = "d", .id = ""},
        InitOptions{.data = "d", .id = "n/1"},
        InitOptions{.data = "d", .id = "n", .http = "0.0.0.0:1"},
        InitOptions{.data = "d", .id = "n", .http = "h:1", .raft = "h:1"}}) {
    EXPECT_FALSE(validate(bad));
  }
}

TEST(Durations, HaveAUnit) {
  EXPECT_EQ(*parse_duration("200us"), 200us);
  EXPECT_EQ(*parse_duration("250ms"), 250ms);
  EXPECT_EQ(*parse_duration("2s"), 2s);
  EXPECT_EQ(*parse_duration("1m"), 60s);
  for (const std::string_view bad :
       {"", "5", "ms", "-1s", "1h", "1.5s", "1 s", "99999999999999999999s", "10000000s"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(CommandLine, BackupRestoreAndRecover) {
  const auto backup = parsed<BackupOptions>(
      {"backup", "--endpoints", "a:1,http://b:2", "-o", "file", "--level", "stale", "--force"});
  EXPECT_THAT(backup.client.endpoints, ElementsAre("a:1", "b:2"));
  EXPECT_EQ(backup.file, "file");
  EXPECT_EQ(backup.level, "stale");
  EXPECT_TRUE(backup.force);
  EXPECT_EQ(parsed<BackupOptions>({"backup", "-o", "file"}).level, "consistent");
  EXPECT_EQ(said({"backup"}).exit_code, kUsage);
  EXPECT_EQ(said({"backup", "-o", "f", "--level", "newest"}).exit_code, kUsage);

  const auto restore = parsed<RestoreOptions>({"restore", "file", "--data", "d", "--id", "n"});
  EXPECT_EQ(restore.file, "file");
  EXPECT_EQ(restore.node.data, "d");
  EXPECT_EQ(restore.node.http, kDefaultHttp);
  EXPECT_EQ(said({"restore", "--data", "d", "--id", "n"}).exit_code, kUsage);

  const auto recover = parsed<RecoverOptions>({"recover", "--data", "d", "--to", "e", "--yes"});
  EXPECT_EQ(recover.from, "d");
  EXPECT_EQ(recover.node.data, "e");
  EXPECT_EQ(recover.node.id, "") << "as in the old directory";
  EXPECT_EQ(recover.node.http, "");
  EXPECT_TRUE(recover.yes);
  EXPECT_EQ(said({"recover", "--data", "d"}).exit_code, kUsage);
}

}  // namespace
}  // namespace raftkv::app
