#pragma once

#include <cstdint>
#include <string>

namespace penstock::cache::disk {

/// "PnSt", in the database's header: whose file it is.
inline constexpr std::uint32_t kApplicationId = 0x506E5374;
/// Raised with every change of the tables; a file of another version is moved aside.
inline constexpr std::uint32_t kSchemaVersion = 2;
inline constexpr std::uint64_t kPageBytes = 8192;

/// Fills the empty file at `path`. False with SQLite's reason in `why`.
bool CreateSchema(const std::string& path, std::string& why);

}  // namespace penstock::cache::disk
