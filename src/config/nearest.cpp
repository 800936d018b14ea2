#include "config/nearest.hpp"

#include <algorithm>
#include <array>

namespace penstock::config {
namespace {

constexpr std::size_t kKeyBytesMax = 48;  // longer than every key of ours

/// Edits that turn `a` into `b`: insert, delete, replace a byte, swap two neighbours (optimal string
/// alignment).
std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::array<std::array<std::size_t, kKeyBytesMax + 1>, 3> rows{};
  for (std::size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i + 2) % 3];
    const auto& two_above = rows[(i + 1) % 3];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], two_above[j - 2] + 1);
    }
  }
  return rows[a.size() % 3][b.size()];
}

}  // namespace

std::string_view NearestKey(std::string_view key, std::span<const Field> fields) {
  if (key.empty() || key.size() > kKeyBytesMax) return {};
  std::string_view nearest;
  std::size_t best = std::max<std::size_t>(1, key.size() / 3) + 1;
  for (const Field& field : fields) {
    if (field.name.size() > kKeyBytesMax) continue;
    const std::size_t distance = EditDistance(key, field.name);
    if (distance >= best) continue;
    best = distance;
    nearest = field.name;
  }
  return nearest;
}

}  // namespace penstock::config
