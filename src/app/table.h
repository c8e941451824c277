// A table of text in aligned columns, for people.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace raftkv::app {

class Table {
 public:
  using Row = std::vector<std::string>;
  explicit Table(Row header) { rows_.push_back(std::move(header)); }

  void add(Row row) { rows_.push_back(std::move(row)); }

  [[nodiscard]] std::string text() const {
    std::vector<std::size_t> widths;
    for (const Row& row : rows_) {
      widths.resize(std::max(widths.size(), row.size()));
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const Row& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        out += row[i];
        if (i + 1 < row.size()) out.append(widths[i] + 2 - row[i].size(), ' ');
      }
      out += '\n';
    }
    return out;
  }

 private:
  std::vector<Row> rows_;
};

}  // namespace raftkv::app
