#include "linearizability/search/zones.h"

#include <algorithm>

#include "linearizability/search/value_index.h"

namespace raftkv::linearizability {

namespace {

constexpr std::uint32_t kNone = ValueIndex::kNone;

Position moment(Position event) {
  return event == kOpen ? kOpen : event + 1;
}

// Zones sorted by a moment of each: in one pass over the moments where the zones are many, else by
// comparing.
class Sorter {
 public:
  Sorter(std::size_t zones, Position moments)
      : dense_(zones > moments / 16),
        first_(dense_ ? moments + 1 : 0, kNone),
        next_(dense_ ? zones : 0, kNone) {}
  void add(std::uint32_t zone, Position at) {
    if (!dense_) {
      sparse_.emplace_back(at, zone);
      return;
    }
    next_[zone] = first_[at];
    first_[at] = zone;
  }
  // Among zones with the same moment the order means nothing.
  template <typename Visit>
  void visit(Visit visit_zone) {
    std::sort(sparse_.begin(), sparse_.end());
    for (const auto& [at, zone] : sparse_) visit_zone(zone);
    for (const std::uint32_t first : first_) {
      for (std::uint32_t zone = first; zone != kNone; zone = next_[zone]) visit_zone(zone);
    }
  }

 private:
  const bool dense_;
  std::vector<std::uint32_t> first_, next_;
  std::vector<std::pair<Position, std::uint32_t>> sparse_;
};

}  // namespace

Placement place_zones(std::span<const Zone> zones, Position moments, Patience& patience) {
  Placement out;
  // The forward zones in order of their beginnings; no two may overlap.
  Sorter forward(zones.size(), moments);
  for (std::uint32_t z = 0; z < zones.size(); ++z) {
    if (patience.lost()) return out;
    if (zones[z].forward()) forward.add(z, zones[z].first_return);
  }
  std::vector<std::uint32_t> row;
  forward.visit([&](std::uint32_t z) {
    if (!row.empty() && zones[row.back()].last_invocation > zones[z].first_return &&
        !out.conflict) {
      out.conflict = {row.back(), z};
    }
    row.push_back(z);
  });
  if (out.conflict) return out;

  // Each backward zone stands at its beginning, or where the forward zone ends in which that lies.
  Sorter placed(zones.size(), moments);
  for (std::uint32_t z = 0; z < zones.size(); ++z) {
    if (patience.lost()) return out;
    if (zones[z].forward()) {
      placed.add(z, zones[z].first_return);
      continue;
    }
    Position at = zones[z].last_invocation;
    const auto after = std::partition_point(row.begin(), row.end(), [&](std::uint32_t other) {
      return zones[other].first_return < at;
    });
    if (after != row.begin() && zones[*(after - 1)].last_invocation > at) {
      at = zones[*(after - 1)].last_invocation;
      if (zones[z].first_return < at) {
        out.conflict = {*(after - 1), z};
        return out;
      }
    }
    placed.add(z, at);
  }
  out.order.reserve(zones.size());
  placed.visit([&](std::uint32_t z) { out.order.push_back(z); });
  return out;
}

namespace {

// The clusters of a part; 0 is that of the initial value.
class Clusters {
 public:
  Clusters(const History& history, const Part& part, Value initial, Patience& patience)
      : history_(history),
        part_(part),
        initial_(initial == kUnsaid ? kNil : initial),
        patience_(patience) {}

  Ruling rule(bool want_witness);

 private:
  bool name_writes();
  // A read that excludes itself, alone or with its write, if there is one.
  std::vector<OperationId> absurd_read();
  void drop_unread();
  void take_in(std::uint32_t cluster, const Operation& op);
  [[nodiscard]] std::uint32_t cluster_of(const Operation& op) const {
    return of_value_.find(op.function == Function::write ? op.argument : op.result);
  }
  [[nodiscard]] std::vector<OperationId> evidence(std::uint32_t a, std::uint32_t b) const;
  void write_witness(std::span<const std::uint32_t> order, std::vector<OperationId>& out);

