#pragma once

#include <cstdint>
#include <memory>

#include "penstock/llm/token_notes.hpp"

namespace penstock::llm {

inline constexpr std::uint32_t kJsonDepthDefault = 128;  ///< `server.limits.json_depth`

/// Owned by one Worker. The memory that reading JSON needs, shared by all readers of this module (requests,
/// stream events, answers) and reused: after warm-up a text of usual size costs no allocation. Views that a
/// reader returns point into the caller's text, never in here. After a text beyond 1 MiB most of the memory
/// (about 4 bytes per byte of text) is given back.
class JsonParser {
 public:
  /// `seed` keys the hash of object keys against chosen collisions: random per process, fixed in tests.
  explicit JsonParser(std::uint64_t seed, std::uint32_t depth_max = kJsonDepthDefault);
  ~JsonParser();
  JsonParser(const JsonParser&) = delete;
  JsonParser& operator=(const JsonParser&) = delete;

  /// For requests from now on; answers are read to the default depth.
  void set_depth_max(std::uint32_t depth_max) noexcept;

  /// Empty ones, for a text that is about to be written.
  TokenNotes& BeginNotes() noexcept;

  struct Workspace;  ///< private to the module
  Workspace& workspace() noexcept { return *workspace_; }

 private:
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace penstock::llm
