// A schedule: faults and operations as plain data. It is drawn from a seed (swarm.h), written by
// hand in a test, printed, and read back; running it again gives the same run.
//
// By hand it reads like this:
//
//   const Schedule faults = {
//       at(500ms, isolate(leader())),
//       at(1500ms, put("k", "new").through(majority())),
//       at(1600ms, get("k", Level::consistent).through(deposed_leader())),
//       at(3s, heal()),
//   };
//
// and as text, one action a line:
//
//   500ms isolate leader
//   1500ms put k=new through majority
//   1600ms get k consistent through deposed
//   3s heal
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/result.h"
#include "src/base/time.h"
#include "src/replica/request.h"

namespace raftkv::sim {

using replica::Level;

// A node, by number or by what it is at the moment of the action.
struct Who {
  enum class Kind : std::uint8_t {
    none,
    node,      // `number`, from 1
    leader,    // the one of the highest term that runs; without one, a voter that runs
    follower,  // the first voter that runs and is not the leader
    deposed,  // the one that leads in a lower term than another does or, without one, that led last
              // and is cut off
    majority,  // one that runs on the side with most voters, its leader if there is one
    minority,  // one that runs on the other side
  };
  Kind kind = Kind::none;
  int number = 0;

  bool operator==(const Who&) const = default;
};
[[nodiscard]] Who node(int number);
[[nodiscard]] Who leader();
[[nodiscard]] Who follower();
[[nodiscard]] Who deposed_leader();
[[nodiscard]] Who majority();
[[nodiscard]] Who minority();

enum class Verb : std::uint8_t {
  // Processes.
  kill,    // the process dies; what it wrote survives, synced or not
  power,   // the machine dies: of what was not synced a drawn part survives
  strike,  // as power, but within the node's next log job, after `count` of its disk operations
  start,   // the process starts; a node without an identity joins
  pause,   // the process stops running, its clock does not
  resume,
  wipe,    // dies, and its disk is empty: a new instance, which joins when it is started
  damage,  // as power, and its state is lost: its log and its promise are whole
  // Disks with files (Options::leveldb); the others know nothing of these.
  fail_syncs,  // every sync of who's disk fails
  fail_reads,  // every read
  full,        // there is room for `count` more bytes
  mend,        // the three are over
  // At rest, after a loss of power: of who's files the one at `count` millionths of their list, at
  // `count2` millionths of its bytes.
  flip,  // a bit is another
  zero,  // a page is zero
  chop,  // the file ends there
  lose,  // the file is not there
  // Cuts. Each has a label, so that they overlap and heal in pieces.
  isolate,  // who, from all nodes
  split,    // the group from the others
  mute,     // nothing that who says arrives
  deafen,   // nothing arrives at who
  bridge,   // the others fall into two halves that only who connects
  ring,     // every node sees a majority: itself and its nearest neighbours; no two see the same
  cut_clients,  // clients from who
  heal,         // the cut with this label; without one, all cuts
  // Links, disks, weather.
  clog,     // from who to `other` nothing arrives until unclog, then all of it
  unclog,   // without names: all links
  reset,    // the connections between who and other break
  disk,     // who's disk takes `count` times as long; 0: it stalls
  weather,  // loss `count`, duplicates `count2`, corruption `count3`, each of a million frames
  // Administration, through a node's HTTP interface.
  remove,    // who
  transfer,  // leadership to who
  // Operations of clients: `client`, `pairs`, `level`, through `other`.
  put,
  get,
  del,
};

struct Action {
  Duration at{};
  Verb verb = Verb::heal;
  Who who = {};
  Who other = {};
  std::vector<Who> group = {};
  std::uint32_t label = 0;
  std::uint64_t count = 0;
  std::uint64_t count2 = 0;
  std::uint64_t count3 = 0;
  int client = 0;                                               // 0: a client of its own
  std::vector<std::pair<std::string, std::string>> pairs = {};  // get, del: the key alone
  Level level = Level::default_;

  // Through which node an operation or an administrator's request goes; without it the client
  // chooses.
  [[nodiscard]] Action through(Who node) const;
  // Names a cut.
  [[nodiscard]] Action named(std::uint32_t name) const;
  // The operations of one client come one after the other, those of different ones at once.
  [[nodiscard]] Action by(int number) const;

  bool operator==(const Action&) const = default;
};

// In the order of their times; actions of the same time happen in this order.
using Schedule = std::vector<Action>;

[[nodiscard]] Action at(Duration time, Action action);
[[nodiscard]] Action kill(Who who);
[[nodiscard]] Action power(Who who);
[[nodiscard]] Action strike(Who who, std::uint64_t operations);
[[nodiscard]] Action start(Who who);
[[nodiscard]] Action pause(Who who);
[[nodiscard]] Action resume(Who who);
[[nodiscard]] Action wipe(Who who);
[[nodiscard]] Action damage(Who who);
[[nodiscard]] Action fail_syncs(Who who);
[[nodiscard]] Action fail_reads(Who who);
[[nodiscard]] Action full(Who who, std::uint64_t room);
[[nodiscard]] Action mend(Who who);
[[nodiscard]] Action flip(Who who, std::uint64_t file, std::uint64_t place);
[[nodiscard]] Action zero(Who who, std::uint64_t file, std::uint64_t place);
[[nodiscard]] Action chop(Who who, std::uint64_t file, std::uint64_t place);
[[nodiscard]] Action lose(Who who, std::uint64_t file);
[[nodiscard]] Action isolate(Who who);
[[nodiscard]] Action split(std::vector<Who> group);
[[nodiscard]] Action mute(Who who);
[[nodiscard]] Action deafen(Who who);
[[nodiscard]] Action bridge(Who who);
[[nodiscard]] Action ring();
[[nodiscard]] Action cut_clients(Who who);
[[nodiscard]] Action heal(std::uint32_t label = 0);
[[nodiscard]] Action clog(Who from, Who to);
[[nodiscard]] Action unclog();
[[nodiscard]] Action unclog(Who from, Who to);
[[nodiscard]] Action reset(Who a, Who b);
[[nodiscard]] Action disk(Who who, std::uint64_t factor);
[[nodiscard]] Action weather(std::uint64_t loss, std::uint64_t duplicates,
                             std::uint64_t corruption);
[[nodiscard]] Action remove(Who who);
[[nodiscard]] Action transfer(Who who);
[[nodiscard]] Action put(std::string key, std::string value);
[[nodiscard]] Action put(std::vector<std::pair<std::string, std::string>> pairs);
[[nodiscard]] Action get(std::string key, Level level);
[[nodiscard]] Action del(std::string key);

[[nodiscard]] bool is_operation(Verb verb);       // put, get, del
[[nodiscard]] bool is_write(Verb verb);           // put, del
[[nodiscard]] bool is_administration(Verb verb);  // remove, transfer
[[nodiscard]] bool is_rot(Verb verb);             // flip, zero, chop, lose

// One line, without its end. Keys and values must be words of A-Z a-z 0-9 _ - . and /.
[[nodiscard]] std::string print(const Action& action);
[[nodiscard]] std::string print(Duration duration);
// Errors: invalid, with what is wrong in words.
[[nodiscard]] Result<Action> parse_action(std::string_view line);
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

}  // namespace raftkv::sim