  const History& history_;
  const Part& part_;
  const Value initial_;
  Patience& patience_;
  ValueIndex of_value_;
  std::vector<OperationId> write_;  // of a cluster; kNone for the initial one
  std::vector<Zone> zones_;
  std::vector<std::uint32_t> size_;  // operations; 0 if the cluster was dropped
};

void Clusters::take_in(std::uint32_t cluster, const Operation& op) {
  Zone& zone = zones_[cluster];
  zone.first_return = std::min(zone.first_return, moment(op.returned));
  zone.last_invocation = std::max(zone.last_invocation, moment(op.invoked));
  ++size_[cluster];
}

bool Clusters::name_writes() {
  std::size_t writes = 0;
  for (const OperationId id : part_) {
    if (patience_.lost()) return false;
    const Operation& op = history_[id];
    if (op.function == Function::write) {
      of_value_.announce(op.argument);
      ++writes;
    } else if (op.function != Function::read || op.result == kUnsaid) {
      return false;
    }
  }
  of_value_.announce(initial_);
  of_value_.begin();
  write_.reserve(writes + 1);
  write_.push_back(kNone);
  of_value_[initial_] = 0;
  for (const OperationId id : part_) {
    if (patience_.lost()) return false;
    const Operation& op = history_[id];
    if (op.function != Function::write) continue;
    std::uint32_t& cluster = of_value_[op.argument];
    if (cluster != kNone) return false;
    cluster = static_cast<std::uint32_t>(write_.size());
    write_.push_back(id);
  }
  return true;
}

std::vector<OperationId> Clusters::absurd_read() {
  zones_.assign(write_.size(), {});
  zones_[0] = {0, 0};
  size_.assign(write_.size(), 0);
  for (const OperationId id : part_) {
    if (patience_.lost()) return {};
    const Operation& op = history_[id];
    const std::uint32_t cluster = cluster_of(op);
    if (cluster == kNone) return {id};
    take_in(cluster, op);
    const OperationId write = write_[cluster];
    if (write != kNone && op.precedes(history_[write])) return {id, write};
  }
  return {};
}

void Clusters::drop_unread() {
  for (std::uint32_t c = 1; c < zones_.size(); ++c) {
    if (size_[c] > 1 || history_[write_[c]].end == End::ok) continue;
    size_[c] = 0;
    zones_[c] = {kOpen, 0};
  }
}

Ruling Clusters::rule(bool want_witness) {
  Ruling ruling;
  if (!name_writes()) return ruling;
  ruling.evidence = absurd_read();
  if (!ruling.evidence.empty()) {
    ruling.kind = Ruling::Kind::not_linearizable;
    return ruling;
  }
  drop_unread();
  const Position moments = history_.events() + 1;
  const Placement placement = place_zones(zones_, moments, patience_);
  if (patience_.lost()) return ruling;
  ruling.memory_bytes = of_value_.memory_bytes() + zones_.size() * (sizeof(Zone) + 7 * 4) +
                        2 * std::uint64_t{moments} * 4 + (want_witness ? part_.size() * 4 : 0);
  if (placement.conflict) {
    ruling.kind = Ruling::Kind::not_linearizable;
    ruling.evidence = evidence(placement.conflict->first, placement.conflict->second);
    return ruling;
  }
  ruling.kind = Ruling::Kind::linearizable;
  if (want_witness) write_witness(placement.order, ruling.witness);
  if (patience_.lost()) return {};
  return ruling;
}

// The two writes, and of each cluster the operations that make its zone what it is.
std::vector<OperationId> Clusters::evidence(std::uint32_t a, std::uint32_t b) const {
  std::vector<OperationId> out;
  for (const OperationId id : part_) {
    const Operation& op = history_[id];
    const std::uint32_t cluster = cluster_of(op);
    if (cluster != a && cluster != b) continue;
    const Zone& zone = zones_[cluster];
    if (id == write_[cluster] || moment(op.returned) == zone.first_return ||
        moment(op.invoked) == zone.last_invocation) {
      out.push_back(id);
    }
  }
  return out;
}

void Clusters::write_witness(std::span<const std::uint32_t> order, std::vector<OperationId>& out) {
  std::vector<std::uint32_t> next(zones_.size());
  std::uint32_t begin = 0;
  for (const std::uint32_t c : order) {
    next[c] = begin + (write_[c] == kNone ? 0 : 1);  // the write comes first
    begin += size_[c];
  }
  out.resize(begin);
  for (const OperationId id : part_) {
    if (patience_.lost()) return;
    const std::uint32_t c = cluster_of(history_[id]);
    if (size_[c] != 0 && id != write_[c]) out[next[c]++] = id;
  }
  for (const std::uint32_t c : order) {
    if (size_[c] != 0 && write_[c] != kNone) out[next[c] - size_[c]] = write_[c];
  }
}

}  // namespace

Ruling rule_by_zones(const History& history, const Part& part, Value initial, bool want_witness,
                     Patience& patience) {
  return Clusters(history, part, initial, patience).rule(want_witness);
}

}  // namespace raftkv::linearizability
