#include "src/http/render.h"

#include <algorithm>

#include "src/base/bytes.h"
#include "src/http/text.h"

namespace raftkv::http {
namespace {

// One object, member by member. Names are plain ASCII and need no escapes.
class Object {
 public:
  Object& text(std::string_view name, std::string_view value) {
    append_json_text(member(name), value);
    return *this;
  }
  Object& number(std::string_view name, std::uint64_t value) {
    append_number(member(name), value);
    return *this;
  }
  Object& flag(std::string_view name, bool value) {
    member(name) += value ? "true" : "false";
    return *this;
  }
  Object& json(std::string_view name, std::string_view value) {
    member(name) += value;
    return *this;
  }
  std::string done() {
    out_ += '}';
    return std::move(out_);
  }

 private:
  std::string& member(std::string_view name) {
    out_ += out_.size() > 1 ? ",\"" : "\"";
    out_ += name;
    out_ += "\":";
    return out_;
  }
  std::string out_ = "{";
};

std::uint64_t at_least_zero(std::int64_t value) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0));
}

std::string render_member(const replica::MemberInfo& info) {
  Object out;
  out.text("id", info.name)
      .number("member", info.member.value)
      .text("role", info.voter ? "voter" : "learner")
      .text("httpAddr", info.http_address)
      .text("raftAddr", info.raft_address)
      .flag("leader", info.leader);
  if (info.match) out.number("match", info.match->value);
  if (info.lag) out.number("lag", *info.lag);
  if (info.last_contact_ms) out.number("lastContactMs", at_least_zero(*info.last_contact_ms));
  return out.done();
}

std::string render_member_list(const replica::Members& members) {
  std::string out = "[";
  for (const replica::MemberInfo& info : members.members) {
    if (out.size() > 1) out += ',';
    out += render_member(info);
  }
  out += ']';
  return out;
}

}  // namespace

std::string render_written(const replica::Written& written, bool deletes) {
  Object out;
  if (deletes) out.flag("deleted", written.outcome.deleted);
  return out.number("index", written.index.value).done();
}

std::string render_value(std::string_view key, std::string_view value) {
  std::string out;
  out.reserve(key.size() + value.size() + 8);
  out += '{';
  append_json_string(out, key);
  out += ':';
  append_json_string(out, value);
  out += '}';
  return out;
}

std::string render_members(const replica::Members& members) {
  return Object()
      .number("index", members.index.value)
      .json("members", render_member_list(members))
      .done();
}

std::string render_joined(const replica::Joined& joined) {
  return Object()
      .text("cluster", to_hex(joined.cluster.value))
      .number("member", joined.member.value)
      .number("index", joined.members.index.value)
      .json("members", render_member_list(joined.members))
      .done();
}

std::string render_index(replica::Index index) {
  return Object().number("index", index.value).done();
}

std::string render_transferred(const replica::Transferred& transferred) {
  if (transferred.name.empty()) return Object().json("leader", "null").done();
  return Object().text("leader", transferred.name).done();
}

std::string render_status(const replica::NodeStatus& status,
                          const std::optional<replica::LeaderHint>& leader,
                          std::string_view version) {
  const std::string leader_json =
      leader ? Object().text("id", leader->name).text("httpAddr", leader->http_address).done()
             : "null";
  return Object()
      .text("id", status.name)
      .number("member", status.member.value)
      .text("cluster", to_hex(status.cluster.value))
      .text("role", status.role)
      .number("term", status.term.value)
      .json("leader", leader_json)
      .number("commitIndex", status.commit_index.value)
      .number("appliedIndex", status.applied_index.value)
      .number("firstIndex", status.first_index.value)
      .number("lastIndex", status.last_index.value)
      .text("digest", to_hex(status.digest))
      .number("incarnation", status.incarnation.value)
      .number("uptimeMs", at_least_zero(status.uptime_ms))
      .text("version", version)
      .done();
}

}  // namespace raftkv::http
